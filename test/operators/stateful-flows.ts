// A flow for each stateful operator, in each of its forms: what the suites run that ask the same of all of them. All read text from `in` and
// `other` and write to `out`.
import {
  hopping,
  keyValue,
  session,
  sliding,
  string,
  type Table,
  type Topology,
  type TopologyBuilder,
  type TopologyOptions,
  topology,
  tumbling,
  versioned,
  window,
  within,
} from '../../src/index.ts'

const text = { key: string(), value: string() }
const textOut = { key: string(), value: string() }
const pair = (left: string | null | undefined, right: string | null | undefined): string => `${left ?? '-'}/${right ?? '-'}`
const tally = { initial: (): string => '', add: (state: string, value: string): string => `${state}${value}`.slice(-12) }
const merge = (left: string, right: string): string => `${left}|${right}`.slice(-12)
const upper = (value: string): string => value.toUpperCase()
const version = (value: string): number => value.charCodeAt(0) % 5

type Build = (t: TopologyBuilder) => void
const flows = new Map<string, readonly [build: Build, options: TopologyOptions]>()
const flow = (name: string, build: Build, options: TopologyOptions = {}): unknown => flows.set(name, [build, options])
const out = <K, V>(table: Table<K, V>): void => table.toStream().to('out')
const grouped = (t: TopologyBuilder, topic = 'in') => t.stream(topic, text).groupByKey()
const tableOf = (t: TopologyBuilder, topic: string) => t.table(topic, { ...text, store: `${topic}-rows` })

flow('toTable', (t) => out(tableOf(t, 'in')))
flow('toTable, its topic its changelog', (t) => out(tableOf(t, 'in')), { optimize: true })
flow('toTable behind a new key', (t) =>
  out(
    t
      .stream('in', text)
      .selectKey((value) => value[0] ?? null, { key: string() })
      .toTable({ store: 'rows' }),
  ),
)
flow('toTable, versioned', (t) => out(t.table('in', { ...text, store: 'rows', versioned: 25 })))
flow('filter of a table', (t) => out(tableOf(t, 'in').filter((value) => value < 'q', { store: 'some' })))
flow('filterNot of a table', (t) => out(tableOf(t, 'in').filterNot((value) => value < 'q', { store: 'some' })))
flow('mapValues of a table', (t) => out(tableOf(t, 'in').mapValues((value) => value.toUpperCase(), { store: 'upper', value: string() })))
flow('lastWriteWins', (t) =>
  out(t.stream('in', text).lastWriteWins({ store: 'rows', version, deleted: (value) => value === 'p', tombstoneRetention: 20 })),
)
flow('dedupe', (t) =>
  t
    .stream('in', text)
    .dedupe({ store: 'seen', id: (value) => value, retention: 15 })
    .to('out', textOut),
)

