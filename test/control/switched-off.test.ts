// Dead letters whose keys waited, after `blockKey` was switched off: they reach the topology again, by the topic that they were read from.
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogRecord } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { recordsControl } from '../../src/control/records.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import { json, string, topology } from '../../src/index.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import type { Plan } from '../../src/topology/plan-types.ts'
import { asked, layLetters, recordsIn } from './letters.ts'

const world = systemWorld()
const shop = topology('shop', (t) => t.stream('in', { key: string(), value: json() }).to('out', { key: string(), value: json() }))
const plan = planOf(shop, 'shop')
const blocking = planOf(shop, 'shop', { blockKey: { maxRecords: 10 } })
const back = 'shop-in-blocked-letters-repartition'
const fast = { act: 'replay', rate: 1_000_000 } as const

let log: MemoryLog
beforeEach(async () => {
  log = memoryLog(world)
  await log.createTopics([
    { name: 'in', partitions: 3, kind: 'plain' },
    { name: back, partitions: 3, kind: 'plain' },
    { name: 'shop-dead-letter', partitions: 3, kind: 'deadLetter' },
  ])
  await layLetters(log, 'shop-dead-letter', [{ partition: 1, offset: 7, returnsTo: back }])
})
afterEach(() => log.close())

const alone = (): ControlHandler => recordsControl({ log, plan, world, createPartitions: null })
const running = (what: Plan): ControlHandler =>
  recordsControl({ log, plan: what, world, createPartitions: null, figures: () => expect.unreachable('nobody asks for figures') })

test('what runs without it gets its letters by their own topic; what runs with it, by the one that it reads', async () => {
  expect(await asked(running(plan), fast)).toEqual([{ done: 1 }])
  const [record] = (await recordsIn(log, 'in', 1)) as [LogRecord]
  expect([String(record.key), String(record.value), record.timestamp]).toEqual(['k', '1', 5])
  expect(record.headers.map(([name]) => name)).toEqual(['__millrace.replay.of'])
  await layLetters(log, 'shop-dead-letter', [{ partition: 1, offset: 8, returnsTo: back }])
  expect(await asked(running(blocking), fast)).toEqual([{ done: 1 }])
  expect(await recordsIn(log, back, 1)).toHaveLength(1)
})

test('where nothing runs, somebody has to say so; and nobody may say so of what runs with it', async () => {
  const refused = { refused: '1:0', reason: expect.stringMatching(/its key waits in the application that runs; without --to-input/) }
  expect(await asked(running(blocking), { ...fast, toInput: true })).toEqual([refused])
  expect(await asked(alone(), { ...fast, toInput: true })).toEqual([{ done: 1 }])
  expect([await recordsIn(log, 'in', 1), await recordsIn(log, back, 1)]).toMatchObject([[{ timestamp: 5 }], []])
})
