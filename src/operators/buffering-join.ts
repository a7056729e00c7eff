// The buffering join of a stream with a table: a record whose row is missing waits for it, in a store, and goes on when it comes.
// Input 0: the stream's records, or what a parking sink sent. Input 1: the table's changes.
//
// Invariants
// 1. Records of a key go on in the order in which they came: behind one that waits all others wait too. With `on` that is the order in
//    which they came to the partition of their rows.
// 2. Each record leaves once: joined with the row as it is then, expired, or given up because its joiner (or what is below) threw.
// 3. A row's arrival only marks the heads that wait for it; each goes in a piece of its own, so what one of them does costs neither the
//    row nor the others. Stream time past a record's timeout expires it, also when its row came with that.
// 4. A result's timestamp is the later of record and row; of a record that has expired its own.
import { MillraceError } from '../base/errors.ts'
import type { BufferingJoinNode } from '../topology/node.ts'
import { keyToBytes } from './encode.ts'
import type { Operator, Row } from './operator.ts'
import { type Arrival, arrivalOf, asArrived, decodeParked, type Parked } from './parked-record.ts'
import { ownKey, Parking } from './parking.ts'
import { type Ending, parkingLot } from './parking-lot.ts'

export const bufferingJoin: Operator = (site) => {
  const { node, context, forward } = site
  const { on, joiner, buffering, stream, tableKey } = node.operator as BufferingJoinNode
  const join = site.guard(joiner as (value: unknown, row: unknown, key: unknown) => unknown)
  const table = site.getter(1)
  const dropped = site.counter('dropped')
  const parking = new Parking(site.store(0), context)

  const rowOf = ({ waitsFor }: Parked): Row<unknown> | null => table(tableKey.decode(waitsFor[0] as Buffer))
  const put = (key: unknown, value: unknown, row: Row<unknown> | null, timestamp: number): void =>
    forward(key, join(value, row === null ? undefined : row.value, key) ?? null, Math.max(timestamp, row?.timestamp ?? 0), undefined)
  const putParked = ({ key, value, timestamp }: Parked, row: Row<unknown> | null): void =>
    put(key === null ? null : stream.key.decode(key), stream.value.decode(value), row, timestamp)

  const lot = parkingLot(site, parking, buffering, {
    /** Joined, when the row is there. */
    go(parked: Parked): boolean {
      const row = rowOf(parked)
      if (row !== null) putParked(parked, row)
      return row !== null
    },
    mayGo: (parked) => rowOf(parked) !== null,
    emit: (parked) => putParked(parked, null),
    describe: (ending: Ending) =>
      new MillraceError('STREAM_TIMEOUT', `${node.name}: no row came for the record within ${buffering.timeoutMs} ms${ending}`),
  })

  const byKey = (key: unknown, value: unknown, timestamp: number): void => {
    const keyBytes = value === null ? null : keyToBytes(site, tableKey, key)
    if (keyBytes === null) {
      dropped.n++
      return
    }
    const own = ownKey(keyBytes)
    const row = parking.holds(own) ? null : table(key)
    if (row !== null) put(key, value, row, timestamp)
    else lot.park(own, arrivalOf(site, stream, key, value, timestamp, [keyBytes]))
  }

  const byForeignKey = (foreignKey: Buffer, bytes: Buffer): void => {
    const arrival: Arrival = { ...decodeParked(bytes), waitsFor: [foreignKey], headers: context.headers }
    const own = ownKey(arrival.key)
    const row = parking.holds(own) ? null : table(tableKey.decode(foreignKey))
    if (row === null) lot.park(own, arrival)
    else {
      asArrived(context, arrival)
      const key = arrival.key === null ? null : stream.key.decode(arrival.key)
      put(key, stream.value.decode(arrival.value), row, arrival.timestamp)
    }
  }

  return {
    inputs: [
      on === null ? byKey : byForeignKey,
      (key, value) => {
        if (value !== null && key !== null) lot.arrived(keyToBytes(site, tableKey, key) as Buffer)
      },
    ],
  }
}
