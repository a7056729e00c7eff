// What is said of records that are given up: the first at once, then a count now and then.
import { expect, test } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { givenUpLog } from '../../src/runtime/given-up.ts'

test('the first record is told at once, those of the next ten seconds as a number', () => {
  let nowMs = 5
  const told: [object, string][] = []
  const warn = (fields: object, message: string): void => void told.push([fields, message])
  const system = systemWorld()
  const world: World = {
    ...system,
    clock: { now: () => 0, monotonic: () => nowMs },
    logger: { debug() {}, info() {}, error() {}, warn },
  }
  const givenUp = givenUpLog(world, '0_1', 'app-dead-letter')
  givenUp('orders-1@7', 'dead letter', new Error('no total'))
  for (let offset = 8; offset < 20; offset++) givenUp(`orders-1@${offset}`, 'dead letter', new Error('no total'))
  nowMs += 10_000
  givenUp('orders-1@20', 'skipped', new Error('no total'))
  expect(told).toEqual([
    [{ task: '0_1', record: 'orders-1@7', reason: 'no total', topic: 'app-dead-letter' }, 'record given up, it is a dead letter now'],
    [{ task: '0_1', record: 'orders-1@20', reason: 'no total', more: 12 }, 'record given up and skipped'],
  ])
})
