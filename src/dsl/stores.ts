// The stores that users declare for processors: `t.store(keyValue({...}))` gives the handle that `process` takes in `stores`.
//
// 1. A declared store is data; nothing is opened here.
// 2. What makes no sense is refused where it is declared, by the name of the store.
import { type Duration, durationMs } from '../base/duration.ts'
import { checkName } from '../base/names.ts'
import { closest } from '../base/suggest.ts'
import { json } from '../serde/json.ts'
import type { Serde } from '../serde/serde.ts'
import type { Borrowed, StoreForm, StoreSpec } from '../topology/node.ts'
import type {
  KeyValueStore,
  ReadOnlyKeyValueStore,
  ReadOnlySessionStore,
  ReadOnlyVersionedStore,
  ReadOnlyWindowStore,
  SessionStore,
  StoreHandle,
  VersionedStore,
  WindowStore,
} from '../topology/processor.ts'
import { borrowedFrom, borrowedNamed } from './borrowed.ts'
import { checkOptions, checkSerde, given, refuse } from './check.ts'
import { type Draft, PLACE, type Placed } from './draft.ts'
import type { GlobalTable } from './global-table.ts'
import type { Table } from './table.ts'

interface CommonOptions<K, V> {
  readonly name: string
  readonly key?: Serde<K>
  readonly value?: Serde<V>
  /** On disk; false: in memory, restored from the changelog when the task opens. Default: true. */
  readonly persistent?: boolean
  /** Backed up in a changelog topic; false: lost with its disk. Default: true. */
  readonly changelog?: boolean
}

export interface KeyValueDeclaration<K, V> extends CommonOptions<K, V> {
  /** A row is gone so long after its last write, in stream time. */
  readonly ttl?: Duration
}

export interface WindowDeclaration<K, V> extends CommonOptions<K, V> {
  readonly size: Duration
  /** How far behind the greatest start written a window may lie. */
  readonly retention: Duration
}

export interface SessionDeclaration<K, V> extends CommonOptions<K, V> {
  /** How far behind the greatest end written a session may end. */
  readonly retention: Duration
}

export interface VersionedDeclaration<K, V> extends CommonOptions<K, V> {
  /** How long versions that are not the latest are kept, in time of the versions written. */
  readonly retention: Duration
}

/** A store to be declared; S is what a processor gets. */
export interface StoreDeclaration<out S> {
  readonly spec: StoreSpec
  readonly [DECLARES]?: S
}

declare const DECLARES: unique symbol

/** What a handle stands for; a handle of another making is no handle. */
const declared = new WeakMap<object, Known>()
const byName = new WeakMap<Draft, Map<string, Known>>()

interface Known {
  readonly draft: Draft
  readonly spec: StoreSpec
  readonly readOnly: boolean
  /** Of a table: how its rows are read. */
  readonly borrowed?: Borrowed
}

export function keyValue<K = unknown, V = unknown>(options: KeyValueDeclaration<K, V>): StoreDeclaration<KeyValueStore<K, V>> {
  const { ttl } = optionsOf('keyValue', options, ['ttl'])
  const label = labelOf('keyValue', options)
  const ttlMs = ttl === undefined ? null : durationMs(ttl, `${label}: ttl`)
  if (ttlMs === 0) refuse(label, 'a ttl of 0 keeps nothing; leave it out, or name a longer one')
  return declaration('keyValue', options, { kind: 'keyValue', ttlMs })
}

export function window<K = unknown, V = unknown>(options: WindowDeclaration<K, V>): StoreDeclaration<WindowStore<K, V>> {
  const { size, retention } = optionsOf('window', options, ['size', 'retention'])
  const label = labelOf('window', options)
  const sizeMs = needed(label, 'size', size)
  const retentionMs = needed(label, 'retention', retention)
  if (sizeMs === 0) refuse(label, 'size must be longer than 0')
  if (retentionMs < sizeMs) refuse(label, `retention (${retentionMs} ms) must not be shorter than size (${sizeMs} ms)`)
  return declaration('window', options, { kind: 'window', sizeMs, retentionMs })
}

export function sessionStore<K = unknown, V = unknown>(options: SessionDeclaration<K, V>): StoreDeclaration<SessionStore<K, V>> {
  const { retention } = optionsOf('session', options, ['retention'])
  const retentionMs = needed(labelOf('session', options), 'retention', retention)
  if (retentionMs === 0) refuse(labelOf('session', options), 'retention must be longer than 0')
  return declaration('session', options, { kind: 'session', retentionMs })
}

export function versioned<K = unknown, V = unknown>(options: VersionedDeclaration<K, V>): StoreDeclaration<VersionedStore<K, V>> {
  const { retention } = optionsOf('versioned', options, ['retention'])
  return declaration('versioned', options, {
    kind: 'versioned',
    retentionMs: needed(labelOf('versioned', options), 'retention', retention),
  })
}