flow('count', (t) => out(grouped(t).count({ store: 'state' })))
flow('reduce', (t) => out(grouped(t).reduce(tally.add, { store: 'state' })))
flow('aggregate', (t) =>
  out(
    grouped(t).aggregate(tally.initial, (state, value) => (value === 's' ? null : tally.add(state, value)), {
      store: 'state',
      value: string(),
    }),
  ),
)
flow('aggregate of a new key', (t) =>
  out(
    t
      .stream('in', text)
      .groupBy((value) => value, { key: string() })
      .count({ store: 'state' }),
  ),
)
for (const emit of ['update', 'close'] as const) {
  flow(`tumbling windows, ${emit}`, (t) =>
    out(
      grouped(t)
        .windowedBy(tumbling(10, { grace: 5 }), { emit })
        .reduce((a, b) => tally.add(a, b ?? '-'), { store: 'state' }),
    ),
  )
  flow(`tumbling windows, ${emit}, kept for longer`, (t) =>
    out(
      grouped(t)
        .windowedBy(tumbling(10, { grace: 5 }), { emit })
        .count({ store: 'state', retention: 60 }),
    ),
  )
  flow(`hopping windows, ${emit}`, (t) =>
    out(
      grouped(t)
        .windowedBy(hopping(10, { advance: 4, grace: 5 }), { emit })
        .count({ store: 'state' }),
    ),
  )
  flow(`sliding windows, ${emit}`, (t) =>
    out(
      grouped(t)
        .windowedBy(sliding(8, { grace: 5 }), { emit })
        .aggregate(tally.initial, tally.add, { store: 'state', value: string() }),
    ),
  )
  flow(`sessions, ${emit}`, (t) =>
    out(
      grouped(t)
        .windowedBy(session(6, { grace: 5 }), { emit })
        .aggregate(tally.initial, (s, v) => tally.add(s, v ?? '-'), merge, { store: 'state', value: string() }),
    ),
  )
  flow(`sessions, ${emit}, kept for longer`, (t) =>
    out(
      grouped(t)
        .windowedBy(session(6, { grace: 5 }), { emit })
        .count({ store: 'state', retention: 60 }),
    ),
  )
}
flow('tumbling windows, late records to a topic', (t) =>
  out(grouped(t).windowedBy(tumbling(10), { lateTo: 'late' }).count({ store: 'state' })),
)
flow('cogroup', (t) =>
  out(grouped(t).cogroup(tally.add).cogroup(grouped(t, 'other'), tally.add).aggregate(tally.initial, { store: 'state', value: string() })),
)
flow('cogroup by windows', (t) =>
  out(
    grouped(t)
      .cogroup(tally.add)
      .cogroup(grouped(t, 'other'), tally.add)
      .windowedBy(tumbling(10, { grace: 5 }), { emit: 'close' })
      .aggregate(tally.initial, { store: 'state', value: string() }),
  ),
)
flow('cogroup by sessions', (t) =>
  out(
    grouped(t)
      .cogroup(tally.add)
      .cogroup(grouped(t, 'other'), tally.add)
      .windowedBy(session(6, { grace: 5 }))
      .aggregate(tally.initial, merge, { store: 'state', value: string() }),
  ),
)
flow('suppress until the close', (t) =>
  out(
    grouped(t)
      .windowedBy(tumbling(10, { grace: 5 }))
      .count({ store: 'state' })
      .suppress({ until: 'windowCloses' }),
  ),
)
flow('suppress for a time', (t) => out(tableOf(t, 'in').suppress({ for: 12, maxRecords: 3 })))
flow('suppress for a time by the clock', (t) => out(tableOf(t, 'in').suppress({ for: 12, clock: 'wall' })))

const byValue = (t: TopologyBuilder) => tableOf(t, 'in').groupBy((value, key) => [value, key], text)
flow('count of a table', (t) => out(byValue(t).count({ store: 'state' })))
flow('reduce of a table', (t) =>
  out(
    byValue(t).reduce(
      (a, b) => tally.add(a, b),
      (a, b) => a.replace(b, ''),
      { store: 'state' },
    ),
  ),
)
flow('aggregate of a table', (t) =>
  out(byValue(t).aggregate(tally.initial, tally.add, (state, value) => state.replace(value, ''), { store: 'state', value: string() })),
)
flow('join of tables', (t) => out(tableOf(t, 'in').join(tableOf(t, 'other'), pair, { store: 'joined', value: string() })))
flow('left join of tables', (t) => out(tableOf(t, 'in').leftJoin(tableOf(t, 'other'), pair, { store: 'joined', value: string() })))
flow('outer join of tables', (t) => out(tableOf(t, 'in').outerJoin(tableOf(t, 'other'), pair, { store: 'joined', value: string() })))
const letter = (value: string): string | null => (value === 's' ? null : value)
flow('join by foreign key', (t) => out(tableOf(t, 'in').join(tableOf(t, 'other'), letter, pair, { store: 'joined', value: string() })))
flow('left join by foreign key', (t) =>
  out(tableOf(t, 'in').leftJoin(tableOf(t, 'other'), letter, pair, { store: 'joined', value: string() })),
)
flow('join of stream and table', (t) => t.stream('in', text).join(tableOf(t, 'other'), pair, { value: string() }).to('out', textOut))
flow(
  'join of stream and table, its topic its changelog',
  (t) =>
    t
      .stream('in', text)
      .join(tableOf(t, 'other').mapValues(upper, { value: string() }), pair, { value: string() })
      .to('out', textOut),
  { optimize: true },
)
flow('left join of stream and versioned table, with grace', (t) =>
  t
    .stream('in', text)
    .leftJoin(t.table('other', { ...text, versioned: 40, store: 'other-rows' }), pair, { grace: 10, store: 'waiting', value: string() })
    .to('out', textOut),
)
flow('join of stream and global table', (t) =>
  t
    .stream('in', text)
    .join(t.globalTable('other', { ...text, store: 'other-rows' }), (value) => value, pair, { value: string() })
    .to('out', textOut),
)
flow('join of streams', (t) =>
  t
    .stream('in', text)
    .join(t.stream('other', text), pair, within(8, { grace: 5 }), { store: 'joined', value: string() })
    .to('out', textOut),
)
flow('left join of streams', (t) =>
  t
    .stream('in', text)
    .leftJoin(t.stream('other', text), pair, within(8, { before: 2, after: 9, grace: 5 }), { store: 'joined', value: string() })
    .to('out', textOut),
)
flow('outer join of streams', (t) =>
  t
    .stream('in', text)
    .outerJoin(t.stream('other', text), pair, within(8, { grace: 5 }), { store: 'joined', value: string() })
    .to('out', textOut),
)
flow('join of a stream with itself', (t) => {
  const stream = t.stream('in', text)
  stream.join(stream, pair, within(5), { store: 'joined', value: string() }).to('out', textOut)
})
flow('join that waits', (t) =>
  t
    .stream('in', text)
    .join(tableOf(t, 'other'), pair, { buffer: { timeout: 20, onTimeout: 'emit' }, store: 'parked', value: string() })
    .to('out', textOut),
)
flow('join that waits, by foreign key', (t) =>
  t
    .stream('in', text)
    .join(tableOf(t, 'other'), pair, {
      on: (value) => value,
      buffer: { timeout: 20, clock: 'stream', maxRecords: 3, onFull: 'expireOldest' },
      store: 'parked',
      value: string(),
    })
    .to('out', textOut),
)

