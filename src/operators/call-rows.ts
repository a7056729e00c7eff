// Where the records of a `mapAsync` lie until their calls have been answered: a queue a key, and what state its head is in.
//
// Rows, by their first byte: META: counts, and where the last record came from. QUEUE, key, place in the queue: idempotency key, record.
// ENDS, key: first and next place. READY, sequence: a head that waits for its turn. CALLED, sequence: a head whose call is under way, and
// since when. RETRY, time, sequence: a head that is called for again then.
//
// Invariants
// 1. Of a key the one that came first is the head; only heads leave. A queue without records leaves no row behind.
// 2. A head is in one of READY, CALLED and RETRY; what is behind it in none.
// 3. Nothing of it is in memory. An idempotency key depends on where the record came from and what is in it, not on what is called when.
import { murmur2 } from '../base/murmur2.ts'
import { encodePair, decodePair } from '../serde/ordered.ts'
import { rowKey, rowsBefore, rowTime } from '../serde/window-rows.ts'
import type { Site, StoreView } from './operator.ts'
import { pack, unpack } from './packed.ts'
import { type Arrival, decodeParked, encodeParked, type Parked } from './parked-record.ts'
import { type RowWriter, rowWriter } from './row-writer.ts'

const META = Buffer.of(0)
const QUEUE = 1
const ENDS = 2
const READY = 3
const CALLED = 4
const RETRY = 5
const NOTHING = Buffer.alloc(0)

/** The head of a queue. */
export interface Head {
  /** Its queue: a key, or of a record without order its own. */
  readonly own: Buffer
  readonly sequence: number
  /** Calls that have failed. */
  readonly failures: number
}

export interface Called extends Head {
  readonly idempotencyKey: string
  readonly parked: Parked
  readonly sinceMs: number
}

interface Meta {
  readonly next: number
  readonly count: number
  /** The record parked last: how many of the same origin were before it. */
  readonly partition: number
  readonly offset: number
  readonly nth: number
  readonly topic: string
}

const NO_META: Meta = { next: 0, count: 0, partition: -1, offset: -1, nth: 0, topic: '' }

export class CallRows {
  readonly #store: StoreView
  readonly #site: Site
  readonly #put: RowWriter

  constructor(site: Site) {
    this.#store = site.store(0)
    this.#site = site
    this.#put = rowWriter(this.#store, site.context)
  }

  /** How many there are now. */
  get count(): number {
    return this.#meta().count
  }

