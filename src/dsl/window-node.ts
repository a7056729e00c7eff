// How an aggregation over windows gets into the topology, whether of one stream or of several (cogroup).
import { type Duration, durationMs } from '../base/duration.ts'
import { closesAfterMs, type Windowed, type Windows } from '../base/window.ts'
import type { AnySerde } from '../serde/serde.ts'
import { sessionRows, timeRows } from '../serde/window-rows.ts'
import { sessionWindowed, windowed } from '../serde/windowed.ts'
import type { Fn, WindowAggregateNode } from '../topology/node.ts'
import { checkOnError, checkOptionalFunction, checkOptions, checkTopic, given, refuse } from './check.ts'
import type { Place } from './draft.ts'
import { addPlain, addStateful, serdesOf } from './place.ts'
import type { CacheOptions, OnErrorOptions, StoreOptions, ValueOptions } from './types.ts'

/** What `onLate` hears of a window that a record came too late for. Epoch ms. */
export interface LateRecord {
  readonly start: number
  readonly end: number
  readonly timestamp: number
  readonly streamTime: number
}

export interface WindowedByOptions<K, V> {
  /** Put out each update (the default), or each window once, when it closes. */
  readonly emit?: 'update' | 'close'
  /** Called for each window that a record comes too late for. Late records are dropped and counted in any case. */
  readonly onLate?: (value: V, key: K, late: LateRecord) => void
  /** A topic that late records go to as they came, each once, however many windows it came too late for. */
  readonly lateTo?: string
}

export interface WindowStoreOptions extends StoreOptions, CacheOptions, OnErrorOptions {
  /** How long a window's row can be queried, from the window's start in stream time. Default: until the window closes. */
  readonly retention?: Duration
}

export interface WindowStoreValueOptions<TV> extends WindowStoreOptions, ValueOptions<TV> {}

/** The windows and the options of `windowedBy`, checked. */
export interface Windowing {
  readonly windows: Windows
  readonly emit: 'update' | 'close'
  readonly onLate: Fn | null
  readonly lateTo: string | null
}

export function windowing(windows: unknown, options: WindowedByOptions<never, never> | undefined): Windowing {
  const operator = 'windowedBy'
  const kinds: readonly unknown[] = ['time', 'sliding', 'session']
  if (typeof windows !== 'object' || windows === null || !('kind' in windows) || !kinds.includes(windows.kind))
    refuse(operator, `the window must be tumbling(...), hopping(...), sliding(...) or session(...), not ${given(windows)}`)
  const { emit = 'update', onLate, lateTo } = checkOptions(operator, options, ['emit', 'onLate', 'lateTo'])
  if (emit !== 'update' && emit !== 'close') refuse(operator, `emit must be 'update' or 'close', not ${JSON.stringify(emit)}`)
  return Object.freeze({
    windows: windows as Windows,
    emit,
    onLate: checkOptionalFunction(operator, 'onLate', onLate),
    lateTo: lateTo === undefined ? null : checkTopic(operator, lateTo),
  })
}

export interface WindowAggregation {
  readonly label: 'count' | 'reduce' | 'aggregate'
  readonly initial: Fn | null
  readonly adders: readonly Fn[]
  readonly merger: Fn | null
  readonly value: AnySerde
}

export function addWindowAggregate(
  parents: readonly Place[],
  { windows, emit, onLate, lateTo }: Windowing,
  { label, initial, adders, merger, value }: WindowAggregation,
  { store, retention, cache, onError }: WindowStoreOptions,
): Place {
  const { key: inner } = serdesOf((parents[0] as Place).node)
  const rows = windows.kind === 'session' ? sessionRows(inner) : timeRows(inner, widthMs(windows))
  const key = (windows.kind === 'session' ? sessionWindowed(inner) : windowed(inner, widthMs(windows))) satisfies {
    decode(b: Uint8Array): Windowed<unknown>
  }
  const retentionMs = retentionOf(label, windows, retention)
  if (cache !== undefined && emit === 'close') refuse(label, "cache does not go with emit: 'close', which puts out each window once")
  if (cache !== undefined && lateTo !== null) refuse(label, 'cache does not go with lateTo; send late records on with onLate')
  const place = addStateful(
    parents,
    label,
    store,
    { key: rows, value },
    (spec) => {
      const node: Omit<WindowAggregateNode, 'id' | 'name' | 'parents'> = {
        kind: 'windowAggregate',
        form: label,
        windows,
        emit,
        onLate,
        sinksLate: lateTo !== null,
        inner,
        store: spec,
        retentionMs,
        initial,
        adders,
        merger,
        key,
        value,
        keyChanged: false,
        ...checkOnError(label, onError),
      }
      return node
    },
    cache,
  )
  if (lateTo !== null) addLateSink(parents, place, lateTo)
  return place
}

/** The first child of the aggregation: it was just added. */
function addLateSink(parents: readonly Place[], aggregation: Place, topic: string): void {
  const [{ key, value }, ...others] = parents.map(({ node }) => serdesOf(node)) as [
    ReturnType<typeof serdesOf>,
    ...ReturnType<typeof serdesOf>[],
  ]
  if (others.some((other) => other.value !== value))
    refuse('windowedBy', `lateTo "${topic}" would take values of several serdes; give the streams of the cogroup one serde, or use onLate`)
  addPlain([aggregation], 'late', { kind: 'sink', topic, partition: null, loop: false, key, value, keyChanged: false })
}

/** From start to end. A session has no width. */
function widthMs(windows: Windows): number {
  return windows.kind === 'time' ? windows.sizeMs : windows.kind === 'sliding' ? windows.differenceMs : 0
}

function retentionOf(operator: string, windows: Windows, retention: unknown): number {
  const leastMs = widthMs(windows) + closesAfterMs(windows)
  if (retention === undefined) return leastMs
  const ms = durationMs(retention as Duration, `${operator}: retention`)
  if (ms < leastMs) refuse(operator, `retention (${ms} ms) must not be under the time that a window is open (${leastMs} ms)`)
  return ms
}
