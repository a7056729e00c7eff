// The metrics, in a registry of its own. Everything is read from counters that are kept anyway, at the time of a scrape; only the
// histograms are told of something, once an epoch.
//
// 1. A counter of a task begins at 0 where the task is opened anew (a start, a rebalance, a rewind): as with a restarted process.
// 2. With several workers each has a registry in its thread, whose series carry its number; the process has one of its own, and puts
//    them together at a scrape. A worker that does not answer in time is left out, and is not ready.
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { EpochFigure } from '../barrier/barrier.ts'
import type { Task } from '../runtime/task.ts'
import type { Reading } from './live.ts'
import type { Metered } from './served.ts'

export interface Metrics {
  readonly registry: Registry
  readonly render: () => Promise<{ readonly type: string; readonly text: string }>
  /** What `render` would say, as data. */
  readonly read: () => Promise<Reading>
  readonly epoch: (figure: EpochFigure) => void
  readonly answered: (status: number) => void
  readonly close: () => void
}

/** What a worker's thread sends. */
export type WorkerReading = Reading

export interface WorkerMetrics {
  readonly epoch: (figure: EpochFigure) => void
  readonly read: () => Promise<WorkerReading>
}

type Labels = Readonly<Record<string, string | number>>
type Put = (labels: Labels, value: number) => void

const READY = { name: 'millrace_ready', help: '1 when all tasks of this process are restored and run' }

/** What operators count, with a metric of its own; all else goes to millrace_operator_events_total. */
const EVENTS: Readonly<Record<string, string>> = {
  stale: 'Records whose version is older than the one that the store holds',
  duplicate: 'Records whose version and bytes the store holds already',
  late: 'Records that came after their window had closed',
  dropped: 'Records without a key, a value or a foreign key that the operator needs',
}

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]
const RECORDS = [1, 10, 100, 1_000, 10_000, 100_000]
const BYTES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8]

/** Of a worker that lives in this thread, and of the process. */
export function openMetrics(served: Metered): Metrics {
  const registry = new Registry()
  const answered = addProcess(registry)
  return doorOf(registry, answered, addWorker(registry, served), async () => registry)
}

/** Of a worker, for the process that it belongs to. */
export function openWorkerMetrics(served: Metered, worker: number): WorkerMetrics {
  const registry = new Registry()
  registry.setDefaultLabels({ worker: String(worker) })
  return { epoch: addWorker(registry, served), read: () => registry.getMetricsAsJSON() }
}

/** Of the process and, as they are read, of its workers; null: it gave no answer. */
export function openMergedMetrics(read: () => Promise<readonly (WorkerReading | null)[]>): Metrics {
  const registry = new Registry()
  const answered = addProcess(registry)
  return doorOf(
    registry,
    answered,
    () => {},
    async () => {
      const workers = await read()
      const silent = new Registry()
      const ready = new Gauge({ ...READY, labelNames: ['worker'], registers: [silent] })
      for (const [worker, reading] of workers.entries()) if (reading === null) ready.set({ worker }, 0)
      const readings = [registry, silent].map((one) => one.getMetricsAsJSON())
      return AggregatorRegistry.aggregate([...(await Promise.all(readings)), ...workers.filter((reading) => reading !== null)])
    },
  )
}

/** A registry to be shown. */
export function doorOf(
  registry: Registry,
  answered: Metrics['answered'],
  epoch: Metrics['epoch'],
  merged: () => Promise<Registry>,
): Metrics {
  return {
    registry,
    render: async () => ({ type: registry.contentType, text: await (await merged()).metrics() }),
    read: async () => (await merged()).getMetricsAsJSON(),
    epoch,
    answered,
    close: () => registry.clear(),
  }
}

/** What all processes tell of themselves. */
export function addProcess(registry: Registry): Metrics['answered'] {
  collectDefaultMetrics({ register: registry })
  // Gauges with the ending of counters; by type they are told without it.
  for (const name of ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'])
    registry.removeSingleMetric(name)
  const answers = new Map<number, number>()
  new Counter({
    name: 'millrace_http_answers_total',
    help: 'HTTP answers by status',
    labelNames: ['status'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [status, n] of answers) this.inc({ status }, n)
    },
  })
  return (status) => void answers.set(status, (answers.get(status) ?? 0) + 1)
}

