// Steps that the log contract is written in. They ask for nothing that only an in-process log can promise: offsets may have
// gaps, what is committed may take a moment to be seen, and the broker may be shared (every name is fresh).
import { expect } from 'vitest'
import { type ErrorCode, MillraceError } from '../../../src/base/errors.ts'
import { type Headers, type LogRecord, NO_HEADERS, partitionName } from '../../../src/base/record.ts'
import { systemWorld } from '../../../src/base/system.ts'
import type {
  CommittedOffset,
  EndOffsets,
  GroupIdentity,
  Guarantee,
  Log,
  Reader,
  ReadFrom,
  TopicKind,
  Writer,
} from '../../../src/log/log.ts'

export const world = systemWorld()

export interface OpenedLog {
  readonly log: Log
  /** A second client of the same log; an in-process log may answer the same object. */
  another(): Promise<Log>
  close(): Promise<void>
}

export interface LogContractOptions {
  /** Bound of one test. */
  readonly timeoutMs?: number
  /** How long to look before "nothing comes" is believed; more than a fetch may wait. */
  readonly settleMs?: number
  /** Readers with isolation 'uncommitted' see open epochs. */
  readonly uncommitted?: boolean
  /** Runs of the property test; each makes a topic. */
  readonly propertyRuns?: number
}

export interface Suite {
  readonly log: Log
  readonly another: () => Promise<Log>
  readonly options: Required<LogContractOptions>
}

/** Answers the suite of the running test; the log is opened once, before the first. */
export type SuiteOf = () => Suite

export function fresh(what: string): string {
  return `${what}-${world.random.hex(6)}`
}

export async function freshTopic(log: Log, partitions = 1, kind: TopicKind = 'plain'): Promise<string> {
  const name = fresh('topic')
  await log.createTopics([{ name, partitions, kind }])
  return name
}

export async function freshWriter(log: Log, guarantee: Guarantee = 'exactly_once', transactionalId = fresh('writer')): Promise<Writer> {
  const writer = log.writer({ transactionalId, guarantee })
  await writer.init()
  return writer
}

export interface Sent {
  readonly partition?: number
  readonly timestamp?: number
  readonly key?: string | null
  readonly value: string | null
  readonly headers?: Headers
}

export function bytes(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text)
}

export function append(writer: Writer, topic: string, records: readonly (string | Sent)[]): void {
  for (const record of records) {
    const sent: Sent = typeof record === 'string' ? { value: record } : record
    writer.append(topic, sent.partition ?? 0, sent.timestamp ?? 1, bytes(sent.key ?? null), bytes(sent.value), sent.headers ?? NO_HEADERS)
  }
}

export interface Barrier {
  readonly identity?: GroupIdentity | null
  readonly groupId?: string
  readonly offsets?: readonly CommittedOffset[]
}

/** Seal, flush, commit. */
export async function commit(writer: Writer, barrier: Barrier = {}): Promise<EndOffsets> {
  writer.seal()
  const ends = await writer.flush()
  await writer.commit(barrier.identity ?? null, barrier.groupId ?? '', barrier.offsets ?? [])
  return ends
}

/** A whole epoch by a writer of its own: what it holds comes after everything that was sent before. */
export async function commitOnce(log: Log, topic: string, records: readonly (string | Sent)[]): Promise<void> {
  await log.topics([topic])
  const writer = await freshWriter(log)
  append(writer, topic, records)
  await commit(writer)
  await writer.close()
}

export function textOf(record: LogRecord): string {
  return record.value === null ? '<null>' : record.value.toString()
}

export interface ReadOptions {
  readonly partitions?: number
  readonly isolation?: 'committed' | 'uncommitted'
}

