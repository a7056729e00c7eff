// The stores of tables that a processor may read: whose store it is, and what its rows are. A processor never writes them: what it wrote
// would reach nobody below the table.
import type { Borrowed, Node, StoreSpec } from '../topology/node.ts'
import { refuse } from './check.ts'
import type { Draft } from './draft.ts'

/** Null: no operator has such a store. Refuses one whose rows are the operator's own affair. */
export function borrowedNamed(operator: string, draft: Draft, name: string): Borrowed | null {
  const owner = draft.nodes.find((node) => storeOf(node)?.name === name)
  return owner === undefined ? null : borrowedFrom(operator, owner)
}

export function borrowedFrom(operator: string, owner: Node): Borrowed {
  const spec = storeOf(owner)
  if (spec === null) return refuse(operator, `the table "${owner.name}" has no store; give it one, {store: 'name'}`)
  const borrowed = rowsOf(owner, spec)
  if (borrowed === null)
    return refuse(operator, `the store "${spec.name}" holds what "${owner.name}" keeps for itself; only tables can be read`)
  return Object.freeze(borrowed)
}

function rowsOf(owner: Node, spec: StoreSpec): Borrowed | null {
  switch (owner.kind) {
    case 'toTable':
      return { rows: spec.form?.kind === 'versioned' ? 'versioned' : 'plain', spec }
    case 'tableFilter':
    case 'tableFilterNot':
    case 'tableMapValues':
    case 'aggregate':
    case 'cogroup':
    case 'tableAggregate':
    case 'tableJoin':
    case 'foreignKeyJoin':
      return { rows: 'plain', spec }
    case 'lastWriteWins':
      return { rows: 'lastWriteWins', spec }
    case 'globalTable':
      return { rows: 'global', spec }
    case 'windowAggregate': {
      const { windows } = owner
      if (windows.kind === 'session') return { rows: 'sessions', spec }
      if (windows.kind === 'sliding') return { rows: 'windows', spec, spanMs: windows.differenceMs, advanceMs: null }
      return { rows: 'windows', spec, spanMs: windows.sizeMs, advanceMs: windows.advanceMs }
    }
    default:
      return null
  }
}

function storeOf(node: Node): StoreSpec | null {
  return 'store' in node ? node.store : null
}
