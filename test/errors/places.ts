// Each place of the DSL at which a record can fail, as a topology of `in` (and `rows`, where it joins) to `out`, in which the record that is
// `bad` fails there and nowhere else.
import { within, json, keyValue, type Serde, session, string, tumbling } from '../../src/index.ts'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import type { OnErrorOptions } from '../../src/dsl/types.ts'

export interface Event {
  readonly n: number
  readonly bad?: boolean
}

const EVENTS = { key: string(), value: json<Event>() }
const READ = { key: string(), value: json<Event>((value) => (value as Event).bad !== true) }
const WRITTEN: Serde<Event> = {
  ...EVENTS.value,
  encode: (event) => EVENTS.value.encode(sound(event)),
}
const buffer = { timeout: '1h' } as const

/** The event, unless it is bad. */
export function sound<T extends Event>(event: T): T {
  if (event.bad === true) throw new Error('boom')
  return event
}

const keyed = (event: Event, key: string): readonly [string, Event] => [key, sound(event)]
const last = (_: Event, event: Event): Event => sound(event)
const first = (): Event => ({ n: 0 })
const sum = (left: Event, row: Event | null | undefined): Event => ({ n: sound(left).n + (row?.n ?? 0) })
const keep = (event: Event): Event => event
const input = (t: TopologyBuilder) => t.stream('in', EVENTS)
const table = (t: TopologyBuilder) => t.table('in', EVENTS)
const rows = (t: TopologyBuilder) => t.table('rows', { ...EVENTS, store: 'rows' })

