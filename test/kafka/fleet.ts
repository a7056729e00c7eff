// Several `millrace run` of tally.ts on one Kafka, the load that keeps them busy, and how far they have come.
//
// 1. What the load has written is read back from the topic in the end: what it was told about a write is never believed.
// 2. `close` ends by its id every process that still runs, and removes their state directories.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { partitionOf } from '../../src/base/murmur2.ts'
import { NO_HEADERS, type TopicPartition } from '../../src/base/record.ts'
import type { Log } from '../../src/log/log.ts'
import { type Processor, startProcessorWith } from '../support/processor.ts'
import { backlog } from './caught-up.ts'
import type { StopPlace } from './faulty.ts'
import { type GlimpseCounts, openGlimpses } from './glimpses.ts'
import { open, world } from './running.ts'
import { tally } from './tally.ts'
import { judge, type Verdict } from './tally-judge.ts'

const KEYS = 40
const GROUPS = 8
const TICK_MS = 50
const QUIET_MS = 1_500 // Kafka answers the end of a transaction before its markers are written
const SETTLE_MS = 180_000

/** About an eighth of the defaults, in their proportions: what takes a minute takes seconds. */
export const SHORT = { sessionTimeoutMs: 6_000, heartbeatMs: 500, transactionTimeoutMs: 8_000, purgeIntervalMs: 2_000 }
/** What a broker must be told, so that it takes these and acts on them in time. */
export const SHORT_BROKER = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000 }

export interface FleetOptions {
  readonly brokers: string
  /** What the instances are told instead. */
  readonly through?: string
  readonly prefix: string
  readonly commitInterval: string
  readonly partitions?: number
  /** In each process. */
  readonly workers?: number
  readonly eventsPerSecond?: number
  readonly padBytes?: number
  readonly limits?: Readonly<Record<string, number>>
  /** More words for `run`. */
  readonly words?: (name: string) => readonly string[]
  /** Its stores are read all the time, by HTTP and through the control socket, and what they answered is judged with the rest. */
  readonly watched?: boolean
  /** More than a moment where brokers die (glimpses.ts). */
  readonly seenMs?: number
}

export interface Instance extends Processor {
  readonly name: string
  /** Milliseconds from the start to its tasks running. */
  readonly readyMs: Promise<number>
  /** Each message of its log, and when it came. */
  readonly lines: readonly { readonly atMs: number; readonly text: string }[]
}

/** Records that its start restored, once it runs. */
export async function restoredBy(instance: Instance): Promise<number> {
  const deadline = world.clock.monotonic() + SETTLE_MS
  for (;;) {
    const line = instance.lines.find(({ text }) => text.startsWith('{"restored":'))
    if (line !== undefined) return (JSON.parse(line.text) as { restored: number }).restored
    if (world.clock.monotonic() > deadline) throw new Error(`${instance.name} did not start\n${instance.said()}`)
    await sleep(20)
  }
}

/** What it runs now, as it says itself. */
export function tasksOf(instance: Instance): readonly string[] {
  const last = instance.lines.findLast(({ text }) => text.includes('"tasks":['))
  return last === undefined ? [] : (JSON.parse(last.text) as { tasks: string[] }).tasks
}

export interface Fleet {
  readonly log: Log
  readonly applicationId: string
  start(name: string, how?: { readonly stopAt?: StopPlace; readonly slowRestore?: boolean }): Instance
  stateDir(name: string): string
  /** Where the inputs end now. */
  marks(): Promise<readonly Mark[]>
  /** The same of the outermost input only: an open transaction in a repartition topic does not hold it up. */
  inputMarks(): Promise<readonly Mark[]>
  /** Resolves with the milliseconds until everything before the marks is committed as processed. */
  passed(marks: readonly Mark[], limitMs: number): Promise<number>
  /** Ends the load and waits until all is processed. */
  drained(): Promise<void>
  verdict(): Promise<Verdict>
  /** Of a watched fleet. */
  glimpses(): GlimpseCounts | null
  close(): Promise<void>
}

export interface Mark extends TopicPartition {
  readonly offset: number
}

