// Lists the dead letters of an application, writes them back to where they were read from, or drops them. Beside the running application or
// without it: it needs its log alone.
//
// 1. A letter is replayed once: the record and the note that it is done are of one transaction. What was killed in between has done neither.
// 2. Of two commands at a time the later one fences the earlier, and begins with what that had committed.
// 3. Letters of a partition go in their order, and those of a record's partition are in one partition. One that cannot be replayed is named and
//    stays; none is replayed in parts.
// 4. Letters that come after the call are not touched: a record that fails again does not go round.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { whenThere } from '../base/not-yet.ts'
import type { World } from '../base/ports.ts'
import { NO_HEADERS, recordBytes, type LogRecord } from '../base/record.ts'
import type { Log, TopicInfo, Writer } from '../log/log.ts'
import { deadLetterDoneTopic, deadLetterTopic } from '../runtime/dead-letter.ts'
import type { Plan } from '../topology/plan-types.ts'
import { pairWritings, prepareSerdes } from '../topology/prepare.ts'
import type { DeadLetterAsk } from './dead-letter-ask.ts'
import { type Done, encodeDone, isDone, readDone, walk } from './dead-letter-done.ts'
import {
  dropping,
  isWhole,
  keyText,
  type Origin,
  originOf,
  originText,
  placeOf,
  readOrigin,
  replayHeaders,
  returning,
  returnTopic,
  showLetter,
  waitingBytes,
} from './letter.ts'
import type { TopicSerdes } from './serdes.ts'
import { shownSerdes } from './topic-serdes.ts'

export interface DeadLetterOptions {
  readonly log: Log
  /** Null: keys and values are shown as text. */
  readonly plan: Plan | null
  readonly applicationId: string
  readonly world: World
  /** The plan is what runs: no letter comes back by a topic that it does not read. */
  readonly running?: boolean
}

const BATCHES_PER_SECOND = 10
const BATCH_RECORDS_MAX = 1_000
const RATE = 100
/** Well under the transaction timeout. */
const OPEN_MAX_MS = LIMITS.transactionTimeoutMs / 8

interface Scope {
  readonly options: DeadLetterOptions
  readonly ask: DeadLetterAsk
  readonly signal: AbortSignal
  readonly topic: TopicInfo
  readonly serdes: KnownSerdes
  /** Offsets that were named and not met as pending. */
  readonly named: Set<string>
  /** Partitions that a letter can be in. */
  readonly partitions: readonly number[]
}

export async function* deadLetters(options: DeadLetterOptions, ask: DeadLetterAsk, signal: AbortSignal): AsyncGenerator<readonly string[]> {
  const name = deadLetterTopic(options.applicationId)
  const topic = (await options.log.topics([name])).get(name)
  if (topic === undefined)
    throw new MillraceError('STREAM_USAGE', `there is no topic ${name}: the application ${options.applicationId} has not run here`)
  const places = ask.offsets?.map((place) => Number(place.split(':')[0]))
  const partitions = Array.from({ length: topic.partitions }, (_, partition) => partition).filter((one) => places?.includes(one) ?? true)
  const scope: Scope = { options, ask, signal, topic, serdes: knownSerdes(options.plan), named: new Set(ask.offsets), partitions }
  yield* ask.act === 'list' ? list(scope) : settle(scope, ask.act)
  if (!signal.aborted && scope.named.size > 0) yield [...scope.named].map((place) => JSON.stringify({ absent: place }))
}

async function* list(scope: Scope): AsyncGenerator<readonly string[]> {
  const { options, ask, topic, partitions } = scope
  const doneOf = await readDone(options.log, deadLetterDoneTopic(options.applicationId), topic.id, 'latest')
  let left = ask.limit ?? Number.MAX_SAFE_INTEGER
  for (const partition of partitions) {
    if (left === 0) break
    const done = doneOf(partition)
    for await (const records of lettersOf(scope, partition, ask.all === true ? 0 : done.before)) {
      await scope.serdes.learn(records)
      const lines = await whenThere(() => listed(scope, partition, done, records, left))
      left -= lines.length
      if (lines.length > 0) yield lines
      if (left === 0) break
    }
  }
  if (left === 0) scope.named.clear() // the others may well be there
}

function listed(scope: Scope, partition: number, done: Done, records: readonly LogRecord[], max: number): string[] {
  const lines: string[] = []
  for (const record of records) {
    if (lines.length === max) break
    const over = isDone(done, record.offset)
    if ((over && scope.ask.all !== true) || !isMeant(scope, partition, record)) continue
    lines.push(showLetter(placeOf(partition, record.offset), record, scope.serdes.of(record), over))
  }
  return lines
}

