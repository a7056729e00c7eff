// `selectKey` of a stream: a new key for the same value. Null (or undefined) makes a null key.
import type { StatelessNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

export const selectKey: Operator = (site) => {
  const fn = site.guard((site.node.operator as StatelessNode).fn)
  const { forward } = site
  return { inputs: [(key, value, timestamp) => forward(fn(value, key) ?? null, value, timestamp, undefined)] }
}
