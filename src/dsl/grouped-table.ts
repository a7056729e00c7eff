// GroupedTable<K, V>: a table's rows under another key, on their way to an aggregation that can also take away.
import type { ByteSize } from '../base/byte-size.ts'
import { json } from '../serde/json.ts'
import type { Fn, TableAggregateNode } from '../topology/node.ts'
import { checkFunction, checkOnError, checkOptions, checkSerde } from './check.ts'
import { PLACE, type Place } from './draft.ts'
import { addStateful, serdesOf } from './place.ts'
import { Table } from './table.ts'
import type { CacheOptions, OnErrorOptions, StoreOptions, StoreValueOptions } from './types.ts'

interface Fns {
  readonly initial: Fn | null
  readonly adder: Fn | null
  readonly subtractor: Fn | null
  readonly onError?: NonNullable<TableAggregateNode['onError']>
}

export class GroupedTable<K, V> {
  readonly [PLACE]: Place

  constructor(place: Place) {
    this[PLACE] = place
    Object.freeze(this)
  }

  /** How many rows each group has. */
  count(options?: StoreOptions & CacheOptions): Table<K, number> {
    const { store, cache } = checkOptions('count', options, ['store', 'cache'])
    const serdes = { key: serdesOf(this[PLACE].node).key, value: json<number>() }
    return this.#aggregate('count', store, serdes, { initial: null, adder: null, subtractor: null }, cache)
  }

  /** A row that comes is added, a row that goes is subtracted; subtract comes first. */
  reduce(
    adder: (aggregate: V, value: V, key: K) => V | null | undefined,
    subtractor: (aggregate: V, value: V, key: K) => V | null | undefined,
    options?: StoreOptions & CacheOptions & OnErrorOptions,
  ): Table<K, NonNullable<V>> {
    const { store, cache, onError } = checkOptions('reduce', options, ['store', 'cache', 'onError'])
    const fns = {
      initial: null,
      adder: checkFunction('reduce', 'the adder', adder),
      subtractor: checkFunction('reduce', 'the subtractor', subtractor),
      ...checkOnError('reduce', onError),
    }
    return this.#aggregate('reduce', store, serdesOf(this[PLACE].node), fns, cache)
  }

  aggregate<A>(
    initial: () => A,
    adder: (aggregate: A, value: V, key: K) => NoInfer<A> | null | undefined,
    subtractor: (aggregate: A, value: V, key: K) => NoInfer<A> | null | undefined,
    options?: StoreValueOptions<NonNullable<A>> & CacheOptions & OnErrorOptions,
  ): Table<K, NonNullable<A>> {
    const { store, value, cache, onError } = checkOptions('aggregate', options, ['store', 'value', 'cache', 'onError'])
    const fns = {
      initial: checkFunction('aggregate', 'initial', initial),
      adder: checkFunction('aggregate', 'the adder', adder),
      subtractor: checkFunction('aggregate', 'the subtractor', subtractor),
      ...checkOnError('aggregate', onError),
    }
    const serdes = { key: serdesOf(this[PLACE].node).key, value: checkSerde('aggregate', 'value', value, json()) }
    return this.#aggregate('aggregate', store, serdes, fns, cache)
  }

  #aggregate<V2>(
    form: 'count' | 'reduce' | 'aggregate',
    store: string | undefined,
    serdes: ReturnType<typeof serdesOf>,
    fns: Fns,
    cache: ByteSize | undefined,
  ): Table<K, V2> {
    return new Table(
      addStateful(
        [this[PLACE]],
        form,
        store,
        serdes,
        (spec) => ({
          kind: 'tableAggregate',
          form,
          store: spec,
          ...fns,
          ...serdes,
          keyChanged: false,
        }),
        cache,
      ),
    )
  }
}
