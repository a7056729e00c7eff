// The stream's side of a buffering join by foreign key: sends each record to the partition of the row that it points to, with its own key
// and where it came from. A null value, or a foreign key of null, joins nothing: dropped, counted.
import type { ParkingSink } from '../topology/plan-types.ts'
import { keyToBytes } from './encode.ts'
import type { Operator } from './operator.ts'
import { arrivalOf, encodeParked } from './parked-record.ts'

export const parkingSink: Operator = (site) => {
  const { topic, join } = site.node.operator as ParkingSink
  const on = site.guard(join.on as (value: unknown, key: unknown) => unknown)
  const dropped = site.counter('dropped')
  return {
    inputs: [
      (key, value, timestamp) => {
        const foreignKey = value === null ? null : keyToBytes(site, join.tableKey, on(value, key) ?? null)
        if (foreignKey === null) {
          dropped.n++
          return
        }
        const arrival = { ...arrivalOf(site, join.stream, key, value, timestamp, []), headers: [] } // headers go with the message
        site.send(topic, null, foreignKey, encodeParked({ ...arrival, sequence: 0, parkedAtMs: 0, parkedAtStreamMs: 0 }), timestamp)
      },
    ],
  }
}
