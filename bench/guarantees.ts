// What exactly_once costs over at_least_once: one worker with LevelDB stores, an epoch every 100 ms, the same input; the log on a real
// Kafka of one broker beside it, or embedded. The two take turns inside one run, so that the machine's moods fall on both.
//
// 1. Counted is from the first record processed to the commit of the last one: the start, the group and the topics are not in it.
// 2. Each run has a group, stores and internal topics of its own; the output topic is shared.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemWorld } from '../src/base/system.ts'
import { openEmbeddedLog } from '../src/log/embedded/index.ts'
import { openKafkaLog } from '../src/log/kafka/index.ts'
import type { Guarantee, Log } from '../src/log/log.ts'
import { levelProvider } from '../src/state/leveldb.ts'
import type { Topology } from '../src/topology/node.ts'
import { type RunningKafka, startKafka } from '../test/kafka/broker.ts'
import { type InputRecord, load, runWorker } from '../test/support/run-worker.ts'

export type LogKind = 'kafka' | 'embedded'

export interface GuaranteesOptions {
  readonly topology: Topology
  readonly log: LogKind
  readonly partitions: number
  readonly input: readonly InputRecord[]
  readonly commitIntervalMs: number
  readonly rounds: number
}

export interface GuaranteeRun {
  readonly guarantee: Guarantee
  readonly seconds: number
  /** Of this process and, where the machine tells (Linux), of the broker. */
  readonly cpuSeconds: number
  readonly epochs: number
}

const PATIENCE_MS = 600_000
const LOOK_MS = 2

/** A first pair, told apart, warms the machine up; then `rounds` pairs, each the other way around than the one before. */
export async function compareGuarantees(options: GuaranteesOptions, tell: (run: GuaranteeRun, round: number) => void): Promise<void> {
  const world = systemWorld()
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const kafka = options.log === 'kafka' ? await startKafka() : null
  const log =
    kafka === null
      ? await openEmbeddedLog({ dir: join(dir, 'log'), world })
      : await openKafkaLog({ brokers: kafka.brokers.split(','), clientId: 'bench', world })
  try {
    await log.createTopics([{ name: 'table', partitions: options.partitions, kind: 'plain' }])
    await load(log, options.input, options.partitions)
    for (let round = 0; round <= options.rounds; round++) {
      const pair: readonly Guarantee[] = ['exactly_once', 'at_least_once']
      for (const guarantee of round % 2 === 0 ? pair : pair.toReversed()) {
        const id = `${guarantee.replaceAll('_', '-')}-${round}`
        tell(await measure(options, log, kafka, guarantee, id, join(dir, id)), round)
        rmSync(join(dir, id), { recursive: true, force: true })
      }
    }
  } finally {
    await log.close()
    await kafka?.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function measure(
  options: GuaranteesOptions,
  log: Log,
  kafka: RunningKafka | null,
  guarantee: Guarantee,
  id: string,
  dir: string,
): Promise<GuaranteeRun> {
  const world = systemWorld()
  const { topology, partitions, commitIntervalMs, input } = options
  const provider = levelProvider({ dir, world })
  const { worker } = await runWorker({ log, topology, applicationId: id, provider, world, partitions, commitIntervalMs, guarantee })
  const processed = (): number => {
    let records = 0
    for (const task of worker.tasks.values()) records += task.counts.records
    return records
  }
  const until = async (done: () => boolean): Promise<void> => {
    const deadline = performance.now() + PATIENCE_MS
    while (!done()) {
      if (performance.now() > deadline) throw new Error(`${id}: ${processed()} of ${input.length} records after ${PATIENCE_MS} ms`)
      await world.timers.sleep(LOOK_MS)
    }
  }
  await until(() => processed() > 0)
  const before = processed()
  const began = performance.now()
  const cpu = cpuSeconds(kafka)
  await until(() => processed() >= input.length && !worker.barrier.open && !worker.barrier.committing)
  const seconds = (performance.now() - began) / 1_000
  const spent = cpuSeconds(kafka) - cpu
  if (worker.counts.rewinds > 0) throw new Error(`${id}: ${worker.counts.rewinds} rewinds: not a measurement`)
  const { epochs } = worker.barrier.figures
  await worker.close()
  const share = input.length / (input.length - before)
  return { guarantee, seconds: seconds * share, cpuSeconds: spent * share, epochs }
}

function cpuSeconds(kafka: RunningKafka | null): number {
  const { user, system } = process.cpuUsage()
  let seconds = (user + system) / 1e6
  for (const pid of kafka?.pids() ?? []) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
      seconds += (Number(fields[11]) + Number(fields[12])) / 100 // user and system time in ticks, 100 a second
    } catch {} // not Linux
  }
  return seconds
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}