function addWorker(registry: Registry, served: Metered): Metrics['epoch'] {
  const registers = [registry]

  const gauge = (name: string, help: string, labelNames: string[], read: (put: Put) => void | Promise<void>): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      async collect() {
        this.reset()
        await read((labels, value) => this.set(labels, value))
      },
    })
  }
  const counter = (name: string, help: string, labelNames: string[], read: (put: Put) => void): void => {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        read((labels, value) => this.inc(labels, value))
      },
    })
  }
  const histogram = (name: string, help: string, buckets: number[]): Histogram => new Histogram({ name, help, buckets, registers })
  const tasks = (): Iterable<Task> => served.tasks().values()
  const perTask = (name: string, help: string, of: (task: Task) => number): void =>
    counter(name, help, ['task'], (put) => {
      for (const task of tasks()) put({ task: task.id }, of(task))
    })
  const perStore = (name: string, help: string, of: (store: Task['stores'][number]) => number): void =>
    counter(name, help, ['task', 'store'], (put) => {
      for (const task of tasks()) for (const store of task.stores) put({ task: task.id, store: store.name }, of(store))
    })
  const total = (name: string, help: string, of: () => number): void => counter(name, help, [], (put) => put({}, of()))

  gauge(READY.name, READY.help, [], (put) => put({}, served.ready() ? 1 : 0))
  gauge('millrace_tasks', 'Tasks that this process runs', [], (put) => put({}, served.tasks().size))
  perTask('millrace_records_in_total', 'Records processed', (task) => task.counts.records)
  perTask('millrace_bytes_in_total', 'Bytes of keys and values fetched from inputs', (task) => task.bytesIn)
  perTask('millrace_records_out_total', 'Records written to topics, dead letters too, changelogs not', (task) => task.counts.out)
  perTask('millrace_bytes_out_total', 'Bytes of keys and values written to topics', (task) => task.counts.outBytes)
  perTask('millrace_dead_letters_total', 'Records given up to the dead-letter topic', (task) => task.counts.deadLetters)
  perTask('millrace_skipped_total', 'Records given up by the policy skip, or with a negative timestamp', (task) => task.counts.skipped)
  perTask('millrace_input_waits_ended_total', 'Waits for an empty input that ended without it', ({ choice }) => choice.waitedOut)
  counter('millrace_topic_records_in_total', 'Records processed, by the topic that they were read from', ['task', 'topic'], (put) => {
    for (const task of tasks()) for (const { topic, processed } of task.queues) put({ task: task.id, topic }, processed)
  })
  counter('millrace_topic_records_out_total', 'Records written, by topic', ['task', 'topic'], (put) => {
    for (const task of tasks()) for (const [topic, { n }] of task.written) put({ task: task.id, topic }, n)
  })
  gauge('millrace_lag_records', 'Offsets between what is processed and the end of the input', ['task', 'topic', 'partition'], (put) => {
    for (const task of tasks())
      for (const { topic, partition, endOffset, position } of task.queues)
        if (endOffset >= 0) put({ task: task.id, topic, partition }, Math.max(0, endOffset - position))
  })
  for (const [event, help] of Object.entries(EVENTS))
    counter(`millrace_${event}_total`, help, ['task', 'operator', 'store'], (put) => readEvents(served, (name) => name === event, put))
  counter('millrace_operator_events_total', 'What operators count besides, by its name', ['task', 'operator', 'store', 'event'], (put) =>
    readEvents(served, (name) => !Object.hasOwn(EVENTS, name), put),
  )
  gauge('millrace_store_bytes', 'Size of a store on disk, or in memory', ['task', 'store'], async (put) => {
    for (const task of [...tasks()]) {
      for (const { name, overlay } of task.stores) {
        const bytes = await overlay.store.sizeBytes().catch(() => null) // closed meanwhile
        if (bytes !== null) put({ task: task.id, store: name }, bytes)
      }
    }
  })
  perStore('millrace_cache_hits_total', 'Keys of coming records that were in memory', ({ overlay }) => overlay.figures.hits)
  perStore('millrace_cache_misses_total', 'Keys of coming records that were read from the store', ({ overlay }) => overlay.figures.misses)
  const waiting = ['task', 'operator', 'store']
  gauge('millrace_parked_records', 'Records that wait in an operator now', waiting, (put) => readGauges(served, 'parked', put))
  gauge('millrace_blocked_keys', 'Keys whose records wait behind a dead letter', waiting, (put) => readGauges(served, 'blocked_keys', put))
  gauge('millrace_oldest_parked_timestamp_seconds', 'Since when the oldest of them waits', waiting, (put) =>
    readGauges(served, 'oldest_parked_at_ms', (labels, ms) => ms > 0 && put(labels, ms / 1000)),
  )
  gauge('millrace_calls_in_flight', 'Calls of a mapAsync that are under way', waiting, (put) => readGauges(served, 'in_flight', put))
  gauge('millrace_calls_waiting', 'Records of a mapAsync that are not being called for now', waiting, (put) =>
    readGauges(served, 'waiting', put),
  )
  gauge('millrace_restore_remaining_records', 'Changelog offsets that a restore has before it', ['task', 'store'], (put) => {
    for (const { task, store, remaining } of served.figures().restores) put({ task, store }, served.ready() ? 0 : remaining)
  })
  gauge('millrace_standby_tasks', 'Tasks of other processes whose stores this one keeps current', [], (put) =>
    put({}, new Set(served.figures().standbys.map(({ task }) => task)).size),
  )
  gauge('millrace_standby_lag_records', 'Changelog offsets that a standby does not have yet', ['task', 'store'], (put) => {
    for (const { task, store, lag } of served.figures().standbys) put({ task, store }, lag)
  })
  total('millrace_restored_records_total', 'Records restored from changelogs', () => served.figures().restored)
  total('millrace_epochs_total', 'Epochs committed', () => served.figures().epochs)
  total('millrace_rewinds_total', 'Epochs that failed: their records were read again', () => served.figures().rewinds)
  total('millrace_fenced_total', 'Of the rewinds those because another process had taken over', () => served.figures().fenced)
  total('millrace_rebalances_total', 'Assignments adopted', () => served.figures().rebalances)
  const openSeconds = histogram('millrace_epoch_seconds', 'From the first record of an epoch to its seal', SECONDS)
  const commitSeconds = histogram('millrace_commit_seconds', 'From the seal of an epoch until it was committed and in the stores', SECONDS)
  const epochRecords = histogram('millrace_epoch_records', 'Records of an epoch', RECORDS)
  const epochBytes = histogram('millrace_epoch_bytes', 'Bytes that an epoch wrote to stores', BYTES)
  return ({ records, bytes, openMs, commitMs }) => {
    openSeconds.observe(openMs / 1000)
    commitSeconds.observe(commitMs / 1000)
    epochRecords.observe(records)
    epochBytes.observe(bytes)
  }
}

function readEvents(served: Metered, wanted: (name: string) => boolean, put: Put): void {
  for (const task of served.tasks().values()) {
    const { subTopologies } = served.plan
    const nodes = subTopologies[Number(task.id.split('_')[0])]?.nodes ?? []
    for (const node of nodes) {
      const store = node.stores[0]?.name ?? ''
      for (const [event, { n }] of task.program.counters.get(node.name) ?? []) {
        if (!wanted(event)) continue
        const labels = { task: task.id, operator: node.name, store }
        put(Object.hasOwn(EVENTS, event) ? labels : { ...labels, event }, n)
      }
    }
  }
}

function readGauges(served: Metered, wanted: string, put: Put): void {
  for (const task of served.tasks().values()) {
    const nodes = served.plan.subTopologies[Number(task.id.split('_')[0])]?.nodes ?? []
    for (const node of nodes) {
      const gauge = task.program.gauges.get(node.name)?.get(wanted)
      if (gauge !== undefined) put({ task: task.id, operator: node.name, store: node.stores[0]?.name ?? '' }, gauge.n)
    }
  }
}
