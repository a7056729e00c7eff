// CogroupedStream<K, A> and its windowed forms: several grouped streams on their way to one state a key, each with an adder of its own.
// They add no node of their own until `aggregate`.
import type { SessionWindows, SlidingWindows, TimeWindows, Windowed } from '../base/window.ts'
import { json } from '../serde/json.ts'
import type { CogroupNode, Fn } from '../topology/node.ts'
import { checkFunction, checkOnError, checkOptions, checkSerde, refuse } from './check.ts'
import type { Place } from './draft.ts'
import { GroupedStream } from './grouped-stream.ts'
import { addStateful, placeOf, serdesOf } from './place.ts'
import { Table } from './table.ts'
import type { CacheOptions, OnErrorOptions, StoreValueOptions } from './types.ts'
import { addWindowAggregate, type WindowedByOptions, type Windowing, type WindowStoreValueOptions, windowing } from './window-node.ts'

export type Cogrouped = readonly (readonly [place: Place, adder: Fn])[]

export function cogrouped(before: Cogrouped, place: Place, adder: unknown): Cogrouped {
  const first = before[0]?.[0].node.key
  if (first !== undefined && first !== place.node.key && first.name !== place.node.key.name)
    refuse(
      'cogroup',
      `the keys are written by ${first.name ?? 'custom'} and by ${place.node.key.name ?? 'custom'}; equal keys would not meet`,
    )
  return Object.freeze([...before, [place, checkFunction('cogroup', 'the adder', adder)] as const])
}

export class CogroupedStream<K, A> {
  readonly #groups: Cogrouped

  constructor(groups: Cogrouped) {
    this.#groups = groups
    Object.freeze(this)
  }

  /** A further stream that adds to the same state. */
  cogroup<V>(
    other: GroupedStream<K, V>,
    adder: (aggregate: A, value: NonNullable<V>, key: K) => A | null | undefined,
  ): CogroupedStream<K, A> {
    return new CogroupedStream(cogrouped(this.#groups, placeOf('cogroup', 'the other side', other, GroupedStream), adder))
  }

  /** By windows of time: a state per key and window, under keys {key, start, end}. */
  windowedBy(windows: TimeWindows | SlidingWindows, options?: WindowedByOptions<K, unknown>): WindowedCogroup<K, A>
  windowedBy(windows: SessionWindows, options?: WindowedByOptions<K, unknown>): SessionWindowedCogroup<K, A>
  windowedBy(
    windows: TimeWindows | SlidingWindows | SessionWindows,
    options?: WindowedByOptions<K, unknown>,
  ): WindowedCogroup<K, A> | SessionWindowedCogroup<K, A> {
    const checked = windowing(windows, options)
    return checked.windows.kind === 'session'
      ? new SessionWindowedCogroup(this.#groups, checked)
      : new WindowedCogroup(this.#groups, checked)
  }

  aggregate(initial: () => A, options?: StoreValueOptions<NonNullable<A>> & CacheOptions & OnErrorOptions): Table<K, NonNullable<A>> {
    const { store, value, cache, onError } = checkOptions('aggregate', options, ['store', 'value', 'cache', 'onError'])
    const fn = checkFunction('aggregate', 'initial', initial)
    const places = this.#groups.map(([place]) => place)
    const serdes = { key: serdesOf((places[0] as Place).node).key, value: checkSerde('aggregate', 'value', value, json()) }
    return new Table(
      addStateful(
        places,
        'cogroup',
        store,
        serdes,
        (spec) => {
          const adders = this.#groups.map(([, adder]) => adder)
          const node: Omit<CogroupNode, 'id' | 'name' | 'parents'> = {
            kind: 'cogroup',
            store: spec,
            initial: fn,
            adders,
            ...serdes,
            keyChanged: false,
            ...checkOnError('aggregate', onError),
          }
          return node
        },
        cache,
      ),
    )
  }
}

/** By tumbling, hopping or sliding windows. */
export class WindowedCogroup<K, A> {
  readonly #groups: Cogrouped
  readonly #windowing: Windowing

  constructor(groups: Cogrouped, windowing: Windowing) {
    this.#groups = groups
    this.#windowing = windowing
    Object.freeze(this)
  }

  aggregate(initial: () => A, options?: WindowStoreValueOptions<NonNullable<A>>): Table<Windowed<K>, NonNullable<A>> {
    return new Table(addCogroup(this.#groups, this.#windowing, initial, null, options))
  }
}

/** By sessions. */
export class SessionWindowedCogroup<K, A> {
  readonly #groups: Cogrouped
  readonly #windowing: Windowing

  constructor(groups: Cogrouped, windowing: Windowing) {
    this.#groups = groups
    this.#windowing = windowing
    Object.freeze(this)
  }

  /** The merger makes one of two sessions that a record has joined. */
  aggregate(
    initial: () => A,
    merger: (left: A, right: A, key: K) => A | null | undefined,
    options?: WindowStoreValueOptions<NonNullable<A>>,
  ): Table<Windowed<K>, NonNullable<A>> {
    return new Table(addCogroup(this.#groups, this.#windowing, initial, merger, options))
  }
}

function addCogroup(
  groups: Cogrouped,
  windowing: Windowing,
  initial: unknown,
  merger: unknown,
  options: WindowStoreValueOptions<unknown> | undefined,
): Place {
  const { value, ...known } = checkOptions('aggregate', options, ['store', 'retention', 'value', 'cache', 'onError'])
  const aggregate = {
    label: 'aggregate',
    initial: checkFunction('aggregate', 'initial', initial),
    adders: groups.map(([, adder]) => adder),
    merger: merger === null ? null : checkFunction('aggregate', 'the merger', merger),
    value: checkSerde('aggregate', 'value', value, json()),
  } as const
  return addWindowAggregate(
    groups.map(([place]) => place),
    windowing,
    aggregate,
    known,
  )
}
