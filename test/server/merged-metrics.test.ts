// The metrics of several workers behind one door: each series with its worker, the process's own once, a silent worker not ready.
import { expect, test } from 'vitest'
import { liveOf } from '../../src/server/live.ts'
import { openMergedMetrics, openWorkerMetrics } from '../../src/server/metrics.ts'
import type { Metered } from '../../src/server/served.ts'

const figures = (epochs: number) => ({ epochs, rewinds: 0, fenced: 0, rebalances: 1, restored: 0, restores: [], standbys: [] })
const served = (epochs: number): Metered =>
  ({
    plan: { subTopologies: [] },
    world: { clock: { now: () => 0, monotonic: () => 0 } },
    ready: () => true,
    sized: () => null,
    tasks: () => new Map(),
    applying: () => false,
    figures: () => figures(epochs),
  }) as unknown as Metered

test('what the workers tell stands side by side', async () => {
  const workers = [7, 9].map((epochs, worker) => openWorkerMetrics(served(epochs), worker))
  workers[0]?.epoch({ records: 10, bytes: 100, openMs: 5, commitMs: 3 })
  workers[0]?.epoch({ records: 20, bytes: 100, openMs: 5, commitMs: 3 })
  workers[1]?.epoch({ records: 5, bytes: 100, openMs: 5, commitMs: 3 })
  // As they cross from their threads.
  const merged = openMergedMetrics(async () => structuredClone(await Promise.all(workers.map((worker) => worker.read()))))
  merged.answered(200)
  const { text, type } = await merged.render()
  // The live page shows the sums.
  const { epochSums } = liveOf(served(16), await merged.read(), { shape: '', acts: false, startedAtMs: 0 })
  expect(epochSums).toEqual({ openSeconds: 0.015, commitSeconds: expect.closeTo(0.009), records: 35, bytes: 300 })
  merged.close()
  const lines = text.split('\n')
  expect(type).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(lines).toEqual(expect.arrayContaining(['millrace_epochs_total{worker="0"} 7', 'millrace_epochs_total{worker="1"} 9']))
  expect(lines).toEqual(expect.arrayContaining(['millrace_ready{worker="0"} 1', 'millrace_ready{worker="1"} 1']))
  expect(lines).toContain('millrace_epoch_records_sum{worker="0"} 30')
  expect(lines).toContain('millrace_epoch_records_count{worker="1"} 1')
  expect(lines).toContain('millrace_epoch_records_bucket{le="10",worker="0"} 1')
  expect(lines).toContain('millrace_http_answers_total{status="200"} 1')
  expect(lines.filter((line) => line.startsWith('process_cpu_seconds_total '))).toHaveLength(1)
  for (const what of ['# HELP ', '# TYPE ']) {
    const names = lines.filter((line) => line.startsWith(what)).map((line) => line.split(' ')[2])
    expect(names.toSorted(), 'each once').toEqual([...new Set(names)].toSorted())
  }
})

test('a worker that gives no answer is not ready, and the others are told all the same', async () => {
  const one = openWorkerMetrics(served(7), 0)
  const merged = openMergedMetrics(async () => [await one.read(), null])
  const { text } = await merged.render()
  merged.close()
  const lines = text.split('\n')
  expect(lines.filter((line) => line.startsWith('millrace_ready{'))).toEqual([
    'millrace_ready{worker="1"} 0',
    'millrace_ready{worker="0"} 1',
  ])
  expect(lines).toContain('millrace_epochs_total{worker="0"} 7')
})
