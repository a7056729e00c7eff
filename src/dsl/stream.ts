// Stream<K, V>: the builder of what can be done with a stream of records. Immutable; each operator adds a node and answers with a
// builder that stands there. Never runs a callback.
//
// Invariants
// 1. K and V are what callbacks see. A source's types leave null out (a tombstone or a missing key is null at run time all the
//    same); what an operator's callback may return as null is in the types from there on.
// 2. An operator that can change the key sets keyChanged; `repartition` and whatever is a table clears it.
import { durationMs } from '../base/duration.ts'
import { LIMITS } from '../base/limits.ts'
import { checkName } from '../base/names.ts'
import { json } from '../serde/json.ts'
import type { PassNode } from '../topology/node.ts'
import type { ProcessorSupplier } from '../topology/processor.ts'
import { checkFunction, checkOnError, checkOptionalFunction, checkOptions, checkSerde, checkTopic, refuse } from './check.ts'
import { PLACE, type Place } from './draft.ts'
import type { GlobalTable } from './global-table.ts'
import { GroupedStream } from './grouped-stream.ts'
import {
  addDedupe,
  type BufferingJoinByForeignKeyOptions,
  type BufferingJoinByKeyOptions,
  type DedupeOptions,
  type EmitsOnTimeout,
  type Unbuffered,
} from './ordering.ts'
import { addHoldUntil, type Dependency, type Fitting, type HoldUntilOptions } from './hold-until.ts'
import { type AsyncCall, addMapAsync, type MapAsyncOptions } from './map-async.ts'
import { addNamed, addPlain, addStateful, addStateless, addTable, placeOf, serdesOf } from './place.ts'
import { addProcess, type ProcessOptions, type ProcessValuesOptions } from './process.ts'
import { addSplit, type Branches, type Predicates } from './split.ts'
import { addStreamsJoin } from './stream-joins.ts'
import { Table } from './table.ts'
import type {
  KeyOptions,
  KeyValueOptions,
  LastWriteWinsOptions,
  Made,
  Maybe,
  OnErrorOptions,
  RecordInfo,
  RepartitionOptions,
  SinkOptions,
  CacheOptions,
  StoreOptions,
  StoreValueOptions,
  StreamTableOptions,
  ValueOptions,
} from './types.ts'
import type { JoinWindow } from './within.ts'

export class Stream<K, V> {
  readonly [PLACE]: Place

  constructor(place: Place) {
    this[PLACE] = place
    Object.freeze(this)
  }

  /** Passes on the records that the predicate accepts. */
  filter<S extends V>(predicate: (value: V, key: K) => value is S, options?: OnErrorOptions): Stream<K, S>
  filter(predicate: (value: V, key: K) => boolean, options?: OnErrorOptions): Stream<K, V>
  filter(predicate: (value: V, key: K) => boolean, options?: OnErrorOptions): Stream<K, V> {
    return this.#keep('filter', checkFunction('filter', 'the predicate', predicate), options)
  }

  /** Passes on the records that the predicate does not accept. */
  filterNot(predicate: (value: V, key: K) => boolean, options?: OnErrorOptions): Stream<K, V> {
    return this.#keep('filterNot', checkFunction('filterNot', 'the predicate', predicate), options)
  }

  /** A new key and a new value: `[key, value]`. A stateful operator below repartitions. */
  map<RK extends TK | null | undefined, RV extends TV | null | undefined, TK = unknown, TV = unknown>(
    mapper: (value: V, key: K) => readonly [RK, RV],
    options?: KeyValueOptions<TK, TV> & OnErrorOptions,
  ): Stream<Made<TK, RK>, Made<TV, RV>> {
    return this.#rekeyed('map', mapper, options)
  }

  mapValues<R extends T | null | undefined, T = unknown>(
    mapper: (value: V, key: K) => R,
    options?: ValueOptions<T> & OnErrorOptions,
  ): Stream<K, Made<T, R>> {
    return this.#revalued('mapValues', mapper, options)
  }

