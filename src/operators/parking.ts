// Where records wait in a store: a queue a key, and what finds their heads again. Whoever uses it decides what a record waits for and
// when it may go.
//
// Rows, by their first byte: META: counts. QUEUE, key, place in the queue: the record. ENDS, key: first and next place. ORDER, sequence: the
// key of every record. READY, sequence: the key of heads that may be able to go. WAITING, what is waited for, sequence: the key of heads.
// WAITS, what is waited for: how many.
//
// Invariants
// 1. Of a key the one that came first is the head; only heads leave. Sequences and both parking times never fall in the order of parking,
//    so the record that is the oldest of all is a head, and the first that is due.
// 2. Only heads are in WAITING and READY. A queue without records leaves no row behind.
// 3. Nothing of it is in memory.
import { encodePair, pairPrefix } from '../serde/ordered.ts'
import { rowKey } from '../serde/window-rows.ts'
import type { RecordContext, StoreView } from './operator.ts'
import { pack, unpack } from './packed.ts'
import { type Arrival, decodeParked, encodeParked, type Parked } from './parked-record.ts'
import { type RowWriter, rowWriter } from './row-writer.ts'

const META = Buffer.of(0)
export const QUEUE = 1
export const ENDS = 2
const ORDER = 3
const READY = 4
const WAITING = 5
const WAITS = 6
const NOTHING = Buffer.alloc(0)

export class Parking {
  readonly #store: StoreView
  readonly #put: RowWriter

  constructor(store: StoreView, context: RecordContext) {
    this.#store = store
    this.#put = rowWriter(store, context)
  }

  /** How many wait now. */
  get count(): number {
    return this.#meta().count
  }

  holds(own: Buffer): boolean {
    return this.count > 0 && this.#store.getBytes(regionKey(ENDS, own)) !== null
  }

  /** Puts it behind the others of its key. */
  park(own: Buffer, arrival: Arrival, nowMs: number, streamMs: number): Parked {
    const meta = this.#meta()
    const parked: Parked = {
      ...arrival,
      sequence: meta.next,
      parkedAtMs: Math.max(nowMs, meta.count > 0 ? meta.lastMs : nowMs),
      parkedAtStreamMs: streamMs,
    }
    const ends = this.#ends(own)
    this.#put(place(own, ends.next), encodeParked(parked))
    this.#put(regionKey(ENDS, own), pack([ends.first, ends.next + 1], []))
    this.#put(rowKey(ORDER, parked.sequence, NOTHING), own)
    this.#put(META, pack([meta.next + 1, meta.count + 1, parked.parkedAtMs], []))
    if (ends.first === ends.next) this.#wait(own, parked)
    return parked
  }

  head(own: Buffer): Parked | null {
    const row = this.#store.getBytes(place(own, this.#ends(own).first))
    return row === null ? null : decodeParked(row.value)
  }

  /** The head goes; answers with the next one. */
  leave(own: Buffer, head: Parked): Parked | null {
    const { first, next } = this.#ends(own)
    const meta = this.#meta()
    this.#put(place(own, first), null)
    this.#put(regionKey(ENDS, own), first + 1 === next ? null : pack([first + 1, next], []))
    this.#put(rowKey(ORDER, head.sequence, NOTHING), null)
    this.#put(META, pack([meta.next, meta.count - 1, meta.lastMs], []))
    for (const wanted of head.waitsFor) {
      this.#put(waiting(wanted, head.sequence), null)
      const left = this.#waits(wanted) - 1
      this.#put(regionKey(WAITS, wanted), left === 0 ? null : pack([left], []))
    }
    this.unready(head)
    const after = first + 1 === next ? null : this.head(own)
    if (after !== null) this.#wait(own, after)
    return after
  }

  /** Heads that wait for it are to be looked at. False: there is none. */
  arrived(wanted: Buffer): boolean {
    if (this.count === 0 || this.#waits(wanted) === 0) return false
    for (const [row, { value }] of this.#store.prefixBytes(Buffer.concat([Buffer.of(WAITING), pairPrefix(wanted)])))
      this.#put(rowKey(READY, row.readDoubleBE(row.length - 8), NOTHING), value)
    return true
  }

  ready(own: Buffer, { sequence }: Parked): void {
    this.#put(rowKey(READY, sequence, NOTHING), own)
  }

  unready({ sequence }: Parked): void {
    const row = rowKey(READY, sequence, NOTHING)
    if (this.#store.getBytes(row) !== null) this.#put(row, null)
  }

  /** The key of the first head that is to be looked at. */
  firstReady(): Buffer | null {
    return this.#first(READY)
  }

  /** The key of the oldest record, which is its head. */
  oldest(): Buffer | null {
    return this.#first(ORDER)
  }

  #first(region: number): Buffer | null {
    const row = this.#store.first(region, Buffer.of(region + 1))
    return row === null ? null : (this.#store.getBytes(row)?.value ?? null)
  }

  #wait(own: Buffer, { waitsFor, sequence }: Parked): void {
    for (const wanted of waitsFor) {
      this.#put(waiting(wanted, sequence), own)
      this.#put(regionKey(WAITS, wanted), pack([this.#waits(wanted) + 1], []))
    }
  }

  #waits(wanted: Buffer): number {
    const row = this.#store.getBytes(regionKey(WAITS, wanted))
    return row === null ? 0 : (unpack(row.value, 1).numbers[0] as number)
  }

  #ends(own: Buffer): { readonly first: number; readonly next: number } {
    const row = this.#store.getBytes(regionKey(ENDS, own))
    const [first = 0, next = 0] = row === null ? [] : unpack(row.value, 2).numbers
    return { first, next }
  }

  #meta(): { readonly next: number; readonly count: number; readonly lastMs: number } {
    const row = this.#store.getBytes(META)
    const [next = 0, count = 0, lastMs = 0] = row === null ? [] : unpack(row.value, 3).numbers
    return { next, count, lastMs }
  }
}

/** A record's own key, a null one too. */
export function ownKey(bytes: Buffer | null): Buffer {
  return bytes === null ? Buffer.of(0) : Buffer.concat([Buffer.of(1), bytes])
}

export function regionKey(region: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(region), bytes])
}

export function place(own: Buffer, n: number): Buffer {
  return Buffer.concat([Buffer.of(QUEUE), encodePair(own, number(n))])
}

/** Doubles of whole numbers lie in their order. */
export function number(n: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleBE(n)
  return bytes
}

function waiting(wanted: Buffer, sequence: number): Buffer {
  return Buffer.concat([Buffer.of(WAITING), encodePair(wanted, number(sequence))])
}

/** How much of a row's key is read as a prefix: of WAITING what is waited for. */
export function parkingPrefixLength(row: Buffer): number {
  return row[0] === WAITING ? 5 + row.readInt32BE(1) : 1
}
