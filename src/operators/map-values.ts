// `mapValues` of a stream: a new value under the same key. Called with null values too; undefined becomes null.
import type { StatelessNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

export const mapValues: Operator = (site) => {
  const fn = site.guard((site.node.operator as StatelessNode).fn)
  const { forward } = site
  return { inputs: [(key, value, timestamp) => forward(key, fn(value, key) ?? null, timestamp, undefined)] }
}
