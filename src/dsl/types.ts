// The types that builders share: what callbacks get, what options look like, how a serde and a callback agree on one type.
import type { ByteSize } from '../base/byte-size.ts'
import type { ErrorPolicy } from '../base/error-policy.ts'
import type { Duration } from '../base/duration.ts'
import type { AnySerde, Serde } from '../serde/serde.ts'
import type { OffsetReset } from '../topology/node.ts'

/** Where a record came from; the third argument of callbacks that may want it. `timestamp` is the record's own, epoch ms. */
export interface RecordInfo {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly headers: Readonly<Record<string, string>>
}

/** What an operator puts out whose callback returns R: the type of the serde T when one is named, and null where the callback
 *  may return it. */
export type Made<T, R> = unknown extends T ? R : T | Extract<R, null | undefined>

/** The same for tables, where null is no row. */
export type MadeRow<T, R> = NonNullable<Made<T, R>>

/** A serde that can write every T. What it reads does not matter at a sink. */
export type Writes<T> = AnySerde & { readonly encode: (value: T) => Uint8Array }

/** What becomes of a record that the operator's callbacks throw for, that a source can't decode or that `to` can't write. */
export interface OnErrorOptions {
  /** Default: what the application says (`onError` of its processor). All that the record has done is undone, or the processor stops. */
  readonly onError?: ErrorPolicy
}

export interface SourceOptions<K, V> extends OnErrorOptions {
  readonly key?: Serde<K>
  readonly value?: Serde<V>
  /** Epoch ms; a negative one skips the record. Default: the record's own timestamp. */
  readonly timestamp?: (value: V, key: K, record: RecordInfo) => number
  /** Where to begin when there is no committed offset. Default: 'earliest'. */
  readonly offsetReset?: OffsetReset
}

export interface TableSourceOptions<K, V> extends SourceOptions<K, V>, CacheOptions {
  readonly store?: string
  /** Keeps what the rows were for so long, by the timestamps of the records: a stream joins the row that held at its record's time, and
   *  a record that is older than its row does not overwrite it. */
  readonly versioned?: Duration
}

export interface GlobalTableOptions<K, V> {
  readonly key?: Serde<K>
  readonly value?: Serde<V>
  readonly store?: string
}

export interface KeyOptions<TK> {
  readonly key?: Serde<TK>
}

export interface ValueOptions<TV> {
  readonly value?: Serde<TV>
}

export interface KeyValueOptions<TK, TV> extends KeyOptions<TK>, ValueOptions<TV> {}

export interface StoreOptions {
  readonly store?: string
}

/** Of a table whose updates may wait: of each key the last one goes on, at the commit or when so much waits. */
export interface CacheOptions {
  /** '10MiB', or a number of bytes, for each task. Default: none, every update goes on at once. */
  readonly cache?: ByteSize
}

export interface StoreValueOptions<TV> extends StoreOptions, ValueOptions<TV> {}

export interface RepartitionOptions {
  readonly partitions?: number
  /** The topic is `<applicationId>-<name>-repartition`. */
  readonly name?: string
}

export interface SinkOptions<K, V> extends OnErrorOptions {
  readonly key?: Writes<NonNullable<K>>
  readonly value?: Writes<NonNullable<V>>
  /** Default: murmur2 of the key, as Java producers do. */
  readonly partition?: (value: V, key: K, partitions: number) => number
  /** Reading and writing the same topic is meant. */
  readonly loop?: boolean
}

export interface LastWriteWinsOptions<K, V> extends StoreOptions, OnErrorOptions {
  /** The event with the greatest version wins. */
  readonly version: (value: NonNullable<V>, key: NonNullable<K>, record: RecordInfo) => number | bigint | string
  readonly deleted?: (value: NonNullable<V>, key: NonNullable<K>, record: RecordInfo) => boolean
  /** How long a delete keeps its version, in stream time. Default: 7 days. */
  readonly tombstoneRetention?: Duration
}

export interface StreamTableOptions<TV> extends StoreValueOptions<TV>, OnErrorOptions {
  /** Stream records wait until stream time is so much past them, so that rows which come late are there. The table must be versioned, with
   *  at least this history. */
  readonly grace?: Duration
}

/** A row that may be missing: the other side of left and outer joins. */
export type Maybe<T> = T | null | undefined