/** The same store, for a processor that only reads it. Of a table with a store, or of a global table: its rows. */
export function readOnly<K, V>(table: Table<K, V> | GlobalTable<K, V>): StoreHandle<ReadOnlyKeyValueStore<K, V>>
export function readOnly<K, V>(handle: StoreHandle<KeyValueStore<K, V>>): StoreHandle<ReadOnlyKeyValueStore<K, V>>
export function readOnly<K, V>(handle: StoreHandle<WindowStore<K, V>>): StoreHandle<ReadOnlyWindowStore<K, V>>
export function readOnly<K, V>(handle: StoreHandle<SessionStore<K, V>>): StoreHandle<ReadOnlySessionStore<K, V>>
export function readOnly<K, V>(handle: StoreHandle<VersionedStore<K, V>>): StoreHandle<ReadOnlyVersionedStore<K, V>>
export function readOnly(handle: StoreHandle<unknown> | Placed): StoreHandle<unknown> {
  if (isObject(handle) && PLACE in handle) {
    const { draft, node } = handle[PLACE]
    const borrowed = borrowedFrom('readOnly', node)
    if (borrowed.rows === 'windows' || borrowed.rows === 'sessions')
      refuse(
        'readOnly',
        `"${borrowed.spec.name}" holds windows; write its name into stores, and context.store<ReadOnlyWindowStore<K, V>>(name)`,
      )
    const reader = Object.freeze({ name: borrowed.spec.name })
    declared.set(reader, { draft, spec: borrowed.spec, readOnly: true, borrowed })
    return reader
  }
  const known = isObject(handle) ? declared.get(handle) : undefined
  if (known === undefined) return refuse('readOnly', `it takes what t.store(...) gave, or a table, not ${given(handle)}`)
  const reader = Object.freeze({ name: known.spec.name })
  declared.set(reader, { ...known, readOnly: true })
  return reader
}

/** `t.store`: takes the name in this topology and answers the handle. */
export function declareStore<S>(draft: Draft, wanted: StoreDeclaration<S>): StoreHandle<S> {
  const spec: StoreSpec | undefined = typeof wanted === 'object' && wanted !== null ? wanted.spec : undefined
  if (spec?.form === undefined) return refuse('store', `it takes keyValue({...}), window({...}), ..., not ${given(wanted)}`)
  if (!draft.open) return refuse('store', `the topology "${draft.topology}" is already built; declare stores inside its function`)
  const holder = draft.stores.get(spec.name.toLowerCase())
  if (holder !== undefined) {
    const why = holder === spec.name ? 'is taken' : `differs from "${holder}" only in case`
    refuse(spec.form.kind, `the store name "${spec.name}" ${why}; give each store its own name`)
  }
  draft.stores.set(spec.name.toLowerCase(), spec.name)
  const handle: StoreHandle<S> = Object.freeze({ name: spec.name })
  const known = { draft, spec, readOnly: false }
  declared.set(handle, known)
  const names = byName.get(draft) ?? new Map<string, Known>()
  byName.set(draft, names.set(spec.name, known))
  return handle
}

export interface ConnectedStores {
  readonly stores: readonly StoreSpec[]
  readonly readOnly: readonly string[]
  readonly borrowed: readonly Borrowed[]
}

const NONE: ConnectedStores = { stores: Object.freeze([]), readOnly: Object.freeze([]), borrowed: Object.freeze([]) }

/** The `stores` option of a processor. */
export function connectedStores(operator: string, draft: Draft, wanted: unknown): ConnectedStores {
  if (wanted === undefined) return NONE
  if (!Array.isArray(wanted)) return refuse(operator, `stores must be an array of what t.store(...) gave, not ${given(wanted)}`)
  const stores: StoreSpec[] = []
  const readers: string[] = []
  const borrowed: Borrowed[] = []
  for (const handle of wanted as readonly unknown[]) {
    const known = typeof handle === 'string' ? named(operator, draft, handle) : isObject(handle) ? declared.get(handle) : undefined
    if (known === undefined) return refuse(operator, `stores must hold what t.store(...) gave, not ${given(handle)}`)
    const { name } = known.spec
    if (known.draft !== draft) refuse(operator, `the store "${name}" belongs to another topology ("${known.draft.topology}")`)
    if (stores.includes(known.spec) || borrowed.some(({ spec }) => spec === known.spec))
      refuse(operator, `the store "${name}" is named twice`)
    if (known.borrowed?.rows !== 'global') stores.push(known.spec)
    if (known.readOnly) readers.push(name)
    if (known.borrowed !== undefined) borrowed.push(known.borrowed)
  }
  return { stores: Object.freeze(stores), readOnly: Object.freeze(readers), borrowed: Object.freeze(borrowed) }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function named(operator: string, draft: Draft, name: string): Known {
  const names = byName.get(draft)
  const known = names?.get(name)
  if (known !== undefined) return known
  const borrowed = borrowedNamed(operator, draft, name)
  if (borrowed !== null) return { draft, spec: borrowed.spec, readOnly: true, borrowed }
  const hint = closest(name, [...(names?.keys() ?? []), ...draft.stores.values()])
  return refuse(operator, `no store "${name}" was declared with t.store(...), and no table above has it${hint}`)
}

const COMMON = ['name', 'key', 'value', 'persistent', 'changelog'] as const

function optionsOf<O extends object>(kind: string, options: O, own: readonly string[]): Partial<O> {
  if (typeof options !== 'object' || options === null) refuse(kind, `options must be an object with a name, not ${given(options)}`)
  return checkOptions(kind, options, [...COMMON, ...own])
}

function labelOf(kind: string, { name }: { readonly name: string }): string {
  return `${kind} ${JSON.stringify(checkName(name, `${kind}: store`))}`
}

function needed(label: string, what: string, duration: Duration | undefined): number {
  if (duration === undefined) return refuse(label, `${what} is missing; write ${what}: '5m'`)
  return durationMs(duration, `${label}: ${what}`)
}

function declaration<K, V, S>(kind: string, options: CommonOptions<K, V>, form: StoreForm): StoreDeclaration<S> {
  const { name, key, value, persistent = true, changelog = true } = options
  const label = labelOf(kind, options)
  if (typeof persistent !== 'boolean') refuse(label, 'persistent must be true or false')
  if (typeof changelog !== 'boolean') refuse(label, 'changelog must be true or false')
  const spec: StoreSpec = Object.freeze({
    name,
    key: checkSerde(label, 'key', key, json()),
    value: checkSerde(label, 'value', value, json()),
    generated: false,
    persistent,
    changelog,
    form: Object.freeze(form),
  })
  return Object.freeze({ spec })
}
