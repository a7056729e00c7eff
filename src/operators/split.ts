// `split` of a stream: each record to the first branch whose predicate accepts it, else to the default branch, else nowhere.
import type { SplitNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

export const split: Operator = (site) => {
  const { predicates, hasDefault } = site.node.operator as SplitNode
  const branches = predicates.map((predicate, i) => ({ accepts: site.guard(predicate), push: site.forwardTo(i) }))
  const rest = hasDefault ? site.forwardTo(predicates.length) : null
  return {
    inputs: [
      (key, value, timestamp) => {
        for (const { accepts, push } of branches) {
          if (accepts(value, key)) return push(key, value, timestamp, undefined)
        }
        rest?.(key, value, timestamp, undefined)
      },
    ],
  }
}
