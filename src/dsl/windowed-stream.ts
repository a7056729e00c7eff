// WindowedStream<K, V>, SessionWindowedStream<K, V>: a grouped stream cut into windows, on its way to an aggregation. Their tables have
// windowed keys {key, start, end}. They add no node of their own.
import type { Windowed } from '../base/window.ts'
import { json } from '../serde/json.ts'
import { checkFunction, checkOptions, checkSerde } from './check.ts'
import { PLACE, type Place } from './draft.ts'
import { serdesOf } from './place.ts'
import { Table } from './table.ts'
import { addWindowAggregate, type Windowing, type WindowStoreOptions, type WindowStoreValueOptions } from './window-node.ts'

/** A reducer of windows: a null value reaches it. */
export type WindowReducer<K, V> = (aggregate: NonNullable<V>, value: V, key: K) => NonNullable<V> | null | undefined

const STORE_OPTIONS = ['store', 'retention', 'cache', 'onError'] as const

class OverWindows<K, V> {
  readonly [PLACE]: Place
  protected readonly windowing: Windowing

  constructor(place: Place, windowing: Windowing) {
    this[PLACE] = place
    this.windowing = windowing
    Object.freeze(this)
  }

  /** How many records each key had in each window. */
  count(options?: WindowStoreOptions): Table<Windowed<K>, number> {
    const known = checkOptions('count', options, STORE_OPTIONS)
    const merger = (left: number, right: number): number => Number(left) + Number(right)
    const count = { label: 'count', initial: null, adders: [], merger, value: json<number>() } as const
    return new Table(addWindowAggregate([this[PLACE]], this.windowing, count, known))
  }

  /** The first value as it is, then the reducer's result; null deletes. Parts of a session that meet are reduced too. */
  reduce(reducer: WindowReducer<K, V>, options?: WindowStoreOptions): Table<Windowed<K>, NonNullable<V>> {
    const known = checkOptions('reduce', options, STORE_OPTIONS)
    const adder = checkFunction('reduce', 'the reducer', reducer)
    const { value } = serdesOf(this[PLACE].node)
    const reduce = { label: 'reduce', initial: null, adders: [adder], merger: adder, value } as const
    return new Table(addWindowAggregate([this[PLACE]], this.windowing, reduce, known))
  }

  protected aggregateOf<A>(
    initial: unknown,
    adder: unknown,
    merger: unknown,
    options: WindowStoreValueOptions<NonNullable<A>> | undefined,
  ): Table<Windowed<K>, NonNullable<A>> {
    const { value, ...known } = checkOptions('aggregate', options, [...STORE_OPTIONS, 'value'])
    const aggregate = {
      label: 'aggregate',
      initial: checkFunction('aggregate', 'initial', initial),
      adders: [checkFunction('aggregate', 'the adder', adder)],
      merger: merger === null ? null : checkFunction('aggregate', 'the merger', merger),
      value: checkSerde('aggregate', 'value', value, json()),
    } as const
    return new Table(addWindowAggregate([this[PLACE]], this.windowing, aggregate, known))
  }
}

/** By tumbling, hopping or sliding windows. */
export class WindowedStream<K, V> extends OverWindows<K, V> {
  /** State of any type: the adder gets it first; null deletes. */
  aggregate<A>(
    initial: () => A,
    adder: (aggregate: A, value: V, key: K) => NoInfer<A> | null | undefined,
    options?: WindowStoreValueOptions<NonNullable<A>>,
  ): Table<Windowed<K>, NonNullable<A>> {
    return this.aggregateOf(initial, adder, null, options)
  }
}

/** By sessions. */
export class SessionWindowedStream<K, V> extends OverWindows<K, V> {
  /** State of any type: the adder gets it first; the merger makes one of two sessions that a record has joined. */
  aggregate<A>(
    initial: () => A,
    adder: (aggregate: A, value: V, key: K) => NoInfer<A> | null | undefined,
    merger: (left: A, right: A, key: K) => NoInfer<A> | null | undefined,
    options?: WindowStoreValueOptions<NonNullable<A>>,
  ): Table<Windowed<K>, NonNullable<A>> {
    return this.aggregateOf(initial, adder, merger, options)
  }
}