  /** Behind the others of its queue; null: of a queue of its own. */
  park(queue: Buffer | null, arrival: Arrival, nowMs: number, streamMs: number): void {
    const meta = this.#meta()
    const { topic, partition, offset } = arrival.origin
    const again = topic === meta.topic && partition === meta.partition && offset === meta.offset
    const nth = again ? meta.nth + 1 : 0
    const own = queue ?? Buffer.concat([Buffer.of(2), number(meta.next)])
    const { first, next } = this.#ends(own)
    const parked: Parked = { ...arrival, sequence: meta.next, parkedAtMs: nowMs, parkedAtStreamMs: streamMs }
    const id = Buffer.from(this.#idempotencyKey(parked, nth))
    this.#put(place(own, next), encodePair(id, encodeParked(parked)))
    this.#put(ends(own), pack([first, next + 1], []))
    this.#putMeta({ next: meta.next + 1, count: meta.count + 1, topic, partition, offset, nth })
    if (first === next) this.#ready({ own, sequence: parked.sequence, failures: 0 })
  }

  firstReady(): Head | null {
    const row = this.#first(READY, Buffer.of(READY + 1))
    return row === null ? null : this.#head(row)
  }

  /** Its call begins. */
  call(head: Head, nowMs: number): Called {
    this.#put(rowKey(READY, head.sequence, NOTHING), null)
    this.#put(rowKey(CALLED, head.sequence, NOTHING), state(head, nowMs))
    return this.#called(head, nowMs)
  }

  /** Those whose calls were under way when this was written, in the order of their records. */
  called(): Called[] {
    const all: Called[] = []
    for (const [row] of this.#store.scan({ from: Buffer.of(CALLED), to: Buffer.of(CALLED + 1), toExclusive: true })) {
      const head = this.#head(row)
      all.push(this.#called(head, head.sinceMs))
    }
    return all
  }

  /** It counts as called for since then. */
  calledSince(head: Head, sinceMs: number): void {
    this.#put(rowKey(CALLED, head.sequence, NOTHING), state(head, sinceMs))
  }

  /** Its call has failed; it is called for again then. */
  retry(head: Head, atMs: number): void {
    this.#put(rowKey(CALLED, head.sequence, NOTHING), null)
    this.#put(rowKey(RETRY, atMs, number(head.sequence)), state({ ...head, failures: head.failures + 1 }, atMs))
  }

  /** When the next one is called for again; null: none is. */
  nextRetryMs(): number | null {
    const row = this.#first(RETRY, Buffer.of(RETRY + 1))
    return row === null ? null : rowTime(row)
  }

  /** One of those whose time has come is ready. False: there is none. */
  again(nowMs: number): boolean {
    const row = this.#first(RETRY, rowsBefore(RETRY, nowMs + 1))
    if (row === null) return false
    const head = this.#head(row)
    this.#put(row, null)
    this.#ready(head)
    return true
  }

  /** The head, whether it was called for or not, goes; the next of its queue is ready. */
  leave({ own, sequence }: Head): void {
    const { first, next } = this.#ends(own)
    const meta = this.#meta()
    this.#put(rowKey(CALLED, sequence, NOTHING), null)
    const ready = rowKey(READY, sequence, NOTHING)
    if (this.#store.getBytes(ready) !== null) this.#put(ready, null)
    this.#put(place(own, first), null)
    this.#put(ends(own), first + 1 === next ? null : pack([first + 1, next], []))
    this.#putMeta({ ...meta, count: meta.count - 1 })
    if (first + 1 === next) return
    const { rest } = this.#row(own, first + 1)
    this.#ready({ own, sequence: decodeParked(rest).sequence, failures: 0 })
  }

  #called(head: Head, sinceMs: number): Called {
    const { first, rest } = this.#row(head.own, this.#ends(head.own).first)
    return { ...head, sinceMs, idempotencyKey: first.toString(), parked: decodeParked(rest) }
  }

  #row(own: Buffer, at: number): { readonly first: Buffer; readonly rest: Buffer } {
    return decodePair(this.#store.getBytes(place(own, at))?.value ?? NOTHING)
  }

  #ready(head: Head): void {
    this.#put(rowKey(READY, head.sequence, NOTHING), state(head, 0))
  }

  #head(row: Buffer): Head & { readonly sinceMs: number } {
    const { numbers, fields } = unpack(this.#store.getBytes(row)?.value ?? NOTHING, 3)
    const [sequence, failures, sinceMs] = numbers as [number, number, number]
    return { own: fields[0] as Buffer, sequence, failures, sinceMs }
  }

  #first(region: number, below: Buffer): Buffer | null {
    return this.#store.first(region, below)
  }

  /** Several records may come of one input record, also at different times: their content tells them apart then. */
  #idempotencyKey({ origin, key, value, timestamp, sequence }: Parked, nth: number): string {
    const { topic, partition, offset } = origin
    const hash = (murmur2(Buffer.concat([number(timestamp), key ?? NOTHING, value ?? NOTHING])) >>> 0).toString(36)
    const from = offset < 0 ? `${this.#site.partition}-s${sequence}` : `${topic}-${partition}-${offset}`
    return `${this.#store.name}:${from}${nth === 0 ? '' : `.${nth}`}:${hash}`
  }

  #ends(own: Buffer): { readonly first: number; readonly next: number } {
    const row = this.#store.getBytes(ends(own))
    const [first = 0, next = 0] = row === null ? [] : unpack(row.value, 2).numbers
    return { first, next }
  }

  #meta(): Meta {
    const row = this.#store.getBytes(META)
    if (row === null) return NO_META
    const { numbers, fields } = unpack(row.value, 5)
    const [next, count, partition, offset, nth] = numbers as [number, number, number, number, number]
    return { next, count, partition, offset, nth, topic: String(fields[0]) }
  }

  #putMeta({ next, count, partition, offset, nth, topic }: Meta): void {
    this.#put(META, pack([next, count, partition, offset, nth], [Buffer.from(topic)]))
  }
}

function ends(own: Buffer): Buffer {
  return Buffer.concat([Buffer.of(ENDS), own])
}

function place(own: Buffer, n: number): Buffer {
  return Buffer.concat([Buffer.of(QUEUE), encodePair(own, number(n))])
}

function state({ own, sequence, failures }: Head, atMs: number): Buffer {
  return pack([sequence, failures, atMs], [own])
}

function number(n: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleBE(n)
  return bytes
}
