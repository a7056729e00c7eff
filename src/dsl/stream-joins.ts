// What `join`, `leftJoin` and `outerJoin` of a stream put into the topology, by what the other side is. Options are checked here.
import { type Duration, durationMs } from '../base/duration.ts'
import { json } from '../serde/json.ts'
import type { GlobalTableNode, JoinType } from '../topology/node.ts'
import { RAW } from '../topology/raw.ts'
import { historyMs } from '../topology/versioned.ts'
import { checkFunction, checkOnError, checkOptions, checkSerde, given, refuse } from './check.ts'
import { claimStore, addNode, PLACE, type Place } from './draft.ts'
import { GlobalTable } from './global-table.ts'
import { addPlain, joinLabel, serdesOf } from './place.ts'
import { addBufferingJoin, type BufferingJoinOptions } from './ordering.ts'
import { Stream } from './stream.ts'
import { Table } from './table.ts'
import type { OnErrorOptions, StoreValueOptions, StreamTableOptions, ValueOptions } from './types.ts'
import { checkWindow } from './within.ts'

export function addStreamsJoin(left: Place, type: JoinType, other: unknown, rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  if (other instanceof Stream) return joinStream(left, other[PLACE], type, rest)
  if (type === 'outer') return refuse(label, `the other side must be a Stream, not ${given(other)}`)
  if (other instanceof GlobalTable) return joinGlobal(left, other[PLACE], type, rest)
  if (other instanceof Table) return joinTable(left, other[PLACE], type, rest)
  return refuse(label, `the other side must be a Table, a GlobalTable or a Stream, not ${given(other)}`)
}

function joinStream(left: Place, right: Place, type: JoinType, rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  const joiner = checkFunction(label, 'the joiner', rest[0])
  const { beforeMs, afterMs, graceMs } = checkWindow(label, rest[1])
  const options = rest[2] as (StoreValueOptions<unknown> & OnErrorOptions) | undefined
  const { store: wanted, value, onError } = checkOptions(label, options, ['store', 'value', 'onError'])
  const serdes = { key: serdesOf(left.node).key, value: checkSerde(label, 'value', value, json()) }
  const { name, store } = claimStore(left.draft, label, wanted, RAW, RAW)
  return addNode(left.draft, name, [left, right], {
    kind: 'streamJoin',
    type,
    joiner,
    beforeMs,
    afterMs,
    graceMs,
    left: serdesOf(left.node),
    right: serdesOf(right.node),
    store,
    ...serdes,
    keyChanged: false,
    ...checkOnError(label, onError),
  })
}

function joinTable(left: Place, right: Place, type: 'inner' | 'left', rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  if (waits(rest[1])) return addBufferingJoin(left, right, type, rest[0], rest[1])
  const joiner = checkFunction(label, 'the joiner', rest[0])
  const known = checkOptions(label, rest[1] as StreamTableOptions<unknown> | undefined, ['value', 'grace', 'store', 'onError'])
  const stream = serdesOf(left.node)
  const serdes = { key: stream.key, value: checkSerde(label, 'value', known.value, json()) }
  const body = {
    kind: 'streamTableJoin',
    type,
    joiner,
    streamKey: stream.key,
    streamValue: stream.value,
    ...serdes,
    keyChanged: false,
    ...checkOnError(label, known.onError),
  } as const
  if (known.grace === undefined) {
    if (known.store !== undefined) refuse(label, 'store is for what waits for a grace; without grace nothing is stored')
    return addPlain([left, right], label, { ...body, graceMs: null, store: null })
  }
  const graceMs = checkGrace(label, right, known.grace)
  const { name, store } = claimStore(left.draft, label, known.store, RAW, RAW)
  return addNode(left.draft, name, [left, right], { ...body, graceMs, store })
}

function joinGlobal(left: Place, right: Place, type: 'inner' | 'left', rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  const tableKey = checkFunction(label, 'the key of the global table', rest[0])
  const joiner = checkFunction(label, 'the joiner', rest[1])
  const options = rest[2] as (ValueOptions<unknown> & OnErrorOptions) | undefined
  const { value, onError } = checkOptions(label, options, ['value', 'onError'])
  const { key } = serdesOf(left.node)
  const { keyChanged } = left.node
  const table = (right.node as GlobalTableNode).store.name
  const body = { key, value: checkSerde(label, 'value', value, json()), keyChanged, ...checkOnError(label, onError) }
  return addPlain([left, right], label, { kind: 'streamGlobalJoin', type, tableKey, joiner, table, ...body })
}

/** What waits is joined with the row that held at its time: the table must remember so far back. */
function checkGrace(label: string, table: Place, grace: Duration): number {
  const graceMs = durationMs(grace, `${label}: grace`)
  const history = historyMs(table.draft.nodes, table.node)
  const cure = `read it with t.table(topic, {versioned: '5m'})`
  if (history === null) return refuse(label, `grace needs a versioned table, which "${table.node.name}" is not; ${cure}`)
  if (graceMs <= history) return graceMs
  return refuse(label, `grace (${graceMs} ms) must not be longer than the history of "${table.node.name}" (${history} ms)`)
}

function waits(options: unknown): options is BufferingJoinOptions<never, never, never> {
  return typeof options === 'object' && options !== null && ('buffer' in options || 'on' in options)
}