flow('holdUntil', (t) => {
  const rows = t.stream('other', text).lastWriteWins({ store: 'rows', version, deleted: (value) => value === 'p' })
  t.stream('in', text)
    .holdUntil((value, key) => [{ table: rows, key, version: version(value) }], {
      buffer: { timeout: 20, onTimeout: 'emit', maxRecords: 3, onFull: 'expireOldest' },
      store: 'held',
    })
    .to('out', textOut)
})
flow('mapAsync', (t) =>
  t
    .stream('in', text)
    .mapAsync((value) => (value === 's' ? new Promise<string>(() => {}) : Promise.resolve(value)), {
      store: 'calls',
      timeout: 20,
      onError: (value) => `${value}, too late`,
      value: string(),
    })
    .to('out', textOut),
)
flow('a processor with stores and timers', (t) => {
  const rows = t.store(keyValue({ name: 'rows', ...text }))
  const windows = t.store(window({ name: 'windows', ...text, size: 10, retention: 20 }))
  const sessions = t.store(session({ name: 'sessions', ...text, retention: 20 }))
  const versions = t.store(versioned({ name: 'versions', ...text, retention: 20 }))
  const table = tableOf(t, 'other')
  t.stream('in', text)
    .process<string | null, string>(
      (context) => {
        const tick = (clock: string) => (timestamp: number) => {
          const all = [...context.store(rows).all()].map(([key, value]) => key + value)
          context.forward({ key: null, value: `${clock} ${all.join()}`, timestamp })
        }
        context.schedule(15, 'stream', tick('stream'))
        context.schedule(9, 'wall', tick('wall'))
        return {
          process({ key, value, timestamp }) {
            context.store(rows).put(key, value === 'p' ? null : value)
            context.store(windows).put(key, value, timestamp - (timestamp % 10))
            context.store(sessions).put({ key, start: timestamp, end: timestamp + 3 }, value)
            const taken = context.store(versions).put(key, value, timestamp)
            const seen = [
              [...context.store(windows).fetch(key, 0, timestamp)].length,
              [...context.store(sessions).findSessions(key, timestamp - 9, timestamp)].length,
              context.store(versions).get(key, timestamp - 5)?.value ?? '-',
              context.store<{ get(key: string): string | null }>('other-rows').get(key) ?? '-',
            ]
            context.forward({ key, value: `${taken} ${seen.join(' ')}`, timestamp })
          },
        }
      },
      { stores: [rows, windows, sessions, versions, 'other-rows'], key: string(), value: string() },
    )
    .to('out', textOut)
  table.toStream().to('table')
})

/** By name. */
export const STATEFUL: ReadonlyMap<string, Topology> = new Map(
  [...flows].map(([name, [build, options]], i) => [name, topology(`flow-${i}`, build, options)] as const),
)