/** All records of a topic by partition, read from the start until `done` says so. */
export async function readUntil(
  log: Log,
  topic: string,
  done: (records: readonly (readonly LogRecord[])[], positions: readonly number[]) => boolean,
  options: ReadOptions = {},
): Promise<LogRecord[][]> {
  const partitions = Array.from({ length: options.partitions ?? 1 }, (_, partition) => ({ topic, partition }))
  const starts = await log.offsets(partitions, 'earliest')
  const reader = log.reader({ isolation: options.isolation ?? 'committed' })
  const positions = [...starts]
  const records: LogRecord[][] = partitions.map(() => [])
  reader.assign(partitions.map((partition, i) => ({ ...partition, offset: starts[i] as number })))
  try {
    await until(
      () => done(records, positions),
      async () => {
        await gather(reader, records, positions)
      },
      () => `read so far: ${JSON.stringify(records.map((of) => of.map(textOf)))}, positions ${positions.join(' ')}`,
    )
  } finally {
    await reader.close()
  }
  return records
}

async function gather(reader: Reader, records: LogRecord[][], positions: number[]): Promise<void> {
  for (const chunk of await reader.poll(200)) {
    const last = records[chunk.partition]?.at(-1)
    let before = last === undefined ? -1 : last.offset
    for (const record of chunk.records) {
      expect(record.offset, `offsets of ${partitionName(chunk.topic, chunk.partition)} rise`).toBeGreaterThan(before)
      before = record.offset
      records[chunk.partition]?.push(record)
    }
    expect(chunk.position, 'the position is past the last record').toBeGreaterThan(before)
    expect(chunk.position, 'the position moves').toBeGreaterThanOrEqual(positions[chunk.partition] as number)
    positions[chunk.partition] = chunk.position
  }
}

/** The values of partition 0 up to and with `last`. */
export async function valuesUpTo(
  log: Log,
  topic: string,
  last: string,
  isolation: 'committed' | 'uncommitted' = 'committed',
): Promise<string[]> {
  const records = await readUntil(log, topic, ([first]) => first?.some((record) => textOf(record) === last) ?? false, { isolation })
  return records[0]?.map(textOf) ?? []
}

/** Puts a last record into partition 0 and answers everything a committed reader finds before it. */
export async function committedValues(log: Log, topic: string): Promise<string[]> {
  const last = fresh('last')
  await commitOnce(log, topic, [last])
  return (await valuesUpTo(log, topic, last)).slice(0, -1)
}

export function readerAt(log: Log, from: readonly ReadFrom[], isolation: 'committed' | 'uncommitted' = 'committed'): Reader {
  const reader = log.reader({ isolation })
  reader.assign(from)
  return reader
}

/** Polls for as long as the suite needs to believe that nothing more comes. */
export async function values(reader: Reader, forMs: number): Promise<string[]> {
  const seen: string[] = []
  const end = world.clock.monotonic() + forMs
  for (let left = forMs; left > 0; left = end - world.clock.monotonic()) {
    for (const chunk of await reader.poll(Math.min(left, 100))) seen.push(...chunk.records.map(textOf))
  }
  return seen
}

/** Polls until this many records have come. */
export async function take(reader: Reader, count: number): Promise<string[]> {
  const seen: string[] = []
  await until(
    () => seen.length >= count,
    async () => {
      for (const chunk of await reader.poll(200)) seen.push(...chunk.records.map(textOf))
    },
    () => `wanted ${count} records, got ${JSON.stringify(seen)}`,
  )
  return seen
}

export async function until(done: () => boolean, step: () => Promise<void>, story: () => string, boundMs = 30_000): Promise<void> {
  const end = world.clock.monotonic() + boundMs
  while (!done()) {
    if (world.clock.monotonic() > end) throw new Error(`gave up after ${boundMs} ms; ${story()}`)
    await step()
  }
}

export async function waitFor(what: string, done: () => boolean): Promise<void> {
  await until(
    done,
    () => world.timers.sleep(5),
    () => what,
  )
}

/** The error that the call ends in; it must be ours, with this code. */
export async function refusal(code: ErrorCode, call: () => unknown): Promise<MillraceError> {
  try {
    await call()
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    const ours = error as MillraceError
    expect(ours.code, ours.message).toBe(code)
    return ours
  }
  throw new Error(`expected ${code}, but the call succeeded`)
}

export function position(topic: string, partition: number, offset: number, metadata = ''): CommittedOffset {
  return { topic, partition, offset, metadata }
}