async function* settle(scope: Scope, act: 'replay' | 'drop'): AsyncGenerator<readonly string[]> {
  const { options, ask, topic, signal, partitions } = scope
  const { log, world } = options
  const doneTopic = deadLetterDoneTopic(options.applicationId)
  await log.createTopics([{ name: doneTopic, partitions: 1, kind: 'changelog' }])
  const writer = log.writer({ transactionalId: `${topic.name}-replay`, guarantee: 'exactly_once' })
  try {
    await writer.init()
    const doneOf = await readDone(log, doneTopic, topic.id, 'settled')
    const rate = act === 'drop' ? Number.POSITIVE_INFINITY : (ask.rate ?? RATE)
    const batchMax = Math.min(BATCH_RECORDS_MAX, Math.max(1, Math.floor(rate / BATCHES_PER_SECOND)))
    const begun = world.clock.monotonic()
    const sending = sender(options, ask, writer)
    let left = ask.limit ?? Number.MAX_SAFE_INTEGER
    let total = 0
    for (const partition of partitions) {
      if (left === 0 || signal.aborted) break
      const former = doneOf(partition)
      const way = walk(former)
      let batch = 0
      let bytes = 0
      let openedAt = 0
      const commit = async (): Promise<string> => {
        const row = encodeDone(way.now(), topic.id)
        writer.append(doneTopic, 0, world.clock.now(), Buffer.from(String(partition)), row, NO_HEADERS)
        writer.seal()
        await writer.flush()
        await writer.commit(null, '', [])
        const line = JSON.stringify({ done: batch })
        total += batch
        batch = 0
        bytes = 0
        return line
      }
      for await (const records of lettersOf(scope, partition, former.before)) {
        await scope.serdes.learn(records)
        const open = records.filter(({ offset }) => !isDone(former, offset))
        const meant = new Set(await whenThere(() => open.filter((record) => isMeant(scope, partition, record))))
        await sending.learn(meant)
        for (const record of records) {
          if (isDone(former, record.offset)) {
            way.done(record.offset)
            continue
          }
          if (left === 0 || !meant.has(record)) {
            way.open(record.offset)
            continue
          }
          const place = placeOf(partition, record.offset)
          if (batch === 0) openedAt = world.clock.monotonic()
          const whole = act === 'drop' || isWhole(record) ? record : await sending.find(record)
          const refused = act === 'drop' ? sending.drop(record) : sending.send(record, whole, place)
          if (refused !== null) {
            way.open(record.offset)
            yield [JSON.stringify({ refused: place, reason: refused })]
            continue
          }
          way.done(record.offset)
          left--
          batch++
          bytes += recordBytes(record.key, record.value, record.headers)
          if (batch < batchMax && bytes < LIMITS.epochBytesMax) continue
          yield [await commit()]
          const waitMs = begun + (total * 1_000) / rate - world.clock.monotonic()
          if (waitMs > 0) await world.timers.sleep(waitMs)
          if (signal.aborted) return
        }
        if (left === 0) break
        // Where few of many are meant: a transaction must not stay open for the whole way.
        if (batch > 0 && world.clock.monotonic() - openedAt > OPEN_MAX_MS) yield [await commit()]
      }
      if (batch > 0) yield [await commit()]
    }
    if (left === 0) scope.named.clear()
  } catch (error) {
    throw retold(error)
  } finally {
    await writer.close()
  }
}

function retold(error: unknown): unknown {
  if (!(error instanceof MillraceError) || (error.code !== 'STREAM_FENCED' && error.code !== 'STREAM_DOUBT')) return error
  const why = error.code === 'STREAM_FENCED' ? 'another dead-letter command of this application has taken over' : 'the last commit failed'
  return new MillraceError(error.code, `${why}; run it again: what is done is not done twice`, { cause: error, disposition: 'stop' })
}

interface Sender {
  /** Looks up where the records came from. */
  learn(letters: Iterable<LogRecord>): Promise<void>
  /** The record of a letter that is not whole; null: it is gone. */
  find(letter: LogRecord): Promise<LogRecord | null>
  /** Appends the record that a letter was; answers why that cannot be. */
  send(letter: LogRecord, record: LogRecord | null, place: string): string | null
  /** Tells the task whose key a letter keeps waiting. */
  drop(letter: LogRecord): null
}

