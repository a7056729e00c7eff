// mapAsync measured: whether a key that is slow slows the others, and what a thousand calls at once cost. The real worker, LevelDB stores,
// the log in memory, a commit every 100 ms; records come at a steady rate, and each one's way to its committed result is timed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { partitionOf } from '../src/base/murmur2.ts'
import { NO_HEADERS } from '../src/base/record.ts'
import { systemWorld } from '../src/base/system.ts'
import { json, string, topology } from '../src/index.ts'
import type { Log } from '../src/log/log.ts'
import { memoryLog } from '../src/log/memory.ts'
import { levelProvider } from '../src/state/leveldb.ts'
import { runWorker } from '../test/support/run-worker.ts'

interface Job {
  readonly n: number
  readonly callMs: number
}

export interface CallsRun {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly recordsPerSecond: number
  readonly openMost: number
  readonly rssMostBytes: number
  readonly cpuUsPerRecord: number
}

export interface CallsOptions {
  readonly keys: number
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly callMs: number
  /** Of the first key; left out of the times. */
  readonly slowMs?: number
  readonly concurrency: number
  readonly partitions: number
}

const TICK_MS = 10
const world = systemWorld()
const SERDES = { key: string(), value: json<Job>() }

export async function runCalls(options: CallsOptions): Promise<CallsRun> {
  const { keys, seconds, recordsPerSecond, callMs, slowMs = callMs, concurrency, partitions } = options
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-calls-'))
  const log = memoryLog(world)
  let open = 0
  let openMost = 0
  const program = topology('bench-calls', (t) => {
    t.stream('jobs', SERDES)
      .mapAsync(
        async (job) => {
          openMost = Math.max(openMost, ++open)
          await world.timers.sleep(job.callMs)
          open--
          return job
        },
        { store: 'calls', concurrency, timeout: '1h', value: json<Job>() },
      )
      .to('done', SERDES)
  })
  await log.createTopics(['jobs', 'done'].map((name) => ({ name, partitions, kind: 'plain' })))
  const running = await runWorker({
    log,
    topology: program,
    applicationId: 'bench-calls',
    provider: levelProvider({ dir, world }),
    world,
    partitions,
    commitIntervalMs: 100,
  })
  const total = seconds * recordsPerSecond
  const sentMs = new Float64Array(total)
  const tookMs: number[] = []
  let rssMostBytes = 0
  const expected = slowMs === callMs ? total : total - Math.ceil(total / keys)
  const cpu = process.cpuUsage()
  const began = world.clock.monotonic()
  const reading = watch(log, partitions, expected, ({ n, callMs: ms }) => {
    if (slowMs === callMs || ms !== slowMs) tookMs.push(world.clock.monotonic() - (sentMs[n] as number))
    return tookMs.length
  })
  const writer = log.writer({ transactionalId: 'bench-sender', guarantee: 'at_least_once' })
  await writer.init()
  for (let n = 0; n < total; ) {
    const until = Math.min(total, Math.ceil(((world.clock.monotonic() - began) / 1000) * recordsPerSecond))
    for (; n < until; n++) {
      const key = Buffer.from(`k${n % keys}`)
      const job: Job = { n, callMs: n % keys === 0 ? slowMs : callMs }
      sentMs[n] = world.clock.monotonic()
      writer.append('jobs', partitionOf(key, partitions), n, key, Buffer.from(JSON.stringify(job)), NO_HEADERS)
    }
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'bench-sender', [])
    rssMostBytes = Math.max(rssMostBytes, process.memoryUsage.rss())
    await world.timers.sleep(TICK_MS)
  }
  await writer.close()
  await reading
  const spentMs = world.clock.monotonic() - began
  const { user, system } = process.cpuUsage(cpu)
  await running.worker.close()
  await log.close()
  rmSync(dir, { recursive: true, force: true })
  tookMs.sort((a, b) => a - b)
  const at = (part: number): number => tookMs[Math.floor(part * (tookMs.length - 1))] as number
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    recordsPerSecond: tookMs.length / (spentMs / 1000),
    openMost,
    rssMostBytes,
    cpuUsPerRecord: (user + system) / tookMs.length,
  }
}

/** Until so many results that count are there. */
async function watch(log: Log, partitions: number, wanted: number, seen: (job: Job) => number): Promise<void> {
  const reader = log.reader()
  reader.assign(Array.from({ length: partitions }, (_, partition) => ({ topic: 'done', partition, offset: 0 })))
  for (let counted = 0; counted < wanted; )
    for (const chunk of await reader.poll(50)) for (const { value } of chunk.records) counted = seen(JSON.parse(String(value)) as Job)
  await reader.close()
}

/** What is printed: the two questions of the head. */
export async function benchCalls(say: (line: string) => void): Promise<void> {
  const load = { keys: 1_000, seconds: 15, recordsPerSecond: 1_000, callMs: 20, concurrency: 200, partitions: 4 }
  const shown = ({ p50Ms, p99Ms, openMost, cpuUsPerRecord }: CallsRun): string =>
    `p50 ${p50Ms.toFixed(0)} ms  p99 ${p99Ms.toFixed(0)} ms  ${openMost} calls at once  ${cpuUsPerRecord.toFixed(0)} us CPU a record`
  const many = await runCalls({ keys: 20_000, seconds: 15, recordsPerSecond: 800, callMs: 1_800, concurrency: 1_000, partitions: 1 })
  say(`${'mapAsync, one task of concurrency 1,000'.padEnd(52)} ${shown(many)}  ${(many.rssMostBytes / 2 ** 20).toFixed(0)} MiB at most`)
  for (const round of [1, 2]) {
    const without = await runCalls(load)
    const beside = await runCalls({ ...load, slowMs: 5_000 })
    say(`${`mapAsync, 1,000 keys, calls of 20 ms, round ${round}`.padEnd(52)} ${shown(without)}`)
    say(
      `${'  the others beside a key whose calls take 5 s'.padEnd(52)} ${shown(beside)}  p99 x ${(beside.p99Ms / without.p99Ms).toFixed(2)}`,
    )
  }
}
