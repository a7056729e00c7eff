// `merge`, `toStream` and `branch`: every record of every input goes on unchanged. A table's change becomes its new value alone.
import type { Operator, Push } from './operator.ts'

export const pass: Operator = (site) => {
  const { forward } = site
  const push: Push = (key, value, timestamp) => forward(key, value, timestamp, undefined)
  return { inputs: Array.from({ length: Math.max(1, site.node.parents.length) }, () => push) }
}
