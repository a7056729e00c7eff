// What BENCH memory runs: topologies that hold a million things at once, and the input that opens them and closes all together.
import type { SessionWindows, TimeWindows } from '../src/base/window.ts'
import { json, string, session, topology, tumbling, within } from '../src/index.ts'
import type { Topology } from '../src/topology/node.ts'
import { partitionOf } from '../src/base/murmur2.ts'
import type { InputRecord } from '../test/support/run-worker.ts'

export interface Case {
  readonly name: string
  readonly topology: Topology
  /** Ascending in time, one thing to hold each. */
  readonly input: (count: number) => Generator<InputRecord>
}

const PARTITIONS = 4
const START_MS = 1_767_225_600_000
const DAY_MS = 86_400_000
const click = json<{ page: string }>()

const value = Buffer.from(JSON.stringify({ page: '/products/of/some/length?with=a&query=string' }))

function* distinct(topic: string, count: number, atMs: (i: number) => number = (i) => i % 60_000): Generator<InputRecord> {
  for (let i = 0; i < count; i++) yield { topic, key: Buffer.from(`visitor-${i}`), value, timestamp: START_MS + atMs(i) }
}

const clicks = { key: string(), value: click }
const counts = { key: string(), value: json<number>() }

function counted(name: string, windows: TimeWindows | SessionWindows): Topology {
  return topology(name, (t) => {
    const grouped = t.stream('clicks', clicks).groupByKey()
    const closed = { emit: 'close' } as const
    const windowed = 'gapMs' in windows ? grouped.windowedBy(windows, closed) : grouped.windowedBy(windows, closed)
    windowed
      .count({ store: 'counts' })
      .toStream()
      .map((n, { key }) => [key, n], counts)
      .to('out', counts)
  })
}

export const CASES: readonly Case[] = [
  {
    name: 'tumbling, emit close',
    topology: counted('bench-close', tumbling('1h', { grace: '5m' })),
    input: (count) => distinct('clicks', count),
  },
  {
    name: 'many windows a key, emit close',
    topology: counted('bench-spread', tumbling('1s', { grace: '1d' })),
    *input(count) {
      for (let i = 0; i < count; i++)
        yield { topic: 'clicks', key: Buffer.from(`visitor-${i % 100}`), value, timestamp: START_MS + Math.floor(i / 100) * 1_000 }
    },
  },
  {
    name: 'tumbling, suppress until close',
    topology: topology('bench-suppress', (t) => {
      t.stream('clicks', clicks)
        .groupByKey()
        .windowedBy(tumbling('1h', { grace: '5m' }))
        .count({ store: 'counts' })
        .suppress({ until: 'windowCloses', store: 'held' })
        .toStream()
        .map((n, { key }) => [key, n], counts)
        .to('out', counts)
    }),
    input: (count) => distinct('clicks', count),
  },
  {
    name: 'suppress for a time',
    topology: topology('bench-suppress-for', (t) => {
      t.table('clicks', { ...clicks, store: 'rows' })
        .suppress({ for: '1h', store: 'held' })
        .toStream()
        .to('out', clicks)
    }),
    input: (count) => distinct('clicks', count),
  },
  {
    name: 'sessions, emit close',
    topology: counted('bench-sessions', session('30m', { grace: '5m' })),
    input: (count) => distinct('clicks', count),
  },
  {
    name: 'left join of streams',
    topology: topology('bench-join', (t) => {
      t.stream('clicks', clicks)
        .leftJoin(
          t.stream('purchases', clicks),
          (left, right) => ({ page: left.page, bought: right?.page ?? null }),
          within('1h', { grace: '5m' }),
          { store: 'joined' },
        )
        .to('out', { key: string(), value: json() })
    }),
    input: (count) => distinct('clicks', count),
  },
]

/** One record a partition, days later: it closes what the partition holds, and opens something itself. */
export function closing(): InputRecord[] {
  const records: InputRecord[] = []
  const seen = new Set<number>()
  for (let i = 0; seen.size < PARTITIONS; i++) {
    const key = Buffer.from(`closing-${i}`)
    const partition = partitionOf(key, PARTITIONS)
    if (seen.has(partition)) continue
    seen.add(partition)
    records.push({ topic: 'clicks', key, value, timestamp: START_MS + 3 * DAY_MS })
  }
  return records
}