  /** Any number of `[key, value]`. */
  flatMap<RK extends TK | null | undefined, RV extends TV | null | undefined, TK = unknown, TV = unknown>(
    mapper: (value: V, key: K) => Iterable<readonly [RK, RV]>,
    options?: KeyValueOptions<TK, TV> & OnErrorOptions,
  ): Stream<Made<TK, RK>, Made<TV, RV>> {
    return this.#rekeyed('flatMap', mapper, options)
  }

  /** Any number of values under the same key. */
  flatMapValues<R extends T | null | undefined, T = unknown>(
    mapper: (value: V, key: K) => Iterable<R>,
    options?: ValueOptions<T> & OnErrorOptions,
  ): Stream<K, Made<T, R>> {
    return this.#revalued('flatMapValues', mapper, options)
  }

  /** A new key. A stateful operator below repartitions. */
  selectKey<R extends T | null | undefined, T = unknown>(
    mapper: (value: V, key: K) => R,
    options?: KeyOptions<T> & OnErrorOptions,
  ): Stream<Made<T, R>, V> {
    return new Stream(this.#selectKey('selectKey', mapper, options))
  }

  /** Calls the action for each record and passes the record on. */
  peek(action: (value: V, key: K) => void, options?: OnErrorOptions): Stream<K, V> {
    return this.#keep('peek', checkFunction('peek', 'the action', action), options)
  }

  /** Calls the action for each record; nothing goes on. */
  forEach(action: (value: V, key: K) => void, options?: OnErrorOptions): void {
    this.#keep('forEach', checkFunction('forEach', 'the action', action), options)
  }

  /** The records of all of them, in the order they come. What is written further on is written with this stream's serdes. */
  merge(other: Stream<K, V>, ...more: Stream<K, V>[]): Stream<K, V> {
    const all = [this[PLACE], ...[other, ...more].map((stream) => placeOf('merge', 'the other side', stream, Stream))]
    const keyChanged = all.some((place) => place.node.keyChanged)
    return new Stream(addPlain(all, 'merge', { kind: 'merge', ...this.#serdes(), keyChanged }))
  }

  /** Named branches; a record goes to the first that accepts it, else to the default branch, else nowhere. */
  split<P extends Predicates<K, V>, D extends string = never>(
    predicates: P,
    options?: { readonly default?: D } & OnErrorOptions,
  ): Branches<keyof P | D, K, V> {
    return addSplit(this[PLACE], predicates, options, (place) => new Stream<K, V>(place)) as Branches<keyof P | D, K, V>
  }

  /** Through a topic of our own, so that equal keys meet in one partition. */
  repartition(options?: RepartitionOptions): Stream<NonNullable<K>, V> {
    const { partitions = null, name = null } = checkOptions('repartition', options, ['partitions', 'name'])
    if (name !== null) checkName(name, 'repartition:')
    if (partitions !== null && !(Number.isSafeInteger(partitions) && partitions > 0)) {
      refuse('repartition', `partitions must be a whole number above 0, not ${JSON.stringify(partitions)}`)
    }
    return new Stream(
      addNamed(this[PLACE], 'repartition', name, {
        kind: 'repartition',
        partitions,
        topicName: name,
        ...this.#serdes(),
        keyChanged: false,
      }),
    )
  }

  /** Writes to a topic, or to the topic that the function names. */
  to(topic: string | ((value: V, key: K, record: RecordInfo) => string), options?: SinkOptions<K, V>): void {
    const known = checkOptions('to', options, ['key', 'value', 'partition', 'loop', 'onError'])
    const { key, value, partition, loop = false } = known
    if (typeof topic !== 'function') checkTopic('to', topic)
    if (typeof loop !== 'boolean') refuse('to', 'loop must be true or false')
    const own = this.#serdes()
    addPlain([this[PLACE]], 'to', {
      kind: 'sink',
      topic,
      partition: checkOptionalFunction('to', 'partition', partition),
      loop,
      key: checkSerde('to', 'key', key, own.key),
      value: checkSerde('to', 'value', value, own.value),
      keyChanged: false,
      ...checkOnError('to', known.onError),
    })
  }

  /** The latest value per key. */
  toTable(options?: StoreOptions & CacheOptions & KeyValueOptions<NonNullable<K>, NonNullable<V>>): Table<NonNullable<K>, NonNullable<V>> {
    const { store, key, value, cache } = checkOptions('toTable', options, ['store', 'key', 'value', 'cache'])
    const own = this.#serdes()
    const serdes = { key: checkSerde('toTable', 'key', key, own.key), value: checkSerde('toTable', 'value', value, own.value) }
    return new Table(
      addTable([this[PLACE]], 'toTable', store, serdes, (spec) => ({ kind: 'toTable', store: spec, ...serdes, keyChanged: false }), cache),
    )
  }

  /** Groups by the key that is there. */
  groupByKey(): GroupedStream<NonNullable<K>, V> {
    return new GroupedStream(this[PLACE])
  }

  /** Groups by a new key; null leaves the record out. Always repartitions. */
  groupBy<R extends T | null | undefined, T = unknown>(
    mapper: (value: V, key: K) => R,
    options?: KeyOptions<T> & OnErrorOptions,
  ): GroupedStream<NonNullable<Made<T, R>>, V> {
    return new GroupedStream(this.#selectKey('groupBy', mapper, options))
  }

  /** One register per key: the event with the greatest version wins, in whatever order and however often the events come. */
  lastWriteWins(options: LastWriteWinsOptions<K, V>): Table<NonNullable<K>, NonNullable<V>> {
    const operator = 'lastWriteWins'
    const { store, version, deleted, tombstoneRetention, onError } = checkOptions(operator, options, [
      'store',
      'version',
      'deleted',
      'tombstoneRetention',
      'onError',
    ])
    const body = {
      version: checkFunction(operator, 'version', version),
      deleted: checkOptionalFunction(operator, 'deleted', deleted),
      ...checkOnError(operator, onError),
      tombstoneRetentionMs:
        tombstoneRetention === undefined ? LIMITS.tombstoneRetentionMs : durationMs(tombstoneRetention, `${operator}: tombstoneRetention`),
    }
    const serdes = this.#serdes()
    return new Table(
      addStateful([this[PLACE]], operator, store, serdes, (spec) => ({
        kind: operator,
        store: spec,
        ...body,
        ...serdes,
        keyChanged: false,
      })),
    )
  }

  /** Drops an event whose id was let through within the retention. Ids are remembered by partition: events with one id need one key. */
  dedupe(options: DedupeOptions<K, V>): Stream<K, V> {
    return new Stream(addDedupe(this[PLACE], options))
  }

  /** Holds each record, and those of its key behind it, until all rows that it depends on are there at once, each in its version or a later
   *  one. A record without a value depends on nothing. */
  holdUntil<D extends Dependency>(
    dependencies: (value: NonNullable<V>, key: K) => Iterable<D> & Iterable<Fitting<D>>,
    options: HoldUntilOptions,
  ): Stream<K, V> {
    return new Stream(addHoldUntil(this[PLACE], dependencies, options))
  }

  /** Calls something slow for each record; the answer is the new value. Records of one key are called for one at a time, in their order,
   *  others meanwhile. The call may be made again after a crash, with the same idempotency key; the result comes once. */
  mapAsync<R extends T | null | undefined, T = unknown>(
    fn: (value: V, key: K, call: AsyncCall) => R | PromiseLike<R>,
    options?: MapAsyncOptions<K, V, R, T>,
  ): Stream<K, Made<T, R>> {
    return new Stream(addMapAsync(this[PLACE], fn, options))
  }

  /** Each record with the table's present row; without one it is left out. */
  join<V2, R extends T | null | undefined, T = unknown>(
    table: Table<NonNullable<K>, V2>,
    joiner: (value: NonNullable<V>, row: V2, key: NonNullable<K>) => R,
    options?: StreamTableOptions<T> & Unbuffered,
  ): Stream<NonNullable<K>, Made<T, R>>
  /** Each record with the row that it points to. It waits for it; when that takes too long, it goes on without one. */
  join<K2, V2, R extends T | null | undefined, T = unknown>(
    table: Table<K2, V2>,
    joiner: (value: NonNullable<V>, row: V2 | undefined, key: K) => R,
    options: BufferingJoinByForeignKeyOptions<K, V, K2, T> & EmitsOnTimeout,
  ): Stream<K, Made<T, R>>
  /** Each record with the row that it points to. It waits for it, and later records of its key wait behind it. */
  join<K2, V2, R extends T | null | undefined, T = unknown>(
    table: Table<K2, V2>,
    joiner: (value: NonNullable<V>, row: V2, key: K) => R,
    options: BufferingJoinByForeignKeyOptions<K, V, K2, T>,
  ): Stream<K, Made<T, R>>
  /** Each record with its key's row. It waits for it; when that takes too long, it goes on without one. */
  join<V2, R extends T | null | undefined, T = unknown>(
    table: Table<NonNullable<K>, V2>,
    joiner: (value: NonNullable<V>, row: V2 | undefined, key: NonNullable<K>) => R,
    options: BufferingJoinByKeyOptions<T> & EmitsOnTimeout,
  ): Stream<NonNullable<K>, Made<T, R>>
  /** Each record with its key's row. It waits for it, and later records of its key wait behind it. */
  join<V2, R extends T | null | undefined, T = unknown>(
    table: Table<NonNullable<K>, V2>,
    joiner: (value: NonNullable<V>, row: V2, key: NonNullable<K>) => R,
    options: BufferingJoinByKeyOptions<T>,
  ): Stream<NonNullable<K>, Made<T, R>>
  /** Each pair of records of one key that are near enough in time. */
  join<K2 extends NonNullable<K> | null | undefined, V2, R extends T | null | undefined, T = unknown>(
    other: Stream<K2, V2>,
    joiner: (left: NonNullable<V>, right: NonNullable<V2>, key: NonNullable<K>) => R,
    window: JoinWindow,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Stream<NonNullable<K>, Made<T, R>>
  /** Each record with the global table's row under the key that the function makes; without one it is left out. */
  join<K2, V2, R extends T | null | undefined, T = unknown>(
    table: GlobalTable<K2, V2>,
    tableKey: (value: NonNullable<V>, key: K) => K2 | null | undefined,
    joiner: (value: NonNullable<V>, row: V2, key: K) => R,
    options?: ValueOptions<T> & OnErrorOptions,
  ): Stream<K, Made<T, R>>
  join(other: unknown, ...rest: readonly unknown[]): Stream<never, never> {
    return new Stream(addStreamsJoin(this[PLACE], 'inner', other, rest))
  }

  /** Each record with the table's present row, null when there is none. */
  leftJoin<V2, R extends T | null | undefined, T = unknown>(
    table: Table<NonNullable<K>, V2>,
    joiner: (value: NonNullable<V>, row: Maybe<V2>, key: K) => R,
    options?: StreamTableOptions<T>,
  ): Stream<K, Made<T, R>>
  /** As `join`, and when its time is over each record of this stream that met none. */
  leftJoin<K2 extends NonNullable<K> | null | undefined, V2, R extends T | null | undefined, T = unknown>(
    other: Stream<K2, V2>,
    joiner: (left: NonNullable<V>, right: Maybe<NonNullable<V2>>, key: K) => R,
    window: JoinWindow,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Stream<K, Made<T, R>>
  /** Each record with the global table's row under the key that the function makes; null when there is none. */
  leftJoin<K2, V2, R extends T | null | undefined, T = unknown>(
    table: GlobalTable<K2, V2>,
    tableKey: (value: NonNullable<V>, key: K) => K2 | null | undefined,
    joiner: (value: NonNullable<V>, row: Maybe<V2>, key: K) => R,
    options?: ValueOptions<T> & OnErrorOptions,
  ): Stream<K, Made<T, R>>
  leftJoin(other: unknown, ...rest: readonly unknown[]): Stream<never, never> {
    return new Stream(addStreamsJoin(this[PLACE], 'left', other, rest))
  }

  /** As `join`, and when its time is over each record of either stream that met none. */
  outerJoin<K2 extends NonNullable<K> | null | undefined, V2, R extends T | null | undefined, T = unknown>(
    other: Stream<K2, V2>,
    joiner: (left: Maybe<NonNullable<V>>, right: Maybe<NonNullable<V2>>, key: K | K2) => R,
    window: JoinWindow,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Stream<K | K2, Made<T, R>> {
    return new Stream(addStreamsJoin(this[PLACE], 'outer', other, [joiner, window, options]))
  }

  /** A processor of your own, with stores and timers. It may change the key: a stateful operator below repartitions. */
  process<K2 = K, V2 = V, N extends string = string>(
    supplier: ProcessorSupplier<K, V, K2, V2, N>,
    options: ProcessOptions<K2, V2, N> & { readonly outputs: readonly N[] },
  ): Branches<N, K2, V2>
  process<K2 = K, V2 = V>(supplier: ProcessorSupplier<K, V, K2, V2>, options?: ProcessOptions<K2, V2>): Stream<K2, V2>
  process(supplier: unknown, options?: object): unknown {
    return addProcess(this[PLACE], { kind: 'process', supplier, options }, (place) => new Stream(place))
  }

  /** The same without changing the key: what is stateful below needs no repartitioning. */
  processValues<V2 = V, N extends string = string>(
    supplier: ProcessorSupplier<K, V, K, V2, N>,
    options: ProcessValuesOptions<V2, N> & { readonly outputs: readonly N[] },
  ): Branches<N, K, V2>
  processValues<V2 = V>(supplier: ProcessorSupplier<K, V, K, V2>, options?: ProcessValuesOptions<V2>): Stream<K, V2>
  processValues(supplier: unknown, options?: object): unknown {
    return addProcess(this[PLACE], { kind: 'processValues', supplier, options }, (place) => new Stream(place))
  }

  #serdes() {
    return serdesOf(this[PLACE].node)
  }

  #keep(kind: 'filter' | 'filterNot' | 'peek' | 'forEach', fn: (...args: never[]) => unknown, options?: OnErrorOptions): Stream<K, V> {
    const body = { ...this.#serdes(), ...checkOnError(kind, checkOptions(kind, options, ['onError']).onError) }
    return new Stream(addStateless(this[PLACE], kind, kind, fn, body, this[PLACE].node.keyChanged))
  }

  #rekeyed<K2, V2>(
    kind: 'map' | 'flatMap',
    mapper: unknown,
    options: (KeyValueOptions<unknown, unknown> & OnErrorOptions) | undefined,
  ): Stream<K2, V2> {
    const { key, value, onError } = checkOptions(kind, options, ['key', 'value', 'onError'])
    const serdes = { key: checkSerde(kind, 'key', key, json()), value: checkSerde(kind, 'value', value, json()) }
    const body = { ...serdes, ...checkOnError(kind, onError) }
    return new Stream(addStateless(this[PLACE], kind, kind, checkFunction(kind, 'the mapper', mapper), body, true))
  }

  #revalued<V2>(
    kind: 'mapValues' | 'flatMapValues',
    mapper: unknown,
    options: (ValueOptions<unknown> & OnErrorOptions) | undefined,
  ): Stream<K, V2> {
    const { value, onError } = checkOptions(kind, options, ['value', 'onError'])
    const body = { key: this.#serdes().key, value: checkSerde(kind, 'value', value, json()), ...checkOnError(kind, onError) }
    return new Stream(addStateless(this[PLACE], kind, kind, checkFunction(kind, 'the mapper', mapper), body, this[PLACE].node.keyChanged))
  }

  #selectKey(operator: string, mapper: unknown, options: (KeyOptions<unknown> & OnErrorOptions) | undefined): Place {
    const { key, onError } = checkOptions(operator, options, ['key', 'onError'])
    const body = { key: checkSerde(operator, 'key', key, json()), value: this.#serdes().value, ...checkOnError(operator, onError) }
    return addStateless(this[PLACE], 'selectKey', operator, checkFunction(operator, 'the mapper', mapper), body, true)
  }
}

/** What a table's `toStream` puts into the topology. */
export function addToStream(table: Place): Place {
  const kind: PassNode['kind'] = 'toStream'
  return addPlain([table], kind, { kind, ...serdesOf(table.node), keyChanged: false })
}
