// What the control socket offers, done on a log: the owner of the log plugs this in, and a command that has opened the log itself
// calls it directly.
//
// 1. `produce` writes the lines before a refused one; it resolves when they are durable. Requests are taken one after the other.
// 2. `consume` shows what was committed when it was called, whatever comes meanwhile; one chunk is in memory.
// 3. `query` is of committed rows: the given reader's; the store's changelog when nothing runs, or when the key's task runs elsewhere
//    or is being restored.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { whenThere } from '../base/not-yet.ts'
import { partitionOf } from '../base/murmur2.ts'
import type { World } from '../base/ports.ts'
import { closest } from '../base/suggest.ts'
import type { Log, Writer } from '../log/log.ts'
import { pairWritings, prepareSerdes, storeWritings } from '../topology/prepare.ts'
import { changelogHolder, changelogPartitions } from '../runtime/changelog-holder.ts'
import { encodeKey, type QueryableStore, queryableNames, queryableStore, taskPartition } from '../runtime/query.ts'
import { committedValue, type Holder } from '../runtime/reads.ts'
import type { Plan } from '../topology/plan-types.ts'
import { deadLetters } from './dead-letters.ts'
import type { ProcessFigures } from './figures.ts'
import { badLine, type Line } from './lines.ts'
import { parseLine, type RecordLine } from './ndjson.ts'
import { parseKey } from './parse-key.ts'
import { isElsewhere, type RowsAsk, rowLines } from './rows.ts'
import { encodeRecord, showRecord } from './serdes.ts'
import { inputNames, inputSerdes, shownSerdes } from './topic-serdes.ts'
import type { ControlHandler } from './wire.ts'

export interface RecordsOptions {
  readonly log: Log
  /** Null: records can be shown as text, nothing else. */
  readonly plan: Plan | null
  /** Whose dead letters, where there is no plan. */
  readonly applicationId?: string
  readonly world: World
  /** Partitions of input topics that are missing and made; null: they are refused. */
  readonly createPartitions: number | null
  /** The committed row of a running store; absent: read from the changelog. */
  readonly row?: (store: string, key: unknown) => unknown
  /** The running process, for more than one row; absent likewise. */
  readonly holder?: Holder
  /** Of the running process. */
  readonly figures?: () => ProcessFigures
}

export function recordsControl(options: RecordsOptions): ControlHandler {
  let last: Promise<void> = Promise.resolve()
  const writer = new LineWriter(options)
  return {
    produce(lines) {
      const mine = last.then(() => writer.write(lines))
      last = mine.catch(() => {}) // told to whoever asked
      return mine
    },
    consume: (topic, follow, signal) => consume(options, topic, follow, signal),
    query: (store, key) => query(options, store, key),
    rows: (store, ask, limit) => rows(options, store, ask, limit),
    deadLetters(ask, signal) {
      const running = options.figures !== undefined
      return deadLetters({ ...options, applicationId: applicationOf(options), running }, ask, signal)
    },
    async figures() {
      if (options.figures !== undefined) return options.figures()
      throw new MillraceError('STREAM_CLOSED', 'no process runs here: there is nothing to watch')
    },
  }
}

function planOf(options: RecordsOptions): Plan {
  if (options.plan !== null) return options.plan
  throw new MillraceError('STREAM_USAGE', 'which topology is this of? name its file with --topology')
}

function applicationOf({ plan, applicationId }: RecordsOptions): string {
  const id = plan?.applicationId ?? applicationId
  if (id !== undefined) return id
  throw new MillraceError('STREAM_USAGE', 'whose dead letters? name the application with --application-id, or its file with --topology')
}

class LineWriter {
  readonly #options: RecordsOptions
  readonly #partitions = new Map<string, number>()
  #writer: Writer | null = null
  #keyless = 0

  constructor(options: RecordsOptions) {
    this.#options = options
  }

  async write(lines: readonly Line[]): Promise<void> {
    const records: RecordLine[] = []
    let refused: unknown = null
    for (const line of lines) {
      try {
        const parsed = parseLine(line)
        if (parsed === null) continue
        if (parsed.kind !== 'record') throw badLine(line.number, `the command "${parsed.kind}" is of try, not of produce`)
        records.push(parsed)
      } catch (error) {
        refused = error
        break
      }
    }
    for (const topic of new Set(records.map((record) => record.topic))) await this.#know(topic)
    const writer = await this.#ready()
    let appended = 0
    try {
      for (const record of records) {
        this.#append(writer, record)
        if (++appended % LIMITS.taskBatchRecords === 0) await writer.drain()
      }
    } catch (error) {
      refused = error // what stands before a refused line is written
    }
    try {
      writer.seal()
      await writer.flush()
      await writer.commit(null, '', [])
    } catch (error) {
      this.#writer = null
      await writer.close().catch(() => {})
      throw error
    }
    if (refused !== null) throw refused
  }