export const sleep = (ms: number): Promise<void> => world.timers.sleep(ms)
const now = (): number => world.clock.monotonic()

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const { brokers, prefix, partitions = 4 } = options
  const topology = tally(prefix)
  const base = mkdtempSync(join(tmpdir(), 'millrace-fleet-'))
  const log = await open(brokers)
  const running = new Set<Instance>()
  await log.createTopics(['events', 'keys', 'groups'].map((name) => ({ name: prefix + name, partitions, kind: 'plain' as const })))
  const load = openLoad(log, options, partitions)
  const glimpses =
    options.watched === true ? openGlimpses({ ...options, groupId: topology.name, input: `${prefix}events`, partitions, keys: KEYS }) : null
  const stateDir = (name: string): string => join(base, name)
  const inputs = async (): Promise<TopicPartition[]> => {
    const infos = await log.topics([`${prefix}events`, ...(await log.topicNames()).filter((name) => isRepartition(name, topology.name))])
    return [...infos.values()].flatMap((info) =>
      Array.from({ length: info.partitions }, (_, partition) => ({ topic: info.name, partition })),
    )
  }
  const marksOf = async (all: readonly TopicPartition[]): Promise<readonly Mark[]> => {
    const ends = await log.offsets(all, 'latest')
    return all.map((input, i) => ({ ...input, offset: ends[i] as number }))
  }
  return {
    log,
    applicationId: topology.name,
    stateDir,
    start(name, { stopAt, slowRestore } = {}) {
      const lines: { atMs: number; text: string }[] = []
      const started = now()
      const heard = (text: string): void => {
        lines.push({ atMs: now(), text })
        if (text.includes('HTTP server listens'))
          glimpses?.watch(name, (JSON.parse(text) as { port: number }).port, stateDir(name), processor.ended)
      }
      const processor = startProcessorWith(
        {
          imports: [join(import.meta.dirname, 'faulty.ts')],
          env: {
            TALLY_PREFIX: prefix,
            FAULTY_LIMITS: JSON.stringify(options.limits ?? SHORT),
            ...(stopAt === undefined ? {} : { FAULTY_STOP_AT: stopAt }),
            ...(slowRestore === true ? { FAULTY_SLOW_RESTORE: '1' } : {}),
          },
          onLine: heard,
        },
        join(import.meta.dirname, 'tally.ts'),
        '--brokers',
        options.through ?? brokers,
        '--state-dir',
        stateDir(name),
        '--commit-interval',
        options.commitInterval,
        '--workers',
        String(options.workers ?? 1),
        ...(options.words?.(name) ?? []),
        ...(glimpses === null ? [] : ['--port', '0']),
      )
      const readyMs = processor.ready.then(() => now() - started)
      readyMs.catch(() => {})
      const instance: Instance = { ...processor, name, readyMs, lines }
      running.add(instance)
      void instance.ended.then(() => running.delete(instance))
      return instance
    },
    marks: async () => marksOf(await inputs()),
    inputMarks: async () => marksOf((await inputs()).filter(({ topic }) => topic === `${prefix}events`)),
    async passed(marks, limitMs) {
      const began = now()
      for (;;) {
        const committed = await log.committed(topology.name, marks)
        const behind = marks.filter(({ offset }, i) => offset > 0 && (committed[i]?.offset ?? 0) < offset)
        if (behind.length === 0) return now() - began
        if (now() - began > limitMs) {
          const where = behind.map(({ topic, partition }) => `${topic}-${partition}`).join(', ')
          const said = [...running].map((of) => `--- ${of.name}\n${of.said().slice(-2_000)}`).join('\n')
          throw new Error(`not processed within ${limitMs} ms: ${where}\n${said}`)
        }
        await sleep(50)
      }
    },
    async drained() {
      await load.stop()
      const deadline = now() + SETTLE_MS
      let quietSince: number | null = null
      for (;;) {
        const left = await backlog(log, topology, topology.name)
        if (left > 0) quietSince = null
        else quietSince ??= now()
        if (quietSince !== null && now() - quietSince > QUIET_MS) return
        if (now() > deadline) {
          const said = [...running].map((of) => `--- ${of.name}\n${of.said().slice(-2_000)}`).join('\n')
          throw new Error(`${left} records were not processed within ${SETTLE_MS} ms\n${said}`)
        }
        await sleep(100)
      }
    },
    async verdict() {
      await glimpses?.stop()
      return judge(brokers, prefix, (events) => glimpses?.wrong(events) ?? [])
    },
    glimpses: () => glimpses?.counts() ?? null,
    async close() {
      await load.stop()
      for (const instance of running) {
        process.kill(instance.pid, 'SIGCONT')
        await instance.kill()
      }
      await glimpses?.stop()
      await log.close()
      rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
    },
  }
}

export function stillRuns(instance: Instance): void {
  const last = instance.lines.at(-1)?.text ?? ''
  if (last.startsWith('millrace:')) throw new Error(`${instance.name} gave up: ${last}`)
}

const isRepartition = (name: string, applicationId: string): boolean =>
  name.startsWith(`${applicationId}-`) && name.endsWith('-repartition')

/** Writes events at a steady rate; goes on over a broker that dies. */
function openLoad(log: Log, options: FleetOptions, partitions: number): { stop(): Promise<void> } {
  const { prefix, eventsPerSecond = 400, padBytes = 0 } = options
  const writer = log.writer({ transactionalId: `${prefix}load`, guarantee: 'at_least_once' })
  const pad = 'x'.repeat(padBytes)
  let stopping = false
  let id = 0
  const write = async (): Promise<void> => {
    const began = now()
    let written = 0
    await writer.init()
    while (!stopping) {
      for (const due = ((now() - began) / 1_000) * eventsPerSecond; written < due; written++) {
        const key = Buffer.from(`k${world.random.below(KEYS)}`)
        const value = JSON.stringify({ id: id++, group: `g${world.random.below(GROUPS)}`, pad })
        writer.append(`${prefix}events`, partitionOf(key, partitions), 0, key, Buffer.from(value), NO_HEADERS)
      }
      writer.seal()
      await writer.flush()
      await writer.commit(null, `${prefix}load`, [])
      await sleep(TICK_MS)
    }
  }
  const loop = (async () => {
    while (!stopping) await write().catch(() => sleep(200))
  })()
  return {
    async stop() {
      stopping = true
      await loop
      await writer.close()
    },
  }
}
