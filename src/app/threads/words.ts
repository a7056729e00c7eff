// What a processor and the threads of its workers say to each other. Functions and classes do not cross; bytes and plain objects do.
//
// Invariants
// 1. A question has a number and one answer, by that number; a thread answers what it can at once and goes on with its records.
// 2. Rows cross in one buffer that is handed over, not copied: a Buffer of Node's would take the pool that it lies in along.
import type { MessagePort } from 'node:worker_threads'
import type { ErrorWords, LogLine } from '../../base/crossing.ts'
import type { Peer, Place } from '../../assignment/peers.ts'
import type { ProcessorOptions } from '../../config.ts'
import type { WorkerReading } from '../../server/metrics.ts'
import type { ScanRange, Stored } from '../../state/store.ts'
import type { Word } from '../crew.ts'

/** How a thread begins. */
export interface ThreadData {
  readonly millraceWorker: number
  /** Workers of the process. */
  readonly count: number
  /** URL of the module that exports the topology. */
  readonly module: string
  readonly options: ProcessorOptions
  readonly processId: string
  /** Of the plan that the processor has: the module must give the same one. */
  readonly fingerprint: string
  readonly metrics: boolean
  /** Folder in which the process keeps compiled code; null: it does not. */
  readonly compiledIn: string | null
  /** Where the process answers queries; null: nowhere. */
  readonly place: Place | null
  readonly door: Door
}

/** Where the processor asks and waits. */
export interface Door {
  readonly port: MessagePort
  /** Grows with each answer. */
  readonly answers: Int32Array<SharedArrayBuffer>
}

/** In place of a task's id: the global tables. */
export const GLOBAL = 'global'

/** `task` is a task's id, or GLOBAL. */
export type Question =
  | { readonly kind: 'rows'; readonly task: string; readonly store: string; readonly keys: Uint8Array }
  | { readonly kind: 'scan'; readonly scans: readonly Scan[] }
  | { readonly kind: 'next'; readonly cursor: number }
  | { readonly kind: 'end'; readonly cursor: number }
  | { readonly kind: 'size'; readonly task: string; readonly store: string }
  | { readonly kind: 'metrics' }
  | { readonly kind: 'close'; readonly leave: boolean }

export interface Scan {
  readonly cursor: number
  readonly task: string
  readonly store: string
  readonly range: ScanRange
}

export type Reply = Uint8Array | WorkerReading | number | null

export interface Asked {
  readonly id: number
  readonly question: Question
}

export type Answered =
  | { readonly kind: 'answer'; readonly id: number; readonly reply: Reply }
  | { readonly kind: 'answer'; readonly id: number; readonly error: ErrorWords }

/** What a thread says unasked. */
export type Said =
  | Answered
  /** Its log is open: from here on it is closed in order. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly error: ErrorWords }
  | { readonly kind: 'word'; readonly word: Word }
  | { readonly kind: 'peers'; readonly peers: readonly Peer[] }
  | LogLine
  | { readonly kind: 'take'; readonly id: number; readonly name: string }
  | { readonly kind: 'give'; readonly name: string }

/** What it is told besides questions. */
export type Told =
  | Asked
  | { readonly taken: number; readonly free: boolean }
  /** The topics are there: it may begin. */
  | { readonly begin: true }

const NONE = 0xffff_ffff
const HEAD_BYTES = 16

export type Entry = readonly [key: Buffer, stored: Stored | undefined]

/** One buffer of its own, to be handed over. */
export function packEntries(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  let bytes = 0
  for (const [key, stored] of entries) bytes += HEAD_BYTES + key.length + (stored?.value.length ?? 0)
  const packed = Buffer.from(new ArrayBuffer(bytes))
  let at = 0
  for (const [key, stored] of entries) {
    packed.writeUInt32BE(key.length, at)
    packed.writeUInt32BE(stored === undefined ? NONE : stored.value.length, at + 4)
    packed.writeDoubleBE(stored?.timestamp ?? 0, at + 8)
    at += HEAD_BYTES
    at += key.copy(packed, at)
    if (stored !== undefined) at += stored.value.copy(packed, at)
  }
  return packed
}

export function unpackEntries(packed: Uint8Array): Entry[] {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  const entries: Entry[] = []
  for (let at = 0; at < bytes.length; ) {
    const keyBytes = bytes.readUInt32BE(at)
    const valueBytes = bytes.readUInt32BE(at + 4)
    const timestamp = bytes.readDoubleBE(at + 8)
    at += HEAD_BYTES
    const key = bytes.subarray(at, at + keyBytes)
    at += keyBytes
    if (valueBytes === NONE) entries.push([key, undefined])
    else {
      entries.push([key, { value: bytes.subarray(at, at + valueBytes), timestamp }])
      at += valueBytes
    }
  }
  return entries
}