/** What each of them writes to `out` has the number of its event. */
export const PLACES: Readonly<Record<string, (t: TopologyBuilder, options: OnErrorOptions) => void>> = {
  'a stream': (t, options) => t.stream('in', { ...READ, ...options }).to('out', EVENTS),
  'a table': (t, options) =>
    t
      .table('in', { ...READ, ...options })
      .toStream()
      .to('out', EVENTS),
  'an extractor': (t, options) => t.stream('in', { ...EVENTS, timestamp: (event) => sound(event).n, ...options }).to('out', EVENTS),
  filter: (t, options) =>
    input(t)
      .filter((event) => sound(event).n > 0, options)
      .to('out', EVENTS),
  filterNot: (t, options) =>
    input(t)
      .filterNot((event) => sound(event).n < 0, options)
      .to('out', EVENTS),
  map: (t, options) => input(t).map(keyed, options).to('out', EVENTS),
  flatMap: (t, options) =>
    input(t)
      .flatMap((event, key) => [keyed(event, key)], options)
      .to('out', EVENTS),
  mapValues: (t, options) => input(t).mapValues(sound, options).to('out', EVENTS),
  flatMapValues: (t, options) =>
    input(t)
      .flatMapValues((event) => [sound(event)], options)
      .to('out', EVENTS),
  selectKey: (t, options) =>
    input(t)
      .selectKey((event, key) => `${key}${sound(event).n}`, options)
      .to('out', { value: EVENTS.value }),
  peek: (t, options) => input(t).peek(sound, options).to('out', EVENTS),
  forEach: (t, options) => {
    const events = input(t)
    events.to('out', EVENTS) // before it: undone all the same
    events.forEach(sound, options)
  },
  split: (t, options) =>
    input(t)
      .split({ some: (event) => sound(event).n > 0 }, options)
      .some.to('out', EVENTS),
  groupBy: (t, options) =>
    input(t)
      .groupBy((event) => String(sound(event).n), options)
      .reduce((_, event) => event)
      .toStream()
      .to('out', { value: EVENTS.value }),
  reduce: (t, options) => input(t).groupByKey().reduce(last, options).toStream().to('out', EVENTS),
  aggregate: (t, options) => input(t).groupByKey().aggregate(first, last, options).toStream().to('out', EVENTS),
  cogroup: (t, options) => input(t).groupByKey().cogroup(last).aggregate(first, options).toStream().to('out', EVENTS),
  'reduce of windows': (t, options) =>
    input(t)
      .groupByKey()
      .windowedBy(tumbling('1h'))
      .reduce(last, options)
      .toStream((_, { key }) => key)
      .to('out', { value: EVENTS.value }),
  'aggregate of sessions': (t, options) =>
    input(t)
      .groupByKey()
      .windowedBy(session('1h'))
      .aggregate(first, last, (_, right) => right, options)
      .filter((event) => event.n > 0)
      .toStream((_, { key }) => key)
      .filter((event) => event !== null) // a session that has grown is taken back first
      .to('out', { value: EVENTS.value }),
  lastWriteWins: (t, options) =>
    input(t)
      .lastWriteWins({ version: (event) => sound(event).n, ...options })
      .toStream()
      .to('out', EVENTS),
  dedupe: (t, options) =>
    input(t)
      .dedupe({ id: (event) => sound(event).n, retention: '1h', ...options })
      .to('out', EVENTS),
  holdUntil: (t, options) => {
    const table = rows(t)
    input(t)
      .holdUntil((event, key) => (sound(event).n < 0 ? [] : [{ table, key }]), { buffer, ...options })
      .to('out', EVENTS)
  },
  mapAsync: (t, { onError = 'deadLetter' }) =>
    input(t)
      .mapAsync(async (event) => sound(event), { store: 'calls', onError })
      .to('out', EVENTS),
  'what mapAsync asks before it calls': (t, { onError = 'deadLetter' }) =>
    input(t)
      .mapAsync(async (event) => event, { store: 'calls', unordered: (event) => sound(event).n < 0, onError })
      .to('out', EVENTS),
  'join of streams': (t, options) =>
    input(t)
      .join(t.stream('rows', EVENTS), sum, within('1h'), { value: EVENTS.value, ...options })
      .to('out', EVENTS),
  'join of a table': (t, options) => input(t).join(rows(t), sum, options).to('out', EVENTS),
  'leftJoin of a table': (t, options) => input(t).leftJoin(rows(t), sum, options).to('out', EVENTS),
  'the key of a global table': (t, options) =>
    input(t)
      .leftJoin(t.globalTable('rows', EVENTS), (event, key) => `${key}${sound(event).n}`, keep, options)
      .to('out', EVENTS),
  'join of a global table': (t, options) =>
    input(t)
      .join(t.globalTable('rows', EVENTS), (_, key) => key, sum, options)
      .to('out', EVENTS),
  'join that waits': (t, options) =>
    input(t)
      .join(rows(t), sum, { buffer, ...options })
      .to('out', EVENTS),
  'the foreign key of a join that waits': (t, options) =>
    input(t)
      .join(rows(t), keep, { on: (event) => (sound(event).n < 0 ? null : 'a'), buffer, ...options })
      .to('out', EVENTS),
  'join that waits, by foreign key': (t, options) =>
    input(t)
      .join(rows(t), sum, { on: () => 'a', buffer, ...options })
      .to('out', EVENTS),
  process: (t, options) =>
    input(t)
      .process<string, Event>((context) => ({ process: (record) => context.forward({ ...record, value: sound(record.value) }) }), options)
      .to('out', EVENTS),
  'processValues with outputs': (t, options) => {
    const store = t.store(keyValue({ name: 'kept', ...EVENTS }))
    input(t)
      .processValues<Event, 'one'>(
        (context) => ({
          process(record) {
            context.store(store).put(record.key, record.value)
            context.forward(record, 'one') // before it throws: undone all the same
            sound(record.value)
          },
        }),
        { stores: [store], outputs: ['one'], ...options },
      )
      .one.to('out', EVENTS)
  },
  'filter of a table': (t, options) =>
    table(t)
      .filter((event) => sound(event).n > 0, options)
      .toStream()
      .to('out', EVENTS),
  'mapValues of a table': (t, options) => table(t).mapValues(sound, options).toStream().to('out', EVENTS),
  toStream: (t, options) =>
    table(t)
      .toStream((event, key) => `${key}${sound(event).n}`, options)
      .to('out', { value: EVENTS.value }),
  'groupBy of a table': (t, options) =>
    table(t)
      .groupBy((event) => ['all', sound(event)], options)
      .reduce(
        (_, event) => event,
        (state) => state,
      )
      .toStream()
      .to('out', { value: EVENTS.value }),
  'aggregate of a table': (t, options) =>
    table(t)
      .groupBy((event) => ['all', event], { value: EVENTS.value })
      .aggregate<Event>(first, last, (state) => state, options)
      .toStream()
      .to('out', { value: EVENTS.value }),
  'join of tables': (t, options) => table(t).join(rows(t), sum, options).toStream().to('out', EVENTS),
  'the foreign key of a join of tables': (t, options) =>
    table(t)
      .join(rows(t), (event) => (sound(event).n < 0 ? null : 'a'), keep, options)
      .toStream()
      .to('out', EVENTS),
  'join of tables by foreign key': (t, options) =>
    table(t)
      .join(rows(t), () => 'a', sum, options)
      .toStream()
      .to('out', EVENTS),
  'what `to` can not write': (t, options) => input(t).to('out', { key: string(), value: WRITTEN, ...options }),
  'the topic of `to`': (t, options) => input(t).to((event) => (sound(event).n > 0 ? 'out' : 'none'), { ...EVENTS, ...options }),
  'the partition of `to`': (t, options) => input(t).to('out', { ...EVENTS, partition: (event) => sound(event).n * 0, ...options }),
}
