// `holdUntil`: its options checked, its tables found, and put below a stream. The tables are part of the plan, so they are known before any
// record is: those that are named, else all that have a store so far.
import { MillraceError } from '../base/errors.ts'
import type { HoldDependency, HoldUntilNode, Node } from '../topology/node.ts'
import { RAW } from '../topology/raw.ts'
import { checkFunction, checkOnError, checkOptions, given, refuse } from './check.ts'
import { addNode, claimStore, type Draft, PLACE, type Place } from './draft.ts'
import { type BufferOptions, checkBuffer } from './ordering.ts'
import { serdesOf } from './place.ts'
import { Table } from './table.ts'
import type { OnErrorOptions, StoreOptions } from './types.ts'

/** A row that has to be there: of a table of the topology, or of one named by its store. `version`: that version or a later one, of a table made
 *  by `lastWriteWins`. */
export interface Dependency<K = unknown> {
  readonly table: Table<K, unknown> | string
  readonly key: K
  readonly version?: number | bigint | string | null | undefined
}

/** The dependencies whose keys are keys of their tables. */
export type Fitting<D> = D extends { readonly table: Table<infer K, unknown>; readonly key: infer DK } ? (DK extends K ? D : never) : D

export interface HoldUntilOptions extends StoreOptions, OnErrorOptions {
  readonly buffer: BufferOptions
  /** The tables that records may depend on, or the names of their stores. Default: all with a store that the topology has so far. */
  readonly tables?: readonly (Table<unknown, unknown> | string)[]
}

const LABEL = 'holdUntil'
const TABLES: ReadonlySet<Node['kind']> = new Set([
  'toTable',
  'lastWriteWins',
  'tableFilter',
  'tableFilterNot',
  'tableMapValues',
  'tableJoin',
  'foreignKeyJoin',
  'aggregate',
  'tableAggregate',
  'cogroup',
])

export function addHoldUntil(stream: Place, dependencies: unknown, options: HoldUntilOptions): Place {
  const { draft } = stream
  const known = checkOptions(LABEL, options, ['buffer', 'store', 'tables', 'onError'])
  const fn = checkFunction(LABEL, 'what gives the dependencies', dependencies)
  if (known.buffer === undefined) refuse(LABEL, "it needs a buffer, such as {buffer: {timeout: '1m'}}")
  const buffering = checkBuffer(LABEL, known.buffer)
  const nodes = tablesOf(draft, known.tables)
  const tables = nodes.map((node) => Object.freeze({ name: nameOf(node), key: node.key }))
  const serdes = serdesOf(stream.node)
  const { name, store } = claimStore(draft, LABEL, known.store, RAW, RAW)
  const body: Omit<HoldUntilNode, 'id' | 'name' | 'parents'> = {
    kind: LABEL,
    store,
    dependencies: (value: unknown, key: unknown) => resolved(name, nodes, fn(value, key)),
    tables: Object.freeze(tables),
    buffering,
    stream: serdes,
    ...serdes,
    keyChanged: false,
    ...checkOnError(LABEL, known.onError),
  }
  return addNode(draft, name, [stream, ...nodes.map((node) => ({ draft, node }))], body)
}

function nameOf(node: Node): string {
  return 'store' in node && node.store !== null ? node.store.name : node.name
}

function tablesOf(draft: Draft, wanted: unknown): Node[] {
  const withStore = draft.nodes.filter((node) => TABLES.has(node.kind) && 'store' in node && node.store !== null)
  if (wanted === undefined) {
    if (withStore.length === 0)
      refuse(LABEL, 'no table with a store comes before it; declare them before, and give them stores or name them in tables')
    return withStore
  }
  if (!Array.isArray(wanted) || wanted.length === 0) refuse(LABEL, `tables must be an array of tables, not ${given(wanted)}`)
  const found = (wanted as readonly unknown[]).map((one): Node => {
    if (one instanceof Table) {
      const { draft: other, node } = one[PLACE]
      if (other !== draft) refuse(LABEL, `the table "${node.name}" belongs to another topology ("${other.topology}")`)
      if (TABLES.has(node.kind)) return node
      return refuse(LABEL, `the table "${node.name}" is one of windows; records can't depend on its rows`)
    }
    if (typeof one !== 'string') return refuse(LABEL, `tables must name tables or their stores, not ${given(one)}`)
    const node = withStore.find((each) => nameOf(each) === one)
    return node ?? refuse(LABEL, `no table with the store "${one}" comes before it`)
  })
  return [...new Set(found)]
}

/** Run for each record: a wrong dependency is that record's fault. */
function resolved(name: string, tables: readonly Node[], dependencies: unknown): HoldDependency[] {
  const wrong = (message: string): never => {
    throw new MillraceError('STREAM_CALLBACK', `${name}: ${message}`)
  }
  if (typeof dependencies !== 'object' || dependencies === null || !(Symbol.iterator in dependencies))
    return wrong(`the dependencies are ${given(dependencies)}; give an array of {table, key}`)
  return [...(dependencies as Iterable<unknown>)].map((dependency): HoldDependency => {
    if (typeof dependency !== 'object' || dependency === null || !('table' in dependency) || !('key' in dependency))
      return wrong(`a dependency is ${given(dependency)}; give {table, key}`)
    const { table: wanted, key, version = null } = dependency as { table: unknown; key: unknown; version?: unknown }
    const shown = wanted instanceof Table ? nameOf(wanted[PLACE].node) : typeof wanted === 'string' ? wanted : given(wanted)
    const table = tables.findIndex((node) => (wanted instanceof Table ? wanted[PLACE].node === node : nameOf(node) === wanted))
    if (table === -1)
      return wrong(`a record depends on the table "${shown}", which is not among its tables (${tables.map(nameOf).join(', ')})`)
    if (key === null || key === undefined) return wrong(`a record depends on a row of "${shown}" without a key`)
    if (version === null || version === undefined) return { table, key, version: null }
    if (tables[table]?.kind !== 'lastWriteWins')
      return wrong(`a dependency names a version of "${shown}", which is not made by lastWriteWins`)
    if (typeof version === 'string' || typeof version === 'bigint' || (typeof version === 'number' && !Number.isNaN(version)))
      return { table, key, version }
    return wrong(`the version of a dependency on "${shown}" is ${given(version)}; it must be a number, a bigint or a string`)
  })
}
