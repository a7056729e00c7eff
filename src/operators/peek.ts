// `peek` and `forEach` of a stream: calls, and passes on unchanged (a `forEach` has no children).
import type { StatelessNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

export const peek: Operator = (site) => {
  const fn = site.guard((site.node.operator as StatelessNode).fn)
  const { forward } = site
  return {
    inputs: [
      (key, value, timestamp) => {
        fn(value, key)
        forward(key, value, timestamp, undefined)
      },
    ],
  }
}
