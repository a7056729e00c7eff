// `flatMap` and `flatMapValues` of a stream: one record to any number, in the order given. The timestamp stays.
//
// Invariant: the callback's result is run through to its end before the first record goes on, so that a generator that throws
// leaves nothing half done downstream.
import { MillraceError } from '../base/errors.ts'
import type { StatelessNode } from '../topology/node.ts'
import { asPair, describe } from './map.ts'
import type { Operator } from './operator.ts'

export const flatMap: Operator = (site) => {
  const fn = site.guard(listed(site.node.name, (site.node.operator as StatelessNode).fn))
  const { forward } = site
  return {
    inputs: [
      (key, value, timestamp) => {
        for (const pair of fn(value, key)) {
          const [newKey, newValue] = asPair(pair, site.node.name)
          forward(newKey ?? null, newValue ?? null, timestamp, undefined)
        }
      },
    ],
  }
}

export const flatMapValues: Operator = (site) => {
  const fn = site.guard(listed(site.node.name, (site.node.operator as StatelessNode).fn))
  const { forward } = site
  return {
    inputs: [
      (key, value, timestamp) => {
        for (const newValue of fn(value, key)) forward(key, newValue ?? null, timestamp, undefined)
      },
    ],
  }
}

/** The callback with its result as an array. A string is iterable too, and never what was meant. */
function listed(name: string, fn: StatelessNode['fn']): (value: unknown, key: unknown) => readonly unknown[] {
  return (value, key) => {
    const result: unknown = fn(value, key)
    if (Array.isArray(result)) return result
    if (typeof result === 'object' && result !== null && Symbol.iterator in result) return [...(result as Iterable<unknown>)]
    throw new MillraceError('STREAM_CALLBACK', `the callback of ${name} returned ${describe(result)}; return an array or another iterable`)
  }
}
