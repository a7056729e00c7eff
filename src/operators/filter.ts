// `filter` and `filterNot` of a stream: passes on what the predicate accepts, or refuses. Called with null keys and values too.
import type { StatelessNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

const filterBy =
  (wanted: boolean): Operator =>
  (site) => {
    const accepts = site.guard((site.node.operator as StatelessNode).fn)
    const { forward } = site
    return {
      inputs: [
        (key, value, timestamp) => {
          if (Boolean(accepts(value, key)) === wanted) forward(key, value, timestamp, undefined)
        },
      ],
    }
  }

export const filter = filterBy(true)
export const filterNot = filterBy(false)
