// split: one node with the predicates, and one branch node a name, in the order written.
import type { Fn } from '../topology/node.ts'
import { checkFunction, checkOnError, checkOptions, given, refuse } from './check.ts'
import type { Place } from './draft.ts'
import { addNamed, addPlain, serdesOf } from './place.ts'
import type { Stream } from './stream.ts'

export type Predicates<K, V> = Readonly<Record<string, (value: V, key: K) => boolean>>

export type Branches<N extends PropertyKey, K, V> = { readonly [Name in N]: Stream<K, V> }

export function addSplit<S>(
  parent: Place,
  predicates: unknown,
  options: object | undefined,
  wrap: (place: Place) => S,
): Readonly<Record<string, S>> {
  const known = checkOptions<{ readonly default?: unknown; readonly onError?: unknown }>('split', options, ['default', 'onError'])
  const { default: rest } = known
  if (typeof predicates !== 'object' || predicates === null || Array.isArray(predicates)) {
    refuse('split', `branches must be an object of predicates, not ${given(predicates)}`)
  }
  const entries = Object.entries(predicates as object)
  if (entries.length === 0 && rest === undefined) refuse('split', 'name at least one branch')
  const fns: Fn[] = entries.map(([name, predicate]) => checkFunction('split', `the predicate of "${name}"`, predicate))
  if (rest !== undefined && (typeof rest !== 'string' || rest === '')) refuse('split', `default must be a name, not ${given(rest)}`)
  const names = entries.map(([name]) => name)
  if (typeof rest === 'string') {
    if (names.includes(rest)) refuse('split', `the default branch "${rest}" is the name of a predicate too`)
    names.push(rest)
  }
  const base = { ...serdesOf(parent.node), keyChanged: parent.node.keyChanged }
  const split = addPlain([parent], 'split', {
    kind: 'split',
    predicates: Object.freeze(fns),
    hasDefault: rest !== undefined,
    ...base,
    ...checkOnError('split', known.onError),
  })
  // A null prototype: a branch may have any name.
  const branches = Object.create(null) as Record<string, S>
  for (const name of names) branches[name] = wrap(addNamed(split, 'branch', `${split.node.name}-${name}`, { kind: 'branch', ...base }))
  return Object.freeze(branches)
}
