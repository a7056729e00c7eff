// `process` and `processValues`: a user's processor below a stream, with its stores and its outputs.
import type { Serde } from '../serde/serde.ts'
import type { ProcessNode } from '../topology/node.ts'
import type { ProcessorSupplier, StoreHandle } from '../topology/processor.ts'
import { checkFunction, checkOnError, checkOptions, checkSerde, given, refuse } from './check.ts'
import type { Place } from './draft.ts'
import { addNamed, addPlain, serdesOf } from './place.ts'
import { connectedStores } from './stores.ts'
import { json } from '../serde/json.ts'
import type { OnErrorOptions } from './types.ts'

export interface ProcessValuesOptions<V2, N extends string = never> extends OnErrorOptions {
  /** The stores that it uses: what `t.store(...)` gave, `readOnly(...)` of that, or the name. */
  readonly stores?: readonly (StoreHandle<unknown> | string)[]
  /** Names of outputs, each a stream of its own: `context.forward(record, name)`. */
  readonly outputs?: readonly N[]
  readonly value?: Serde<NonNullable<V2>>
}

export interface ProcessOptions<K2, V2, N extends string = never> extends ProcessValuesOptions<V2, N> {
  readonly key?: Serde<NonNullable<K2>>
}

/** What the operator was given, whatever the caller's types. */
interface Given {
  readonly kind: ProcessNode['kind']
  readonly supplier: unknown
  readonly options: object | undefined
}

/** Answers the stream below, or one for each output. */
export function addProcess<S>(
  parent: Place,
  { kind, supplier, options }: Given,
  wrap: (place: Place) => S,
): S | Readonly<Record<string, S>> {
  const names = ['stores', 'outputs', 'value', 'onError', ...(kind === 'process' ? ['key'] : [])]
  const known = checkOptions(kind, options as ProcessOptions<unknown, unknown, string> | undefined, names)
  const { stores, outputs, key, value } = known
  const fn = checkFunction(kind, 'the supplier', supplier) as ProcessorSupplier<unknown, unknown, unknown, unknown>
  const branches = outputNames(kind, outputs)
  const own = serdesOf(parent.node)
  const base = {
    key: kind === 'process' ? checkSerde(kind, 'key', key, json()) : own.key,
    value: checkSerde(kind, 'value', value, json()),
    keyChanged: kind === 'process' || parent.node.keyChanged,
  }
  const body = { supplier: fn, ...connectedStores(kind, parent.draft, stores), outputs: branches, ...base }
  const node = addPlain([parent], kind, { kind, ...body, ...checkOnError(kind, known.onError) })
  if (outputs === undefined) return wrap(node)
  const streams = Object.create(null) as Record<string, S>
  for (const name of branches) streams[name] = wrap(addNamed(node, 'branch', `${node.node.name}-${name}`, { kind: 'branch', ...base }))
  return Object.freeze(streams)
}

function outputNames(operator: string, outputs: unknown): readonly string[] {
  if (outputs === undefined) return Object.freeze([])
  if (!Array.isArray(outputs)) return refuse(operator, `outputs must be an array of names, not ${given(outputs)}`)
  if (outputs.length === 0) refuse(operator, 'outputs is empty; leave it out, or name at least one')
  for (const [i, name] of (outputs as readonly unknown[]).entries()) {
    if (typeof name !== 'string' || name === '') refuse(operator, `an output must be a name, not ${given(name)}`)
    if (outputs.indexOf(name) !== i) refuse(operator, `the output "${name}" is named twice`)
  }
  return Object.freeze([...(outputs as readonly string[])])
}
