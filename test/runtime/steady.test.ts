// Times that records wait until, and that calls and their retries have, under a wall clock that jumps: what waits goes when it has waited for
// so long, no sooner and no later.
import { expect, test } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import { steadyClock } from '../../src/base/steady.ts'
import { systemWorld } from '../../src/base/system.ts'
import { string, topology } from '../../src/index.ts'
import { logOf, run } from '../support/counted-keys.ts'
import { load, readAll } from '../support/run-worker.ts'

const DAY_MS = 86_400_000
const TEXT = { key: string(), value: string() }
const system = systemWorld()
let shiftMs = 0
const world: World = {
  ...system,
  clock: { now: () => system.clock.now() + shiftMs, monotonic: () => system.clock.monotonic() },
}

const waits = topology('waits', (t) => {
  const rows = t.table('rows', TEXT)
  const asked = t.stream('asked', TEXT)
  const joiner = (value: string, row: string | undefined): string => `${value} ${row ?? 'none'}`
  const soon = { timeout: '200ms', clock: 'wall', onTimeout: 'emit' } as const
  const late = { ...soon, timeout: '1h' } as const
  asked.join(rows, joiner, { buffer: soon, store: 'soon' }).to('soon', TEXT)
  asked.join(rows, joiner, { buffer: late, store: 'late' }).to('late', TEXT)
  const calls = { unordered: () => true, value: TEXT.value } as const
  asked
    .mapAsync(() => new Promise<string>(() => {}), { ...calls, store: 'unanswered', timeout: '200ms', onError: (value) => value })
    .to('unanswered', TEXT)
  asked
    .mapAsync((value) => Promise.reject(new Error(value)), {
      ...calls,
      store: 'tried',
      retry: { attempts: 2, backoff: '100ms' },
      onError: (value) => value,
    })
    .to('tried', TEXT)
  const patient = { ...calls, timeout: '1h', onError: (value: string) => value } as const
  asked.mapAsync(() => new Promise<string>(() => {}), { ...patient, store: 'patient' }).to('patient', TEXT)
  t.table('many', { ...TEXT, store: 'many' })
    .suppress({ for: '200ms', clock: 'wall', store: 'held' })
    .toStream()
    .to('held', TEXT)
})

test('jumps of the wall clock do not shorten or lengthen what waits', async () => {
  const log = logOf()
  let timestamp = 0
  const write = (topic: string, key: string, value: string): Promise<void> =>
    load(log, [{ topic, key: Buffer.from(key), value: Buffer.from(value), timestamp: timestamp++ }], 1)
  const read = async (topic: string): Promise<string[]> => (await readAll(log, topic)).flat().map(({ value }) => String(value))
  for (const topic of ['rows', 'asked', 'many']) await write(topic, 'before', 'first')
  const running = await run({ log, topology: waits, world })
  await running.untilCaughtUp()
  let jumps = 0
  for (const jumpMs of [-DAY_MS, DAY_MS]) {
    await write('asked', `lost ${jumpMs}`, 'here')
    await write('many', `held ${jumpMs}`, 'there')
    await running.untilCaughtUp()
    shiftMs += jumpMs
    jumps++
    // before the next jump, which would undo this one
    await expect.poll(() => read('soon'), { timeout: 10_000 }).toEqual(['first first', ...Array<string>(jumps).fill('here none')])
    for (const calls of ['unanswered', 'tried'])
      await expect
        .poll(async () => (await read(calls)).sort(), { timeout: 10_000 })
        .toEqual(['first', ...Array<string>(jumps).fill('here')])
    await expect.poll(() => read('held'), { timeout: 10_000 }).toEqual(['first', ...Array<string>(jumps).fill('there')])
  }
  expect(await read('late')).toEqual(['first first'])
  expect(await read('patient')).toEqual([])
})

test('it is the wall clock as it was, carried on', () => {
  let [wallMs, monotonicMs] = [1_000_000, 7.75]
  const steadyMs = steadyClock({ now: () => wallMs, monotonic: () => monotonicMs })
  expect(steadyMs()).toBe(1_000_000)
  wallMs = 5
  monotonicMs += 10.5
  expect(steadyMs()).toBe(1_000_010)
})