  async #ready(): Promise<Writer> {
    if (this.#writer === null) {
      const name = `${this.#options.plan?.applicationId ?? 'millrace'}-produce-${this.#options.world.random.hex(8)}`
      const writer = this.#options.log.writer({ transactionalId: name, guarantee: 'at_least_once' })
      await writer.init()
      this.#writer = writer
    }
    return this.#writer
  }

  async #know(topic: string): Promise<void> {
    const { log, createPartitions } = this.#options
    const serdes = inputSerdes(planOf(this.#options), topic)
    if (this.#partitions.has(topic) || serdes === null) return
    await prepareSerdes(pairWritings(topic, serdes))
    let info = (await log.topics([topic])).get(topic)
    if (info === undefined && createPartitions !== null) {
      // All at once, so that inputs that are joined have equal counts.
      const names = [...new Set([topic, ...planOf(this.#options).inputs])]
      const there = await log.topics(names)
      await log.createTopics(
        names.filter((name) => !there.has(name)).map((name) => ({ name, partitions: createPartitions, kind: 'plain' })),
      )
      info = (await log.topics([topic])).get(topic)
    }
    if (info === undefined) throw new MillraceError('STREAM_TOPIC_MISSING', `missing topic ${topic}: create it first`)
    this.#partitions.set(topic, info.partitions)
  }

  #append(writer: Writer, line: RecordLine): void {
    const plan = planOf(this.#options)
    const serdes = inputSerdes(plan, line.topic)
    const partitions = this.#partitions.get(line.topic)
    if (serdes === null || partitions === undefined) {
      const names = inputNames(plan)
      const near = closest(line.topic, names)
      throw badLine(
        line.number,
        `the topology reads no topic ${JSON.stringify(line.topic)}${near === '' ? `; it reads ${names.join(', ')}` : near}`,
      )
    }
    const { key, value } = encodeRecord(line, serdes)
    if (line.partition !== null && line.partition >= partitions)
      throw badLine(line.number, `partition ${line.partition} is out of range: ${line.topic} has ${partitions}`)
    const partition = line.partition ?? (key === null ? this.#keyless++ % partitions : partitionOf(key, partitions))
    writer.append(line.topic, partition, line.timestamp ?? this.#options.world.clock.now(), key, value, line.headers)
  }
}

async function* consume(options: RecordsOptions, topic: string, follow: boolean, signal: AbortSignal): AsyncGenerator<readonly string[]> {
  const { log, plan } = options
  const info = (await log.topics([topic])).get(topic)
  if (info === undefined) {
    const names = await log.topicNames()
    const near = closest(topic, names)
    throw new MillraceError(
      'STREAM_USAGE',
      `there is no topic ${topic}${near === '' ? `; there are: ${names.join(', ') || 'none'}` : near}`,
    )
  }
  const partitions = Array.from({ length: info.partitions }, (_, partition) => ({ topic, partition }))
  const from = await log.offsets(partitions, 'earliest')
  const ends = await log.offsets(partitions, 'latest')
  const open = new Set(
    partitions.filter(({ partition }) => (from[partition] as number) < (ends[partition] as number)).map((p) => p.partition),
  )
  const serdes = plan === null ? null : shownSerdes(plan, topic)
  const reader = log.reader()
  const stop = (): void => reader.wake()
  signal.addEventListener('abort', stop)
  try {
    reader.assign(partitions.filter((p) => follow || open.has(p.partition)).map((p) => ({ ...p, offset: from[p.partition] as number })))
    while (!signal.aborted && (follow || open.size > 0)) {
      for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
        const end = follow ? Number.MAX_SAFE_INTEGER : (ends[chunk.partition] as number)
        const records = chunk.records.filter((record) => record.offset < end)
        if (chunk.position >= end) open.delete(chunk.partition)
        if (records.length > 0) yield await whenThere(() => records.map((record) => showRecord({ ...record, topic }, serdes)))
      }
    }
  } finally {
    signal.removeEventListener('abort', stop)
    await reader.close()
  }
}

function storeNamed(plan: Plan, name: string): QueryableStore {
  const store = queryableStore(plan, name)
  if (store === null) {
    const names = queryableNames(plan)
    const near = closest(name, names)
    throw new MillraceError(
      'STREAM_USAGE',
      `there is no store ${name} in ${plan.topology}${near === '' ? `; there are: ${names.join(', ') || 'none'}` : near}`,
    )
  }
  return store
}

async function* rows(options: RecordsOptions, name: string, ask: RowsAsk, limit: number): AsyncGenerator<readonly string[]> {
  const plan = planOf(options)
  const store = storeNamed(plan, name)
  await prepareSerdes(storeWritings(plan, store.spec))
  yield* rowLines({ log: options.log, plan, world: options.world, holder: options.holder ?? null }, store, ask, limit)
}

async function query(options: RecordsOptions, name: string, text: string): Promise<{ readonly value: unknown } | null> {
  const plan = planOf(options)
  const store = storeNamed(plan, name)
  await prepareSerdes(storeWritings(plan, store.spec))
  const key = parseKey(text, store.spec.key)
  const row = await committedRow(options, plan, store, key)
  if (row === null || row === undefined) return null
  const { value } = store.spec
  return { value: value.toJson === undefined ? row : value.toJson(row) }
}

async function committedRow(options: RecordsOptions, plan: Plan, store: QueryableStore, key: unknown): Promise<unknown> {
  if (options.row === undefined) return await changelogRow(options, plan, store, key)
  try {
    const { row } = options
    return await whenThere(() => row(store.name, key))
  } catch (error) {
    if (!isElsewhere(error)) throw error
    return await changelogRow(options, plan, store, key)
  }
}

/** The last write of the key in the store's changelog: reads the whole partition. */
async function changelogRow({ log, world }: RecordsOptions, plan: Plan, store: QueryableStore, key: unknown): Promise<unknown> {
  const tasks = await changelogPartitions(log, plan, store)
  if (tasks === 0) return null
  const bytes = encodeKey(store, key)
  const partition = store.subTopology < 0 ? 0 : taskPartition(store, key, tasks)
  const own = store.windows?.own ?? null
  const keeps = (row: Buffer): boolean => row.equals(bytes) || own?.equals(row) === true
  const holder = await changelogHolder(log, plan, store, world, { partition, keeps })
  return await whenThere(() => committedValue(holder, store, partition, bytes))
}
