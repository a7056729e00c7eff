// GroupedStream<K, V>: a stream by key, on its way to an aggregation. Adds no node of its own.
import type { SessionWindows, SlidingWindows, TimeWindows } from '../base/window.ts'
import { json } from '../serde/json.ts'
import { checkFunction, checkOnError, checkOptions, checkSerde } from './check.ts'
import { CogroupedStream, cogrouped } from './cogrouped-stream.ts'
import { PLACE, type Place } from './draft.ts'
import { addStateful, serdesOf } from './place.ts'
import { Table } from './table.ts'
import type { CacheOptions, OnErrorOptions, StoreOptions, StoreValueOptions } from './types.ts'
import { type WindowedByOptions, windowing } from './window-node.ts'
import { SessionWindowedStream, WindowedStream } from './windowed-stream.ts'

export class GroupedStream<K, V> {
  readonly [PLACE]: Place

  constructor(place: Place) {
    this[PLACE] = place
    Object.freeze(this)
  }

  /** The first of several grouped streams that add to one state; `aggregate` ends the list. */
  cogroup<A>(adder: (aggregate: A, value: NonNullable<V>, key: K) => A | null | undefined): CogroupedStream<K, A> {
    return new CogroupedStream(cogrouped([], this[PLACE], adder))
  }

  /** By windows of time: a state per key and window, under keys {key, start, end}. */
  windowedBy(windows: TimeWindows | SlidingWindows, options?: WindowedByOptions<K, V>): WindowedStream<K, V>
  windowedBy(windows: SessionWindows, options?: WindowedByOptions<K, V>): SessionWindowedStream<K, V>
  windowedBy(
    windows: TimeWindows | SlidingWindows | SessionWindows,
    options?: WindowedByOptions<K, V>,
  ): WindowedStream<K, V> | SessionWindowedStream<K, V> {
    const checked = windowing(windows, options)
    return checked.windows.kind === 'session' ? new SessionWindowedStream(this[PLACE], checked) : new WindowedStream(this[PLACE], checked)
  }

  /** How many records each key had. */
  count(options?: StoreOptions & CacheOptions): Table<K, number> {
    const { store, cache } = checkOptions('count', options, ['store', 'cache'])
    const serdes = { key: serdesOf(this[PLACE].node).key, value: json<number>() }
    return new Table(
      addStateful(
        [this[PLACE]],
        'count',
        store,
        serdes,
        (spec) => ({
          kind: 'aggregate',
          form: 'count',
          store: spec,
          initial: null,
          adder: null,
          ...serdes,
          keyChanged: false,
        }),
        cache,
      ),
    )
  }

  /** The first value as it is, then the reducer's result; null deletes. */
  reduce(
    reducer: (aggregate: NonNullable<V>, value: NonNullable<V>, key: K) => NonNullable<V> | null | undefined,
    options?: StoreOptions & CacheOptions & OnErrorOptions,
  ): Table<K, NonNullable<V>> {
    const { store, cache, onError } = checkOptions('reduce', options, ['store', 'cache', 'onError'])
    const serdes = serdesOf(this[PLACE].node)
    const adder = checkFunction('reduce', 'the reducer', reducer)
    return new Table(
      addStateful(
        [this[PLACE]],
        'reduce',
        store,
        serdes,
        (spec) => ({
          kind: 'aggregate',
          form: 'reduce',
          store: spec,
          initial: null,
          adder,
          ...serdes,
          keyChanged: false,
          ...checkOnError('reduce', onError),
        }),
        cache,
      ),
    )
  }

  /** State of any type: the adder gets it first; null deletes. */
  aggregate<A>(
    initial: () => A,
    adder: (aggregate: A, value: NonNullable<V>, key: K) => NoInfer<A> | null | undefined,
    options?: StoreValueOptions<NonNullable<A>> & CacheOptions & OnErrorOptions,
  ): Table<K, NonNullable<A>> {
    const { store, value, cache, onError } = checkOptions('aggregate', options, ['store', 'value', 'cache', 'onError'])
    const fns = { initial: checkFunction('aggregate', 'initial', initial), adder: checkFunction('aggregate', 'the adder', adder) }
    const serdes = { key: serdesOf(this[PLACE].node).key, value: checkSerde('aggregate', 'value', value, json()) }
    return new Table(
      addStateful(
        [this[PLACE]],
        'aggregate',
        store,
        serdes,
        (spec) => ({
          kind: 'aggregate',
          form: 'aggregate',
          store: spec,
          ...fns,
          ...serdes,
          keyChanged: false,
          ...checkOnError('aggregate', onError),
        }),
        cache,
      ),
    )
  }
}
