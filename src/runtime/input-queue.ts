// The records of one input partition that a task has not processed yet. The head is decoded when it is looked at, so that a task
// can choose among its inputs by timestamp; nothing behind the head is touched.
//
// Invariants
// 1. `position` is the next offset to read once everything processed so far is committed: it passes control records and skipped ones.
// 2. Records come out in offset order.
import { NotYet } from '../base/not-yet.ts'
import type { LogRecord, TopicPartition } from '../base/record.ts'
import type { Chunk } from '../log/log.ts'
import { readSource, type SourceRecord } from '../operators/index.ts'
import type { PositionNote } from './position.ts'
import type { SourceEntry } from './program.ts'
import { Suspend } from './suspend.ts'

/** A decoded record. `problem`: it could not be decoded or dated, and why. */
export interface Head extends SourceRecord {
  readonly record: LogRecord
  problem: unknown
}

export class InputQueue implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** Several where a topic is read by several sources; the first one dates the record. */
  readonly entries: readonly SourceEntry[]
  position: number
  /** Where the reader goes on: behind what is queued. */
  fetched: number
  /** -1: a position that must be committed before anything is read from it. */
  committed: number
  /** Greatest timestamp processed; -1 before the first. Goes along with the commit. */
  partitionTime = -1
  /** Of the task's timers, as they were when the position was committed. */
  timers = ''
  /** The end of the partition, as last heard; -1: not heard of yet. */
  endOffset = -1
  records = 0
  bytes = 0
  /** Since the task was opened. */
  processed = 0
  paused = false
  /** Since when another input has waited for it, monotonic; -1: none has. */
  awaitedSinceMs = -1
  /** That wait has ended in vain. */
  waitedOut = false
  prefetched = -1
  readonly #chunks: Chunk[] = []
  #next = 0 // index in the first chunk
  #head: Head | null = null

  constructor(at: TopicPartition, entries: readonly SourceEntry[], offset: number) {
    this.topic = at.topic
    this.partition = at.partition
    this.entries = entries
    this.position = offset
    this.fetched = offset
    this.committed = offset
  }

  accept(chunk: Chunk): void {
    this.endOffset = chunk.endOffset
    this.fetched = chunk.position
    if (chunk.records.length === 0) {
      if (this.#chunks.length === 0) this.position = Math.max(this.position, chunk.position)
      else this.#chunks.push(chunk)
      return
    }
    this.#chunks.push(chunk)
    this.awaitedSinceMs = -1
    this.waitedOut = false
    this.records += chunk.records.length
    this.bytes += chunk.bytes
  }

  /** Loses what is queued; the reader goes on at `offset`. */
  rewind(offset: number, { partitionTime, timers }: Omit<PositionNote, 'feeds'>): void {
    this.#chunks.length = 0
    this.#next = 0
    this.#head = null
    this.records = 0
    this.bytes = 0
    this.prefetched = -1
    this.endOffset = -1
    this.awaitedSinceMs = -1
    this.waitedOut = false
    this.position = offset
    this.fetched = offset
    this.committed = offset
    this.partitionTime = partitionTime
    this.timers = timers
  }

  /** The next record, decoded; null when the queue is empty. */
  head(): Head | null {
    if (this.#head !== null) return this.#head
    const record = this.#chunks[0]?.records[this.#next]
    if (record === undefined) return null
    this.#head = decode(record, this.entries[0] as SourceEntry)
    return this.#head
  }

  /** Dead letters come back by it. */
  get isLetters(): boolean {
    return this.entries[0]?.source.carries === 'letters'
  }

  /** The head can't be decoded or dated yet. */
  get isLacking(): boolean {
    return this.head()?.problem instanceof NotYet
  }

  /** What has to be awaited before the head can be decoded anew; null: nothing. */
  lacks(): Suspend | null {
    const problem = this.head()?.problem
    if (!(problem instanceof NotYet)) return null
    this.#head = null
    return new Suspend(problem.need)
  }

  /** The head was processed. */
  shift(): void {
    this.#head = null
    const chunk = this.#chunks[0] as Chunk
    const record = chunk.records[this.#next++] as LogRecord
    this.records--
    this.processed++
    this.position = record.offset + 1
    if (this.#next < chunk.records.length) return
    this.bytes -= chunk.bytes
    this.position = chunk.position
    this.#chunks.shift()
    this.#next = 0
    while (this.#chunks[0]?.records.length === 0) this.position = (this.#chunks.shift() as Chunk).position
  }

  /** Up to `count` coming records with a key that were not asked for before. */
  upcoming(count: number): LogRecord[] {
    const records: LogRecord[] = []
    let at = this.#next
    for (const chunk of this.#chunks) {
      for (; at < chunk.records.length && count > 0; at++, count--) {
        const record = chunk.records[at] as LogRecord
        if (record.offset <= this.prefetched) continue
        this.prefetched = record.offset
        if (record.key !== null) records.push(record)
      }
      at = 0
      if (count === 0) break
    }
    return records
  }
}

export function decode(record: LogRecord, entry: SourceEntry): Head {
  const head: Head = { record, key: null, value: null, old: undefined, timestamp: record.timestamp, problem: null }
  try {
    readSource(entry.source, record, head, entry.unread)
  } catch (error) {
    head.problem = error
  }
  return head
}
