// `millrace try` with calls: what is out when, and that what never answers holds nothing up.
import { expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { succeed } from '../support/processor.ts'

const { clock } = systemWorld()
const line = (key: string, value: string): string => JSON.stringify({ topic: 'in', key, value })

async function tried(lines: readonly string[]): Promise<string[]> {
  const out = await succeed(['try', 'test/async/slow.ts'], lines)
  return out
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as { topic: string; key: string; value: string; timestamp: number })
    .map(({ topic, key, value, timestamp }) => `${topic} ${key} ${value} ${timestamp}`)
}

test('answers are out before the clock moves and before a commit; what never answers does not hold up the end', {
  timeout: 60_000,
}, async () => {
  const beganMs = clock.monotonic()
  const lines = [
    line('a', 'never 1'),
    line('a', 'at once 2'),
    line('b', 'soon 3'),
    line('b', 'at once 4'),
    line('c', 'at once 5'),
    '{"commit":true}',
    line('d', 'at once 6'),
    line('e', 'fails 7'),
  ]
  expect(await tried(lines)).toEqual(['out c at once 5 0', 'out b soon 3 0', 'out b at once 4 0', 'out d at once 6 0'])
  expect(clock.monotonic() - beganMs).toBeLessThan(15_000)
})

test('timeouts and retries go by the clock of the lines, a crash changes nothing', { timeout: 60_000 }, async () => {
  const lines = (crash: readonly string[]): string[] => [
    line('a', 'never 1'),
    line('a', 'at once 2'),
    line('b', 'fails 3'),
    '{"commit":true}',
    '{"advance":"20s"}',
    ...crash,
    '{"advance":"5s"}',
    line('c', 'soon 4'),
    ...crash,
    '{"advance":"5s"}',
    line('d', 'at once 5'),
  ]
  const without = await tried(lines([]))
  expect(without).toEqual([
    'slow-dead-letter b fails 3 0',
    'out c soon 4 25000',
    'slow-dead-letter a never 1 0',
    'out a at once 2 0',
    'out d at once 5 30000',
  ])
  expect(await tried(lines(['{"crash":true}']))).toEqual(without)
  expect(await tried(lines(['{"commit":true}', '{"crash":true}']))).toEqual(without)
})
