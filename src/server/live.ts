// What the live page shows of a running process, once a second: read from the metrics, so that it says what they say, whichever threads the
// tasks run in. Totals since the start; who reads makes rates of them.
//
// 1. Its size is bounded: by the topology, and by LIMITS.eventTasksMax. No key, no value, no message of an error.
import type { MetricObjectWithValues, MetricValue } from 'prom-client'
import { LIMITS } from '../base/limits.ts'
import type { Served } from './served.ts'

export type Reading = readonly MetricObjectWithValues<MetricValue<string>>[]

export interface TaskRow {
  readonly id: string
  readonly records: number
  readonly out: number
  readonly lag: number
  readonly deadLetters: number
}

export interface OperatorRow {
  readonly name: string
  /** Records that wait in it now, and since when the oldest does, epoch ms; null: none does. */
  readonly parked: number
  readonly oldestAtMs: number | null
  readonly blockedKeys: number
  readonly callsInFlight: number
  readonly callsWaiting: number
  /** What it counts, by its name. */
  readonly events: readonly (readonly [name: string, count: number])[]
}

export interface Live {
  readonly topology: string
  readonly applicationId: string
  /** Changes when what the picture shows does. */
  readonly shape: string
  readonly atMs: number
  /** Never goes back: for rates. */
  readonly monotonicMs: number
  /** When the processor was started. */
  readonly startedAtMs: number
  readonly ready: boolean
  /** Dead letters may be replayed and dropped. */
  readonly acts: boolean
  readonly epochs: number
  readonly rewinds: number
  readonly fenced: number
  readonly rebalances: number
  readonly restored: number
  /** Sums over the epochs. */
  readonly epochSums: { readonly openSeconds: number; readonly commitSeconds: number; readonly records: number; readonly bytes: number }
  readonly restores: readonly { readonly task: string; readonly store: string; readonly restored: number; readonly remaining: number }[]
  readonly standbys: { readonly tasks: number; readonly lag: number }
  readonly tasks: readonly TaskRow[]
  /** Tasks that have no row. */
  readonly moreTasks: number
  readonly inputs: readonly { readonly topic: string; readonly records: number; readonly lag: number }[]
  readonly outputs: readonly { readonly topic: string; readonly records: number }[]
  readonly operators: readonly OperatorRow[]
  readonly stores: readonly { readonly name: string; readonly bytes: number }[]
  /** Processes of the application that answer queries elsewhere, and how many tasks each has. */
  readonly others: readonly { readonly address: string; readonly tasks: number }[]
}

/** What does not change while the server is open. */
export type Fixed = Pick<Live, 'shape' | 'acts' | 'startedAtMs'>

export function liveOf(served: Served, reading: Reading, fixed: Fixed): Live {
  const { plan, world } = served
  const figures = served.figures()
  const ready = served.ready()
  const values = new Map(reading.map(({ name, values }) => [name, values]))
  const sumBy = (metric: string, label: string): Map<string, number> => {
    const sums = new Map<string, number>()
    for (const { labels, value } of values.get(metric) ?? []) {
      const of = String((labels as Readonly<Record<string, unknown>>)[label] ?? '')
      sums.set(of, (sums.get(of) ?? 0) + value)
    }
    return sums
  }
  /** Of a histogram. */
  const sumOf = (metric: string): number =>
    (values.get(metric) ?? []).reduce((total, { metricName, value }: Sample) => total + (metricName === `${metric}_sum` ? value : 0), 0)

  const records = sumBy('millrace_records_in_total', 'task')
  const out = sumBy('millrace_records_out_total', 'task')
  const lag = sumBy('millrace_lag_records', 'task')
  const deadLetters = sumBy('millrace_dead_letters_total', 'task')
  const ids = [...records.keys()].sort(byTask)
  const read = sumBy('millrace_topic_records_in_total', 'topic')
  const behind = sumBy('millrace_lag_records', 'topic')
  const written = sumBy('millrace_topic_records_out_total', 'topic')
  const standing = new Set(figures.standbys.map(({ task }) => task))
  return {
    topology: plan.topology,
    applicationId: plan.applicationId,
    ...fixed,
    atMs: world.clock.now(),
    monotonicMs: Math.round(world.clock.monotonic()),
    ready,
    epochs: figures.epochs,
    rewinds: figures.rewinds,
    fenced: figures.fenced,
    rebalances: figures.rebalances,
    restored: figures.restored,
    epochSums: {
      openSeconds: sumOf('millrace_epoch_seconds'),
      commitSeconds: sumOf('millrace_commit_seconds'),
      records: sumOf('millrace_epoch_records'),
      bytes: sumOf('millrace_epoch_bytes'),
    },
    restores: ready
      ? []
      : figures.restores
          .filter(({ remaining }) => remaining > 0)
          .slice(0, LIMITS.eventTasksMax)
          .map(({ task, store, restored, remaining }) => ({ task, store, restored, remaining })),
    standbys: { tasks: standing.size, lag: figures.standbys.reduce((total, one) => total + one.lag, 0) },
    tasks: ids.slice(0, LIMITS.eventTasksMax).map((id) => ({
      id,
      records: records.get(id) ?? 0,
      out: out.get(id) ?? 0,
      lag: lag.get(id) ?? 0,
      deadLetters: deadLetters.get(id) ?? 0,
    })),
    moreTasks: Math.max(0, ids.length - LIMITS.eventTasksMax),
    inputs: [...new Set([...read.keys(), ...behind.keys()])].map((topic) => ({
      topic,
      records: read.get(topic) ?? 0,
      lag: behind.get(topic) ?? 0,
    })),
    outputs: [...written].map(([topic, count]) => ({ topic, records: count })),
    operators: operatorsOf(values),
    stores: [...sumBy('millrace_store_bytes', 'store')].map(([name, bytes]) => ({ name, bytes })),
    others: othersOf(served),
  }
}

