// `join`, `leftJoin` and `outerJoin` of two tables by their key.
//
// Invariants
// 1. A change meets the present row of the other side; the result's timestamp is the greater of the two, so it can go back.
// 2. inner: nothing without the other side; with it a tombstone goes on even where no result ever was.
//    left: a left change says nothing when other, new and old are all absent; a right change says nothing without a left row.
//    outer: says nothing when other, new and old are all absent.
// 3. `old` is the row of the own store where there is one, else what the joiner makes of the old row.
import type { JoinType, TableJoinNode } from '../topology/node.ts'
import { NOT_LATEST } from './operator.ts'
import type { Instance, Operator, Push, Row, Site, TableGetter } from './operator.ts'
import { keepAndForward, ownStore, storeGetter } from './table-store.ts'

export const tableJoin: Operator = (site) => {
  const { type, joiner } = site.node.operator as TableJoinNode
  const join = site.guard(joiner)
  const left = site.getter(0)
  const right = site.getter(1)
  const store = ownStore(site)
  const result: Join = (leftValue, rightValue, key) => {
    if (leftValue === null && type !== 'outer') return null
    if (rightValue === null && (type === 'inner' || leftValue === null)) return null
    return join(leftValue, rightValue, key) ?? null
  }
  const leftPush = side(site, right, (mine, other, key) => result(mine, other, key), silence(type, 0))
  const rightPush = side(site, left, (mine, other, key) => result(other, mine, key), silence(type, 1))
  const reads = store === null ? [] : [0]
  return {
    inputs: [leftPush, rightPush],
    getter: store === null ? computed(left, right, result) : storeGetter(store),
    reads: [reads, reads],
  } satisfies Instance
}

type Join = (leftValue: unknown, rightValue: unknown, key: unknown) => unknown

/** When a change of that side says nothing: 'unmet' without the other side, 'void' when other, new and old are all absent. */
function silence(type: JoinType, input: 0 | 1): 'unmet' | 'void' {
  return type === 'outer' || (type === 'left' && input === 0) ? 'void' : 'unmet'
}

function side(site: Site, otherSide: TableGetter, result: Join, silent: 'unmet' | 'void'): Push {
  const store = ownStore(site)
  const keep = keepAndForward(site, store)
  const dropped = site.counter('dropped')
  const wantsOld = site.node.sendsOld && store === null
  return (key, value, timestamp, parentOld) => {
    if (key === null || parentOld === NOT_LATEST) {
      dropped.n++
      return
    }
    const other = otherSide(key)
    const old = parentOld ?? null
    if (other === null && (silent === 'unmet' || (value === null && old === null))) return
    const otherValue = other === null ? null : other.value
    const at = other === null ? timestamp : Math.max(timestamp, other.timestamp)
    keep(key, result(value, otherValue, key), at, wantsOld ? result(old, otherValue, key) : null)
  }
}

function computed(left: TableGetter, right: TableGetter, result: Join): TableGetter {
  return (key) => {
    const leftRow = left(key)
    const rightRow = right(key)
    const value = result(leftRow?.value ?? null, rightRow?.value ?? null, key)
    return value === null ? null : { value, timestamp: later(leftRow, rightRow) }
  }
}

function later(a: Row<unknown> | null, b: Row<unknown> | null): number {
  return Math.max(a === null ? -1 : a.timestamp, b === null ? -1 : b.timestamp)
}
