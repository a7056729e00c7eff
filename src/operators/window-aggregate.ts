// Aggregates over windows: which kind of window decides which operator.
import type { WindowAggregateNode } from '../topology/node.ts'
import type { Instance, Operator, Push, Site } from './operator.ts'
import { sessionWindows } from './session-windows.ts'
import { slidingWindows } from './sliding-windows.ts'
import { timeWindows } from './time-windows.ts'
import type { WindowSite } from './window-store.ts'

export const windowAggregate: Operator = (site) => {
  const node = site.node.operator as WindowAggregateNode
  if (node.sinksLate) return sinkingLate(site, node)
  const instance = windowsOf({ ...site, tooLate: null }, node)
  return node.form === 'count' && node.onLate === null ? { ...instance, unread: [true] } : instance
}

function windowsOf(site: WindowSite, node: WindowAggregateNode): Instance {
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

/** The first child takes late records, each once; the others the results. */
function sinkingLate(site: Site, node: WindowAggregateNode): Instance {
  const sink = site.forwardTo(0)
  const others = site.node.children.slice(1).map((_, i) => site.forwardTo(i + 1))
  let isSunk = false
  const instance = windowsOf(
    {
      ...site,
      forward(key, value, timestamp, old) {
        for (const push of others) push(key, value, timestamp, old)
      },
      tooLate(key, value, timestamp) {
        if (isSunk) return
        isSunk = true
        sink(key, value, timestamp, undefined)
      },
    },
    node,
  )
  const once =
    (input: Push): Push =>
    (key, value, timestamp, old) => {
      isSunk = false
      input(key, value, timestamp, old)
    }
  return { ...instance, inputs: instance.inputs.map(once) }
}
