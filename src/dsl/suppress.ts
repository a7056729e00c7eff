// `suppress` of a table: its options checked, and the window found that it waits for.
import { type ByteSize, sizeBytes } from '../base/byte-size.ts'
import { type Duration, durationMs } from '../base/duration.ts'
import { closesAfterMs } from '../base/window.ts'
import type { Node, SuppressNode } from '../topology/node.ts'
import { checkOptions, refuse } from './check.ts'
import type { Draft, Place } from './draft.ts'
import { addStateful, serdesOf } from './place.ts'
import type { StoreOptions } from './types.ts'

export interface SuppressUntilClose extends StoreOptions {
  /** One result a window, when it has closed. */
  readonly until: 'windowCloses'
}

export interface SuppressFor extends StoreOptions {
  /** How long an update waits for others of its key, from the first one on. */
  readonly for: Duration
  /** What is over this goes at once, the oldest first. Default: unbounded. */
  readonly maxRecords?: number
  /** Keys and values as they are stored. Default: unbounded. */
  readonly maxBytes?: ByteSize
  /** Default: 'stream', the time of the updates themselves; 'wall' lets them go also when nothing more comes. */
  readonly clock?: 'stream' | 'wall'
}

const LABEL = 'suppress'

export function addSuppress(table: Place, options: SuppressUntilClose | SuppressFor): Place {
  const known = checkOptions<Partial<SuppressUntilClose & SuppressFor>>(LABEL, options, [
    'until',
    'for',
    'maxRecords',
    'maxBytes',
    'clock',
    'store',
  ])
  const serdes = serdesOf(table.node)
  const wait = known.until === undefined ? waitFor(known) : waitUntil(table, known)
  return addStateful([table], LABEL, known.store, serdes, (store) => {
    const node: Omit<SuppressNode, 'id' | 'name' | 'parents'> = { kind: 'suppress', store, ...wait, ...serdes, keyChanged: false }
    return node
  })
}

type Wait = Pick<SuppressNode, 'untilClose' | 'clock' | 'waitMs' | 'recordsMax' | 'bytesMax'>

function waitUntil(table: Place, options: Partial<SuppressUntilClose & SuppressFor>): Wait {
  const { until, store: _, ...others } = options
  if (until !== 'windowCloses') refuse(LABEL, `until must be 'windowCloses', not ${JSON.stringify(until)}`)
  const [other] = Object.keys(others)
  if (other !== undefined) refuse(LABEL, `${other} does not go with until: a window that is put out early would be no final result`)
  return { untilClose: true, clock: 'stream', waitMs: closesAfter(table.draft, table.node), recordsMax: null, bytesMax: null }
}

function waitFor({ for: duration, maxRecords, maxBytes, clock = 'stream' }: Partial<SuppressFor>): Wait {
  if (duration === undefined) refuse(LABEL, "name {until: 'windowCloses'} or {for: '30s'}")
  if (clock !== 'stream' && clock !== 'wall') refuse(LABEL, `clock must be 'stream' or 'wall', not ${JSON.stringify(clock)}`)
  return {
    untilClose: false,
    clock,
    waitMs: durationMs(duration, `${LABEL}: for`),
    recordsMax: recordsOf(maxRecords),
    bytesMax: maxBytes === undefined ? null : sizeBytes(maxBytes, `${LABEL}: maxBytes`),
  }
}

function recordsOf(bound: unknown): number | null {
  if (bound === undefined) return null
  if (Number.isSafeInteger(bound) && (bound as number) >= 0) return bound as number
  return refuse(LABEL, `maxRecords must be a whole number, not ${JSON.stringify(bound)}`)
}

/** How long after its end the windows upstream close: the longest, where several meet. */
function closesAfter(draft: Draft, node: Node): number {
  if (node.kind === 'windowAggregate') return closesAfterMs(node.windows)
  const parents = node.kind === 'toTable' || node.kind === 'tableAggregate' ? [] : node.parents.map((id) => draft.nodes[id] as Node)
  if (parents.length === 0)
    refuse(LABEL, `until 'windowCloses' needs a table of windows, but "${node.name}" has none; use windowedBy(...) or {for: ...}`)
  return Math.max(...parents.map((parent) => closesAfter(draft, parent)))
}
