// Table<K, V>: the builder of what can be done with a table, the present row per key. Immutable, as Stream is.
//
// Invariants
// 1. K and V leave null out: no row is null. Callbacks are not called for what is deleted, but joiners of left and outer joins are
//    called with a missing side.
// 2. A table is kept in a store where the user names one; else the plan decides whether it has to be.
import type { Windowed } from '../base/window.ts'
import { json } from '../serde/json.ts'
import type { JoinType } from '../topology/node.ts'
import { historyMs } from '../topology/versioned.ts'
import { checkFunction, checkOnError, checkOptions, checkSerde } from './check.ts'
import { PLACE, type Place } from './draft.ts'
import { GroupedTable } from './grouped-table.ts'
import { addPlain, addTable, joinLabel, placeOf, serdesOf } from './place.ts'
import { addToStream, Stream } from './stream.ts'
import { addSuppress, type SuppressFor, type SuppressUntilClose } from './suppress.ts'
import type { KeyOptions, KeyValueOptions, Made, MadeRow, Maybe, OnErrorOptions, StoreOptions, StoreValueOptions } from './types.ts'

type JoinOptions = StoreValueOptions<unknown> & OnErrorOptions

export class Table<K, V> {
  readonly [PLACE]: Place

  constructor(place: Place) {
    this[PLACE] = place
    Object.freeze(this)
  }

  /** The rows that the predicate accepts. */
  filter<S extends V>(predicate: (value: V, key: K) => value is S, options?: StoreOptions & OnErrorOptions): Table<K, S>
  filter(predicate: (value: V, key: K) => boolean, options?: StoreOptions & OnErrorOptions): Table<K, V>
  filter(predicate: (value: V, key: K) => boolean, options?: StoreOptions & OnErrorOptions): Table<K, V> {
    return this.#keep('filter', predicate, options)
  }

  /** The rows that the predicate does not accept. */
  filterNot(predicate: (value: V, key: K) => boolean, options?: StoreOptions & OnErrorOptions): Table<K, V> {
    return this.#keep('filterNot', predicate, options)
  }

