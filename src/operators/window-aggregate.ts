// Aggregates over windows: which kind of window decides which operator.
import type { WindowAggregateNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'
import { sessionWindows } from './session-windows.ts'
import { slidingWindows } from './sliding-windows.ts'
import { timeWindows } from './time-windows.ts'

export const windowAggregate: Operator = (site) => {
  const node = site.node.operator as WindowAggregateNode
  const { windows } = node
  switch (windows.kind) {
    case 'time':
      return timeWindows(site, node, windows)
    case 'sliding':
      return slidingWindows(site, node, windows)
    case 'session':
      return sessionWindows(site, node, windows)
  }
}
