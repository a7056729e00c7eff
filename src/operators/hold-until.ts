// `holdUntil`: holds a record until all rows that it depends on are there. The rows are in other partitions, so they are asked for: the
// table's side (hold-table.ts) answers, and tells of each change as long as the question stands.
// Input 0: the stream's records. Input i + 1: answers from table i (key and value as bytes).
//
// Invariants
// 1. Records of a key go on in the order in which they came. Each leaves once: as it came, expired, or given up.
// 2. A record goes when all its dependencies hold, as far as is known here, in one and the same moment. A row that is deleted while others are
//    waited for does not hold any more.
// 3. A question is asked for each row as long as a parked record depends on it; a record whose rows are all known goes at once.
// 4. A record whose questions are not answered yet sends no other away: it may not have to wait.
// 5. A record without a value depends on nothing: it waits behind its key only.
import { MillraceError } from '../base/errors.ts'
import { NO_HEADERS } from '../base/record.ts'
import { decodePair } from '../serde/ordered.ts'
import type { HoldDependency } from '../topology/node.ts'
import type { HoldUntil } from '../topology/plan-types.ts'
import { keyToBytes } from './encode.ts'
import { decodeResponse, encodeSubscription } from './foreign-key-messages.ts'
import { HoldRows, wantedOf } from './hold-rows.ts'
import { compareVersions, type Version } from './last-write-wins-row.ts'
import type { Operator, Push } from './operator.ts'
import { arrivalOf, type Parked } from './parked-record.ts'
import { ownKey, Parking } from './parking.ts'
import { type Ending, parkingLot } from './parking-lot.ts'

export const holdUntil: Operator = (site) => {
  const { node, context, forward, partition } = site
  const { hold, questionTopics } = node.operator as HoldUntil
  const { tables, buffering, stream } = hold
  const dependenciesOf = site.guard(hold.dependencies as (value: unknown, key: unknown) => readonly HoldDependency[])
  const store = site.store(0)
  const parking = new Parking(store, context)
  const rows = new HoldRows(store)
  const dropped = site.counter('stale_answers')
  const asker = Buffer.allocUnsafe(4)
  asker.writeUInt32BE(partition)

  const say = (subscribe: boolean, wanted: Buffer, sequence: number | null): void => {
    if (sequence === null) return
    const { first, rest } = decodePair(wanted)
    const table = tables.findIndex(({ name }) => name === first.toString())
    const topic = questionTopics[table]
    if (topic === undefined) return // a record that was parked by an earlier topology depends on it; its time will be over
    const { headers } = context
    context.headers = NO_HEADERS
    site.send(topic, null, rest, encodeSubscription({ subscribe, sequence, partition, leftKey: asker }), 0)
    context.headers = headers
  }

  const holds = (parked: Parked): boolean => {
    const versions = rows.versions(parked)
    return parked.waitsFor.every((wanted, i) => rows.holds(wanted, versions[i] ?? null))
  }
  const put = ({ key, value, timestamp }: Parked): void => {
    const bytes = value as Buffer | null
    forward(key === null ? null : stream.key.decode(key), bytes === null ? null : stream.value.decode(bytes), timestamp, undefined)
  }
  const missing = (parked: Parked): string => {
    const versions = rows.versions(parked)
    const names = parked.waitsFor.flatMap((wanted, i) =>
      rows.holds(wanted, versions[i] ?? null) ? [] : decodePair(wanted).first.toString(),
    )
    return [...new Set(names)].join(', ')
  }

  const lot = parkingLot(site, parking, buffering, {
    go(parked) {
      if (!parked.waitsFor.every((wanted) => rows.isHeard(wanted))) return false
      rows.asked(parked)
      const all = holds(parked)
      if (all) put(parked)
      return all
    },
    mayGo: holds,
    emit: put,
    describe: (ending: Ending, parked) => {
      const what = missing(parked)
      const why = what === '' ? 'those of its key before it went too late' : `missing: rows of ${what}`
      return new MillraceError(
        'STREAM_TIMEOUT',
        `${node.name}: what the record depends on was not there within ${buffering.timeoutMs} ms (${why})${ending}`,
      )
    },
    left(parked) {
      rows.forget(parked)
      for (const wanted of parked.waitsFor) say(false, wanted, rows.release(wanted))
    },
    exempt: () => rows.asking,
  })

  const record: Push = (key, value, timestamp) => {
    const needs = new Map<string, { readonly wanted: Buffer; readonly version: Version | null }>()
    for (const { table, key: rowKey, version } of value === null ? [] : dependenciesOf(value, key)) {
      const { name, key: serde } = tables[table] as (typeof tables)[number]
      const wanted = wantedOf(name, keyToBytes(site, serde, rowKey) as Buffer)
      const text = wanted.toString('latin1')
      const other = needs.get(text)?.version ?? null
      needs.set(text, { wanted, version: version === null || (other !== null && compareVersions(other, version) > 0) ? other : version })
    }
    const all = [...needs.values()]
    const own = ownKey(keyToBytes(site, stream.key, key))
    const behind = parking.holds(own)
    if (!behind && all.every(({ wanted, version }) => rows.holds(wanted, version))) {
      forward(key, value, timestamp, undefined)
      return
    }
    const waitsFor = all.map(({ wanted }) => wanted)
    const parked = lot.park(own, arrivalOf(site, stream, key, value, timestamp, waitsFor))
    rows.putVersions(
      parked,
      all.map(({ version }) => version),
    )
    for (const wanted of waitsFor) say(true, wanted, rows.need(wanted))
    if (!behind && waitsFor.some((wanted) => !rows.isHeard(wanted))) rows.ask(parked)
  }

  const answers = tables.map(
    ({ name }): Push =>
      (keyBytes: Buffer, bytes: Buffer) => {
        const { sequence, value } = decodeResponse(bytes)
        const wanted = wantedOf(name, keyBytes)
        if (rows.heard(wanted, sequence, value)) lot.arrived(wanted)
        else dropped.n++
      },
  )

  return { inputs: [record, ...answers] }
}