function sender({ log, world, plan, running }: DeadLetterOptions, { toInput = false }: DeadLetterAsk, writer: Writer): Sender {
  const partitions = new Map<string, number>()
  const read = running === true && plan !== null ? returnTopics(plan) : null
  const unfit = (origin: Origin | null): string | null => {
    if (origin === null) return 'its headers do not say where it came from'
    const count = partitions.get(origin.topic) ?? 0
    if (count === 0) return `there is no topic ${origin.topic} any more`
    return origin.partition < count ? null : `topic ${origin.topic} has ${count} partitions, it came from partition ${origin.partition}`
  }
  /** Null: the letter keeps no key waiting, or nobody knows of it any more, or what runs keeps no keys waiting now. */
  const waitsAt = (letter: LogRecord, origin: Origin): string | null => {
    const topic = returnTopic(letter)
    return topic !== null && read?.has(topic) !== false && origin.partition < (partitions.get(topic) ?? 0) ? topic : null
  }
  return {
    async learn(letters) {
      const topics = new Set<string>()
      for (const letter of letters) topics.add(originOf(letter.headers)?.topic ?? '').add(returnTopic(letter) ?? '')
      const missing = [...topics].filter((topic) => topic !== '' && !partitions.has(topic))
      if (missing.length === 0) return
      const infos = await log.topics(missing)
      for (const topic of missing) partitions.set(topic, infos.get(topic)?.partitions ?? 0)
    },
    async find(letter) {
      const origin = originOf(letter.headers)
      return origin === null || unfit(origin) !== null ? null : await readOrigin(log, origin, letter, world)
    },
    send(letter, record, place) {
      const origin = originOf(letter.headers)
      const why = unfit(origin)
      if (origin === null || why !== null) return why
      if (record === null) return `it is too long to be whole, and ${originText(origin)} is not there any more`
      const waits = waitsAt(letter, origin)
      if (waits !== null && toInput && read !== null)
        return 'its key waits in the application that runs; without --to-input it goes where it stood'
      if (waits !== null && !toInput) {
        const back = returning(origin, record, place)
        if (waitingBytes(origin, record, back) > LIMITS.recordBytesMax)
          return 'it is too long to come back into the queue of its key; drop it'
        writer.append(waits, origin.partition, 0, record.key, record.value, back)
        return null
      }
      const headers = replayHeaders(record.headers, place)
      // One that fills a record to the last byte goes without the header that says what it is.
      const fits = recordBytes(record.key, record.value, headers) <= LIMITS.recordBytesMax
      writer.append(origin.topic, origin.partition, record.timestamp, record.key, record.value, fits ? headers : record.headers)
      return null
    },
    drop(letter) {
      const origin = originOf(letter.headers)
      const waits = origin === null ? null : waitsAt(letter, origin)
      if (origin !== null && waits !== null) writer.append(waits, origin.partition, 0, letter.key, null, dropping(origin))
      return null
    },
  }
}

/** By which letters come back to the tasks of a plan. */
function returnTopics({ subTopologies }: Plan): ReadonlySet<string> {
  return new Set(
    subTopologies.flatMap(({ nodes }) => nodes.flatMap(({ operator }) => (operator.kind === 'blockKey' ? [operator.topic] : []))),
  )
}

/** Takes the names that it meets off the list of those that are missed. */
function isMeant({ ask, named, serdes }: Scope, partition: number, record: LogRecord): boolean {
  if (ask.offsets !== undefined) {
    const place = placeOf(partition, record.offset)
    if (!ask.offsets.includes(place)) return false
    named.delete(place)
  }
  if (ask.since !== undefined && record.timestamp < ask.since) return false
  if (ask.topic !== undefined && originOf(record.headers)?.topic !== ask.topic) return false
  return ask.key === undefined || keyText(record.key, serdes.of(record)) === ask.key
}

interface KnownSerdes {
  /** Before `of` is asked. */
  learn(records: readonly LogRecord[]): Promise<void>
  of(record: LogRecord): TopicSerdes | null
}

function knownSerdes(plan: Plan | null): KnownSerdes {
  const known = new Map<string, TopicSerdes | null>()
  const topicOf = ({ headers }: LogRecord): string => originOf(headers)?.topic ?? ''
  return {
    async learn(records) {
      if (plan === null) return
      for (const topic of new Set(records.map(topicOf))) {
        if (topic === '' || known.has(topic)) continue
        const serdes = shownSerdes(plan, topic)
        if (serdes !== null) await prepareSerdes(pairWritings(topic, serdes))
        known.set(topic, serdes)
      }
    },
    of: (record) => known.get(topicOf(record)) ?? null,
  }
}

/** What is there now, from an offset on, a chunk at a time; ends early when the signal says so. */
async function* lettersOf({ options, topic, signal }: Scope, partition: number, offset: number): AsyncGenerator<readonly LogRecord[]> {
  const { log } = options
  const place = { topic: topic.name, partition }
  const [first] = (await log.offsets([place], 'earliest')) as [number]
  const [end] = (await log.offsets([place], 'latest')) as [number]
  if (offset > end)
    throw new MillraceError(
      'STREAM_OFFSET_OUT_OF_RANGE',
      `${topic.name}-${partition} ends at ${end}, and letters up to ${offset} are done: it was made anew or cut; delete ${deadLetterDoneTopic(options.applicationId)} to begin with all that it has`,
    )
  let position = Math.max(offset, first)
  if (position >= end) return
  const reader = log.reader()
  const stop = (): void => reader.wake()
  signal.addEventListener('abort', stop)
  try {
    reader.assign([{ ...place, offset: position }])
    while (position < end && !signal.aborted) {
      for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
        position = chunk.position
        const records = chunk.records.filter((record) => record.offset < end)
        if (records.length > 0) yield records
      }
    }
  } finally {
    signal.removeEventListener('abort', stop)
    await reader.close()
  }
}
