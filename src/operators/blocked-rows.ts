// Where a key's records wait behind its dead letters: a queue a key, in the order in which they were read.
//
// Rows, by their first byte: META: how many records wait, in how many queues. QUEUE, queue, place in it: an entry. ENDS, queue: first and next
// place, and the last offset that came. MARK, topic, offset: the queue and place of a dead letter. READY, queue: its head may go.
//
// Invariants
// 1. An entry is a mark (a dead letter stands there), a record, or gone (a dead letter that was dropped). Only heads leave, and no mark does.
// 2. A letter that comes back takes the place of its mark: its key's order does not depend on when it comes.
// 3. A queue without entries leaves no row behind. Nothing of it is in memory.
import type { LogRecord } from '../base/record.ts'
import { encodePair } from '../serde/ordered.ts'
import type { RecordContext, StoreView } from './operator.ts'
import { type Field, pack, unpack } from './packed.ts'
import { ENDS, number, place, regionKey } from './parking.ts'
import { type RowWriter, rowWriter } from './row-writer.ts'

const META = Buffer.of(0)
const MARK = 3
const READY = 4
const NOTHING = Buffer.alloc(0)
const STATES = ['mark', 'record', 'gone'] as const

export interface BlockedEntry {
  readonly state: (typeof STATES)[number]
  readonly topic: string
  readonly record: LogRecord
  /** What the source's extractor said when the record came; null: it is asked when it goes. */
  readonly at: number | null
}

interface Ends {
  readonly first: number
  readonly next: number
  readonly last: number
}

export class BlockedRows {
  readonly #store: StoreView
  readonly #put: RowWriter

  constructor(store: StoreView, context: RecordContext) {
    this.#store = store
    this.#put = rowWriter(store, context)
  }

  /** Records that wait. */
  get records(): number {
    return this.#meta().records
  }

  get queues(): number {
    return this.#meta().queues
  }

  holds(queue: Buffer): boolean {
    return this.#store.getBytes(regionKey(ENDS, queue)) !== null
  }

  /** It is in the queue, or was. */
  isKnown(queue: Buffer, offset: number): boolean {
    return this.#ends(queue).last >= offset
  }

  head(queue: Buffer): BlockedEntry {
    return decodeBlocked(this.#store.getBytes(place(queue, this.#ends(queue).first))?.value ?? NOTHING)
  }

  /** Behind the others. */
  add(queue: Buffer, entry: BlockedEntry): void {
    const ends = this.#ends(queue)
    const begins = ends.first === ends.next
    this.#putEntry(queue, ends.next, entry)
    this.#putEnds(queue, { first: ends.first, next: ends.next + 1, last: Math.max(ends.last, entry.record.offset) })
    this.#count(entry.state === 'record' ? 1 : 0, begins ? 1 : 0)
    if (begins && entry.state !== 'mark') this.#put(regionKey(READY, queue), NOTHING)
  }

  /** A dead letter: where its record stands, if that is the head; else behind the others. One that is there already is read again, with
   *  at-least-once: two marks and one letter that takes its place would keep the key waiting for good. */
  mark(queue: Buffer, entry: BlockedEntry): void {
    if (this.#store.getBytes(markKey(entry)) !== null) return
    const ends = this.#ends(queue)
    const head = ends.first === ends.next ? null : this.head(queue)
    if (head?.state === 'record' && head.record.offset === entry.record.offset) {
      this.#putEntry(queue, ends.first, entry)
      this.#count(-1, 0)
      this.#unready(queue)
    } else this.add(queue, entry)
  }

  /** What has become of a dead letter takes its place. False: it stands nowhere. */
  settle(entry: BlockedEntry): boolean {
    const mark = markKey(entry)
    const row = this.#store.getBytes(mark)
    if (row === null) return false
    const { numbers, fields } = unpack(row.value, 1)
    const [at, queue] = [numbers[0] as number, fields[0] as Buffer]
    this.#put(mark, null)
    this.#putEntry(queue, at, entry)
    this.#count(entry.state === 'record' ? 1 : 0, 0)
    if (at === this.#ends(queue).first) this.#put(regionKey(READY, queue), NOTHING)
    return true
  }

  /** A queue whose head may go. */
  firstReady(): Buffer | null {
    return this.#store.first(READY, Buffer.of(READY + 1))?.subarray(1) ?? null
  }

  /** The head goes, which is no mark. */
  leave(queue: Buffer): void {
    const ends = this.#ends(queue)
    const { state } = this.head(queue)
    this.#put(place(queue, ends.first), null)
    const first = ends.first + 1
    const last = first === ends.next
    if (last) this.#put(regionKey(ENDS, queue), null)
    else this.#putEnds(queue, { ...ends, first })
    this.#count(state === 'record' ? -1 : 0, last ? -1 : 0)
    if (last || this.head(queue).state === 'mark') this.#unready(queue)
  }

  #unready(queue: Buffer): void {
    this.#put(regionKey(READY, queue), null)
  }

  #putEntry(queue: Buffer, at: number, entry: BlockedEntry): void {
    this.#put(place(queue, at), encode(entry))
    if (entry.state === 'mark') this.#put(markKey(entry), pack([at], [queue]))
  }

  #ends(queue: Buffer): Ends {
    const row = this.#store.getBytes(regionKey(ENDS, queue))
    const [first = 0, next = 0, last = -1] = row === null ? [] : unpack(row.value, 3).numbers
    return { first, next, last }
  }

  #putEnds(queue: Buffer, { first, next, last }: Ends): void {
    this.#put(regionKey(ENDS, queue), pack([first, next, last], []))
  }

  #meta(): { readonly records: number; readonly queues: number } {
    const row = this.#store.getBytes(META)
    const [records = 0, queues = 0] = row === null ? [] : unpack(row.value, 2).numbers
    return { records, queues }
  }

  #count(records: number, queues: number): void {
    if (records === 0 && queues === 0) return
    const meta = this.#meta()
    const now = [meta.records + records, meta.queues + queues]
    this.#put(META, now[1] === 0 ? null : pack(now, []))
  }
}

/** Keys of different topics have nothing to do with each other. */
export function queueOf(topic: string, key: Buffer): Buffer {
  return encodePair(Buffer.from(topic), key)
}

function markKey({ topic, record }: BlockedEntry): Buffer {
  return regionKey(MARK, encodePair(Buffer.from(topic), number(record.offset)))
}

function encode({ state, topic, record, at }: BlockedEntry): Buffer {
  const { offset, timestamp, key, value, headers } = record
  const fields: Field[] = [Buffer.from(topic), key, value]
  for (const [name, header] of headers) fields.push(Buffer.from(name), header)
  return pack([STATES.indexOf(state), offset, timestamp, at === null ? 0 : 1, at ?? 0], fields)
}

export function decodeBlocked(bytes: Buffer): BlockedEntry {
  const { numbers, fields } = unpack(bytes, 5)
  const [state, offset, timestamp, dated, at] = numbers as [number, number, number, number, number]
  const [topic = null, key = null, value = null] = fields
  const headers: (readonly [string, Field])[] = []
  for (let i = 3; i + 1 < fields.length; i += 2) headers.push([String(fields[i]), fields[i + 1] as Field])
  return {
    state: STATES[state] as BlockedEntry['state'],
    topic: String(topic),
    record: { offset, timestamp, key, value, headers },
    at: dated === 1 ? at : null,
  }
}