  /** A new value per row; null is no row. */
  mapValues<R extends T | null | undefined, T = unknown>(
    mapper: (value: V, key: K) => R,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Table<K, MadeRow<T, R>> {
    const label = 'mapValues'
    const { store, value, onError } = checkOptions(label, options, ['store', 'value', 'onError'])
    const fn = checkFunction(label, 'the mapper', mapper)
    const serdes = { key: this.#serdes().key, value: checkSerde(label, 'value', value, json()) }
    return new Table(
      addTable([this[PLACE]], label, store, serdes, (spec) => ({
        kind: 'tableMapValues',
        fn,
        ofVersioned: this.#isVersioned,
        store: spec,
        ...serdes,
        keyChanged: false,
        ...checkOnError(label, onError),
      })),
    )
  }

  /** One result a window, when it has closed. */
  suppress(this: Table<Windowed<unknown>, V>, options: SuppressUntilClose): Table<K, V>
  /** Of the updates of a key within some time only the latest. */
  suppress(options: SuppressFor): Table<K, V>
  suppress(options: SuppressUntilClose | SuppressFor): Table<K, V> {
    return new Table(addSuppress(this[PLACE], options))
  }

  /** The changes as a stream; a deleted row is null. With a mapper, under a new key. */
  toStream(): Stream<K, V>
  toStream<R extends T | null | undefined, T = unknown>(
    mapper: (value: V, key: K) => R,
    options?: KeyOptions<T> & OnErrorOptions,
  ): Stream<Made<T, R>, V>
  toStream(mapper?: (value: V, key: K) => unknown, options?: KeyOptions<unknown> & OnErrorOptions): Stream<unknown, V> {
    const stream = new Stream<K, V>(addToStream(this[PLACE]))
    if (mapper === undefined && options === undefined) return stream
    return stream.selectKey(checkFunction('toStream', 'the mapper', mapper), options)
  }

  /** Rows under another key: `[key, value]`; null for either leaves the row out. Always repartitions. */
  groupBy<RK extends TK | null | undefined, RV extends TV | null | undefined, TK = unknown, TV = unknown>(
    mapper: (value: V, key: K) => readonly [RK, RV],
    options?: KeyValueOptions<TK, TV> & OnErrorOptions,
  ): GroupedTable<MadeRow<TK, RK>, MadeRow<TV, RV>> {
    const { key, value, onError } = checkOptions('groupBy', options, ['key', 'value', 'onError'])
    const fn = checkFunction('groupBy', 'the mapper', mapper)
    const serdes = { key: checkSerde('groupBy', 'key', key, json()), value: checkSerde('groupBy', 'value', value, json()) }
    const body = { fn, ...serdes, keyChanged: false, ...checkOnError('groupBy', onError) }
    return new GroupedTable(addPlain([this[PLACE]], 'groupBy', { kind: 'tableGroup', ...body }))
  }

  /** By foreign key: each row with the other table's row that it points to. */
  join<K2, V2, R extends T | null | undefined, T = unknown>(
    other: Table<K2, V2>,
    foreignKey: (value: V, key: K) => K2 | null | undefined,
    joiner: (left: V, right: V2, key: K) => R,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Table<K, MadeRow<T, R>>
  /** By key: rows that both tables have. */
  join<V2, R extends T | null | undefined, T = unknown>(
    other: Table<K, V2>,
    joiner: (left: V, right: V2, key: K) => R,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Table<K, MadeRow<T, R>>
  join(other: unknown, ...rest: readonly unknown[]): Table<K, never> {
    return this.#join('inner', other, rest)
  }

  /** By foreign key: each row, with the other table's row that it points to or null. */
  leftJoin<K2, V2, R extends T | null | undefined, T = unknown>(
    other: Table<K2, V2>,
    foreignKey: (value: V, key: K) => K2 | null | undefined,
    joiner: (left: V, right: Maybe<V2>, key: K) => R,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Table<K, MadeRow<T, R>>
  /** By key: each row, with the other table's row or null. */
  leftJoin<V2, R extends T | null | undefined, T = unknown>(
    other: Table<K, V2>,
    joiner: (left: V, right: Maybe<V2>, key: K) => R,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Table<K, MadeRow<T, R>>
  leftJoin(other: unknown, ...rest: readonly unknown[]): Table<K, never> {
    return this.#join('left', other, rest)
  }

  /** By key: the rows of either table; the missing side is null. */
  outerJoin<V2, R extends T | null | undefined, T = unknown>(
    other: Table<K, V2>,
    joiner: (left: Maybe<V>, right: Maybe<V2>, key: K) => R,
    options?: StoreValueOptions<T> & OnErrorOptions,
  ): Table<K, MadeRow<T, R>> {
    return this.#joinByKey('outer', placeOf('outerJoin', 'the other side', other, Table), joiner, options)
  }

  get #isVersioned(): boolean {
    const { draft, node } = this[PLACE]
    return historyMs(draft.nodes, node) !== null
  }

  #serdes() {
    return serdesOf(this[PLACE].node)
  }

  #keep(label: 'filter' | 'filterNot', predicate: unknown, options: (StoreOptions & OnErrorOptions) | undefined): Table<K, V> {
    const { store, onError } = checkOptions(label, options, ['store', 'onError'])
    const fn = checkFunction(label, 'the predicate', predicate)
    const serdes = this.#serdes()
    const kind = label === 'filter' ? 'tableFilter' : 'tableFilterNot'
    return new Table(
      addTable([this[PLACE]], label, store, serdes, (spec) => ({
        kind,
        fn,
        ofVersioned: this.#isVersioned,
        store: spec,
        ...serdes,
        keyChanged: false,
        ...checkOnError(label, onError),
      })),
    )
  }

  /** (joiner, options?) is a join by key, (foreignKey, joiner, options?) one by foreign key. */
  #join(type: 'inner' | 'left', other: unknown, rest: readonly unknown[]): Table<K, never> {
    const label = joinLabel[type]
    const right = placeOf(label, 'the other side', other, Table)
    if (typeof rest[1] !== 'function') return this.#joinByKey(type, right, rest[0], rest[1] as JoinOptions | undefined)
    const { store, value, onError } = checkOptions(label, rest[2] as JoinOptions | undefined, ['store', 'value', 'onError'])
    const foreignKey = checkFunction(label, 'the foreign key', rest[0])
    const joiner = checkFunction(label, 'the joiner', rest[1])
    const serdes = { key: this.#serdes().key, value: checkSerde(label, 'value', value, json()) }
    return new Table(
      addTable([this[PLACE], right], label, store, serdes, (spec) => ({
        kind: 'foreignKeyJoin',
        type,
        foreignKey,
        joiner,
        store: spec,
        ...serdes,
        keyChanged: false,
        ...checkOnError(label, onError),
      })),
    )
  }

  #joinByKey<V2>(type: JoinType, right: Place, fn: unknown, options: JoinOptions | undefined): Table<K, V2> {
    const label = joinLabel[type]
    const joiner = checkFunction(label, 'the joiner', fn)
    const { store, value, onError } = checkOptions(label, options, ['store', 'value', 'onError'])
    const serdes = { key: this.#serdes().key, value: checkSerde(label, 'value', value, json()) }
    return new Table(
      addTable([this[PLACE], right], label, store, serdes, (spec) => ({
        kind: 'tableJoin',
        type,
        joiner,
        store: spec,
        ...serdes,
        keyChanged: false,
        ...checkOnError(label, onError),
      })),
    )
  }
}
