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
import { encodeDone, isDone, readDone, walk } from './dead-letter-done.ts'
import { isWhole, keyText, originOf, originText, placeOf, readOrigin, replayHeaders, showLetter } from './letter.ts'
import type { TopicSerdes } from './serdes.ts'
import { shownSerdes } from './topic-serdes.ts'

export interface DeadLetterOptions {
  readonly log: Log
  /** Null: keys and values are shown as text. */
  readonly plan: Plan | null
  readonly applicationId: string
  readonly world: World
}

const BATCHES_PER_SECOND = 10
const BATCH_RECORDS_MAX = 1_000
export const RATE = 100

interface Scope {
  readonly options: DeadLetterOptions
  readonly ask: DeadLetterAsk
  readonly signal: AbortSignal
  readonly topic: TopicInfo
  readonly serdesOf: (record: LogRecord) => Promise<TopicSerdes | null>
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
  const scope: Scope = { options, ask, signal, topic, serdesOf: serdesOf(options.plan), named: new Set(ask.offsets), partitions }
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
      const lines: string[] = []
      for (const record of records) {
        const over = isDone(done, record.offset)
        if ((over && ask.all !== true) || !(await isMeant(scope, partition, record))) continue
        const serdes = await scope.serdesOf(record)
        lines.push(await whenThere(() => showLetter(placeOf(partition, record.offset), record, serdes, over)))
        if (--left === 0) break
      }
      if (lines.length > 0) yield lines
      if (left === 0) break
    }
  }
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
    const send = sender(options, writer)
    let left = ask.limit ?? Number.MAX_SAFE_INTEGER
    let total = 0
    for (const partition of partitions) {
      if (left === 0 || signal.aborted) break
      const former = doneOf(partition)
      const way = walk(former)
      let batch = 0
      let bytes = 0
      const commit = async (): Promise<string> => {
        const row = encodeDone(way.now(), topic.id)
        writer.append(doneTopic, 0, world.clock.now(), Buffer.from(String(partition)), row, NO_HEADERS)
        await ended(writer)
        const line = JSON.stringify({ done: batch })
        total += batch
        batch = 0
        bytes = 0
        return line
      }
      for await (const records of lettersOf(scope, partition, former.before)) {
        for (const record of records) {
          if (isDone(former, record.offset)) {
            way.done(record.offset)
            continue
          }
          if (left === 0 || !(await isMeant(scope, partition, record))) {
            way.open(record.offset)
            continue
          }
          const place = placeOf(partition, record.offset)
          const refused = act === 'drop' ? null : await send(record, place)
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
      }
      if (batch > 0) yield [await commit()]
    }
  } finally {
    await writer.close()
  }
}

async function ended(writer: Writer): Promise<void> {
  try {
    writer.seal()
    await writer.flush()
    await writer.commit(null, '', [])
  } catch (error) {
    const code = error instanceof MillraceError ? error.code : 'STREAM_DOUBT'
    const why = code === 'STREAM_FENCED' ? 'another dead-letter command of this application has taken over' : 'the last commit failed'
    throw new MillraceError(code, `${why}; run it again: what is done is not done twice`, { cause: error, disposition: 'stop' })
  }
}

/** Appends the record that a letter was; answers why that cannot be. */
function sender({ log, world }: DeadLetterOptions, writer: Writer): (letter: LogRecord, place: string) => Promise<string | null> {
  const partitions = new Map<string, number>()
  return async (letter, place) => {
    const origin = originOf(letter.headers)
    if (origin === null) return 'its headers do not say where it came from'
    const { topic, partition } = origin
    let count = partitions.get(topic)
    if (count === undefined) {
      count = (await log.topics([topic])).get(topic)?.partitions ?? 0
      partitions.set(topic, count)
    }
    if (count === 0) return `there is no topic ${topic} any more`
    if (partition >= count) return `topic ${topic} has ${count} partitions, it came from partition ${partition}`
    const record = isWhole(letter) ? letter : await readOrigin(log, origin, letter, world)
    if (record === null) return `it is too long to be whole, and ${originText(origin)} is not there any more`
    const headers = replayHeaders(record.headers, place)
    if (record !== letter && recordBytes(record.key, record.value, headers) > LIMITS.recordBytesMax)
      writer.append(topic, partition, record.timestamp, record.key, record.value, record.headers)
    else writer.append(topic, partition, record.timestamp, record.key, record.value, headers)
    return null
  }
}

/** Takes the names that it meets off the list of those that are missed. */
async function isMeant({ ask, named, serdesOf: serdes }: Scope, partition: number, record: LogRecord): Promise<boolean> {
  if (ask.offsets !== undefined) {
    const place = placeOf(partition, record.offset)
    if (!ask.offsets.includes(place)) return false
    named.delete(place)
  }
  if (ask.since !== undefined && record.timestamp < ask.since) return false
  if (ask.topic !== undefined && originOf(record.headers)?.topic !== ask.topic) return false
  if (ask.key === undefined) return true
  const known = await serdes(record)
  return (await whenThere(() => keyText(record.key, known))) === ask.key
}

function serdesOf(plan: Plan | null): (record: LogRecord) => Promise<TopicSerdes | null> {
  const known = new Map<string, TopicSerdes | null>()
  return async ({ headers }) => {
    const topic = originOf(headers)?.topic
    if (plan === null || topic === undefined) return null
    let serdes = known.get(topic)
    if (serdes === undefined) {
      serdes = shownSerdes(plan, topic)
      if (serdes !== null) await prepareSerdes(pairWritings(topic, serdes))
      known.set(topic, serdes)
    }
    return serdes
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
