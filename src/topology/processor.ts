// The processor API as users see it: what a supplier gets, what it gives back, what its stores can do. Types only.
//
// 1. Everything here is synchronous. A read whose rows are not in memory yet undoes the record and runs it again (runtime/suspend.ts),
//    so `process` and timers must not touch anything outside before their last read.
// 2. Keys and values of a store are those of its serdes. A null value is never stored: `put` of null deletes.
import type { Duration } from '../base/duration.ts'

/** A record in and out of a processor. */
export interface ProcessorRecord<K, V> {
  readonly key: K
  readonly value: V
  /** Epoch ms. */
  readonly timestamp: number
  /** Text by name. Left out of what is forwarded: those of the record that is being processed. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Where the record that is being processed came from. */
export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface Cancellable {
  /** The timer does not fire again. Also from within it. */
  cancel(): void
}

/** `stream`: the greatest timestamp that the task has seen; `wall`: the wall clock. */
export type TimerClock = 'stream' | 'wall'

export interface ProcessorContext<K, V, N extends string = never> {
  /** Passes a record on, to all that come after, or to the named output alone. */
  forward(record: ProcessorRecord<K, V>, output?: N): void
  /** A store that `stores` names. */
  store<S>(handle: StoreHandle<S>): S
  store<S = KeyValueStore<unknown, unknown>>(name: string): S
  /** Calls `run` again and again. On stream time it first fires with the first record, on the wall clock after one interval; what was
   *  missed is made up for by one call, and the phase stays. What is set while the supplier runs keeps its next time over a restart. */
  schedule(interval: Duration, clock: TimerClock, run: (timestamp: number) => void): Cancellable
  /** The greatest timestamp that the task has seen; -1 before the first record. */
  currentStreamTimeMs(): number
  currentSystemTimeMs(): number
  /** Where the present record came from; null in a timer. */
  recordMetadata(): RecordMetadata | null
  /** Asks for a commit soon, before the commit interval is over. */
  commit(): void
}

export interface Processor<K, V> {
  process(record: ProcessorRecord<K, V>): void
}

/** Runs once a task. */
export type ProcessorSupplier<K, V, K2, V2, N extends string = never> = (context: ProcessorContext<K2, V2, N>) => Processor<K, V>

declare const STORE: unique symbol

/** A declared store: what `t.store(...)` answers. */
export interface StoreHandle<out S> {
  readonly name: string
  readonly [STORE]?: S
}

export interface ReadOnlyKeyValueStore<K, V> {
  readonly name: string
  get(key: K): V | null
  /** From and to are inclusive, null for an open end; in the order of the keys' bytes. */
  range(from: K | null, to: K | null): IterableIterator<readonly [K, V]>
  reverseRange(from: K | null, to: K | null): IterableIterator<readonly [K, V]>
  all(): IterableIterator<readonly [K, V]>
  reverseAll(): IterableIterator<readonly [K, V]>
  /** Rows whose key, as its serde writes it, begins with these bytes. */
  prefix(bytes: Uint8Array): IterableIterator<readonly [K, V]>
}

export interface KeyValueStore<K, V> extends ReadOnlyKeyValueStore<K, V> {
  /** A null value deletes. */
  put(key: K, value: V | null): void
  /** Writes where there is no row; answers the row that was there. */
  putIfAbsent(key: K, value: V): V | null
  /** Answers the row that was there. */
  delete(key: K): V | null
}

export interface ReadOnlyWindowStore<K, V> {
  readonly name: string
  fetch(key: K, start: number): V | null
  /** Windows of the key whose start lies between, both ends inclusive, ascending: `[start, value]`. */
  fetch(key: K, from: number, to: number): IterableIterator<readonly [number, V]>
  /** Windows of all keys whose start lies between; in no promised order but within a key. */
  fetchAll(from: number, to: number): IterableIterator<readonly [{ readonly key: K; readonly start: number; readonly end: number }, V]>
}

export interface WindowStore<K, V> extends ReadOnlyWindowStore<K, V> {
  /** A null value deletes. A window older than the retention is left out. */
  put(key: K, value: V | null, start: number): void
}

/** A session of a key: both ends inclusive. */
export interface SessionKey<K> {
  readonly key: K
  readonly start: number
  readonly end: number
}

export interface ReadOnlySessionStore<K, V> {
  readonly name: string
  get(session: SessionKey<K>): V | null
  /** Sessions of the key that end at `earliestEnd` or later and start at `latestStart` or earlier, by end and start. */
  findSessions(key: K, earliestEnd: number, latestStart: number): IterableIterator<readonly [SessionKey<K>, V]>
  /** All sessions of the key. */
  fetch(key: K): IterableIterator<readonly [SessionKey<K>, V]>
}

export interface SessionStore<K, V> extends ReadOnlySessionStore<K, V> {
  /** A null value deletes. A session older than the retention is left out. */
  put(session: SessionKey<K>, value: V | null): void
  delete(session: SessionKey<K>): void
}

export interface VersionedRecord<V> {
  readonly value: V
  readonly timestamp: number
}

export interface ReadOnlyVersionedStore<K, V> {
  readonly name: string
  /** The latest version; with `asOf` the one that held at that time, null when that is longer ago than the retention. */
  get(key: K, asOf?: number): VersionedRecord<V> | null
}

export interface VersionedStore<K, V> extends ReadOnlyVersionedStore<K, V> {
  /** Puts a version in; a null value says that there was no row from then on. False: it was older than the retention, and is left out. */
  put(key: K, value: V | null, timestamp: number): boolean
  /** Answers the version that held at that time. */
  delete(key: K, timestamp: number): VersionedRecord<V> | null
}
