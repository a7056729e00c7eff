// `map` of a stream: one record to another, [key, value]. The timestamp stays.
import { MillraceError } from '../base/errors.ts'
import type { StatelessNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

export const map: Operator = (site) => {
  const fn = site.guard((site.node.operator as StatelessNode).fn)
  const { forward } = site
  return {
    inputs: [
      (key, value, timestamp) => {
        const [newKey, newValue] = asPair(fn(value, key), site.node.name)
        forward(newKey ?? null, newValue ?? null, timestamp, undefined)
      },
    ],
  }
}

/** What a callback returned, if it is a pair; STREAM_CALLBACK otherwise. */
export function asPair(pair: unknown, name: string): readonly [key: unknown, value: unknown] {
  if (Array.isArray(pair) && pair.length <= 2) return pair as unknown as readonly [unknown, unknown]
  throw new MillraceError('STREAM_CALLBACK', `the callback of ${name} returned ${describe(pair)}; return [key, value]`)
}

export function describe(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? `an array of ${value.length}` : typeof value === 'object' ? 'an object' : typeof value
}
