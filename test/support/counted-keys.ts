// A topology that counts its records by key, and what it must have put out: each key's outputs are 1, 2, 3, ... once each.
import { afterEach, expect } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { type InputRecord, type RunningWorker, readAll, runWorker, type WorkerSetup } from './run-worker.ts'

const world = systemWorld()

export const counts = topology('counts', (t) => {
  t.stream('in', { key: string(), value: json<number>() })
    .groupByKey()
    .count({ store: 'n' })
    .toStream()
    .to('out', { key: string(), value: json<number>() })
})

export const records = (keys: readonly string[], from = 0): InputRecord[] =>
  keys.map((key, i) => ({ topic: 'in', key: Buffer.from(key), value: Buffer.from('1'), timestamp: from + i }))
export const keysOf = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${i % 10}`)

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** Closed after the test, as are the workers. */
export function logOf(): MemoryLog {
  const log = memoryLog(world)
  open.push(log)
  return log
}

export async function run(setup: Partial<WorkerSetup> & Pick<WorkerSetup, 'log'>): Promise<RunningWorker> {
  const defaults = { topology: counts, applicationId: 'app', provider: memoryProvider(), world, partitions: 1, commitIntervalMs: 2 }
  const running = await runWorker({ ...defaults, ...setup })
  open.push({ close: () => running.worker.close().catch(() => {}) })
  return running
}

/** Every key's outputs are 1, 2, 3, ... */
export async function expectCounts(log: Log, total: number): Promise<void> {
  const seen = new Map<string, number[]>()
  for (const { key, value } of (await readAll(log, 'out')).flat()) {
    const name = (key as Buffer).toString()
    seen.set(name, [...(seen.get(name) ?? []), Number((value as Buffer).toString())])
  }
  let sum = 0
  for (const [key, list] of seen) {
    expect(list, key).toEqual(list.map((_, i) => i + 1))
    sum += list.length
  }
  expect(sum).toBe(total)
}