/** Each worker of a process is a peer of its own. */
function othersOf({ others }: Served): Live['others'] {
  const tasks = new Map<string, number>()
  for (const { host, address, tasks: ids } of others?.peers() ?? [])
    if (host !== others?.self) tasks.set(address, (tasks.get(address) ?? 0) + ids.length)
  return [...tasks]
    .slice(0, LIMITS.eventTasksMax)
    .map(([address, count]) => ({ address, tasks: count }))
    .sort((a, b) => (a.address < b.address ? -1 : 1))
}

interface Sample {
  readonly metricName?: string
  readonly value: number
}

type Values = ReadonlyMap<string, readonly MetricValue<string>[]>

/** Metric, and what its series are called here; null: their own label says it. */
const COUNTED = ['stale', 'duplicate', 'late', 'dropped'].map((event) => [`millrace_${event}_total`, event] as const)
const WAITING = [
  ['millrace_parked_records', 'parked'],
  ['millrace_blocked_keys', 'blockedKeys'],
  ['millrace_calls_in_flight', 'callsInFlight'],
  ['millrace_calls_waiting', 'callsWaiting'],
] as const

interface Gathered {
  parked: number
  oldestAtMs: number | null
  blockedKeys: number
  callsInFlight: number
  callsWaiting: number
  readonly events: Map<string, number>
}

/** Those that have counted something, or that records can wait in. */
function operatorsOf(values: Values): OperatorRow[] {
  const rows = new Map<string, Gathered>()
  const each = (metric: string, take: (row: Gathered, value: number, labels: Readonly<Record<string, unknown>>) => void): void => {
    for (const { labels, value } of values.get(metric) ?? []) {
      const name = String((labels as Readonly<Record<string, unknown>>).operator ?? '')
      const row = rows.get(name) ?? {
        parked: 0,
        oldestAtMs: null,
        blockedKeys: 0,
        callsInFlight: 0,
        callsWaiting: 0,
        events: new Map<string, number>(),
      }
      rows.set(name, row)
      take(row, value, labels)
    }
  }
  const count = (row: Gathered, event: string, value: number): void => void row.events.set(event, (row.events.get(event) ?? 0) + value)
  for (const [metric, event] of COUNTED) each(metric, (row, value) => count(row, event, value))
  each('millrace_operator_events_total', (row, value, { event }) => count(row, String(event), value))
  for (const [metric, field] of WAITING)
    each(metric, (row, value) => {
      row[field] += value
    })
  each('millrace_oldest_parked_timestamp_seconds', (row, seconds) => {
    row.oldestAtMs = Math.min(row.oldestAtMs ?? Number.POSITIVE_INFINITY, seconds * 1_000)
  })
  return [...rows].map(([name, { events, ...row }]) => ({ name, ...row, events: [...events] }))
}

function byTask(a: string, b: string): number {
  const [aSub = 0, aPartition = 0] = a.split('_').map(Number)
  const [bSub = 0, bPartition = 0] = b.split('_').map(Number)
  return aSub - bSub || aPartition - bPartition
}
