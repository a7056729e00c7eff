// What `join`, `leftJoin` and `outerJoin` of a stream put into the topology, by what the other side is. Options are checked here.
import { json } from '../serde/json.ts'
import type { JoinType } from '../topology/node.ts'
import { RAW } from '../topology/raw.ts'
import { checkFunction, checkOptions, checkSerde, given, refuse } from './check.ts'
import { claimStore, addNode, PLACE, type Place } from './draft.ts'
import { addPlain, joinLabel, serdesOf } from './place.ts'
import { Stream } from './stream.ts'
import { Table } from './table.ts'
import type { StoreValueOptions, ValueOptions } from './types.ts'
import { checkWindow } from './within.ts'

export function addStreamsJoin(left: Place, type: JoinType, other: unknown, rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  if (other instanceof Stream) return joinStream(left, other[PLACE], type, rest)
  if (type === 'outer') return refuse(label, `the other side must be a Stream, not ${given(other)}`)
  if (other instanceof Table) return joinTable(left, other[PLACE], type, rest)
  return refuse(label, `the other side must be a Table or a Stream, not ${given(other)}`)
}

function joinStream(left: Place, right: Place, type: JoinType, rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  const joiner = checkFunction(label, 'the joiner', rest[0])
  const { beforeMs, afterMs, graceMs } = checkWindow(label, rest[1])
  const { store: wanted, value } = checkOptions(label, rest[2] as StoreValueOptions<unknown> | undefined, ['store', 'value'])
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
  })
}

function joinTable(left: Place, right: Place, type: 'inner' | 'left', rest: readonly unknown[]): Place {
  const label = joinLabel[type]
  const joiner = checkFunction(label, 'the joiner', rest[0])
  const { value } = checkOptions(label, rest[1] as ValueOptions<unknown> | undefined, ['value'])
  const serdes = { key: serdesOf(left.node).key, value: checkSerde(label, 'value', value, json()) }
  return addPlain([left, right], label, { kind: 'streamTableJoin', type, joiner, ...serdes, keyChanged: false })
}
