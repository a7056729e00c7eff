// Poison: twelve ways in which one record cannot be processed. Each costs itself, in its place: what came before and after it, of its own
// key and of others, is as if it had never come; its dead letter says where it came from and what was wrong. (A function that never
// returns is not among them: nothing can end it but the process.)
import { describe, expect, it } from 'vitest'
import { int64, json, string, type Topology, topology, tumbling } from '../../src/index.ts'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { logOf, run } from '../support/counted-keys.ts'
import { type InputRecord, load, readAll } from '../support/run-worker.ts'

interface Event {
  readonly n: number
  readonly bad?: boolean
}
const EVENTS = { key: string(), value: json<Event>((value) => typeof (value as Event).n === 'number') }
const NUMBERS = { key: string(), value: json<number>() }
const sound = (event: Event): Event => {
  if (event.bad === true) throw new Error('boom')
  return event
}

const of = (key: string | Buffer, value: string | Buffer, timestamp: number): InputRecord => {
  const bytes = (text: string | Buffer): Buffer => (typeof text === 'string' ? Buffer.from(text) : text)
  return { topic: 'in', key: bytes(key), value: bytes(value), timestamp }
}
const event = (n: number): InputRecord => of('a', JSON.stringify({ n }), n)
const BAD = of('a', '{"n":3,"bad":true}', 3)

interface Poison {
  readonly what: string
  readonly record?: InputRecord
  readonly code: string
  build(t: TopologyBuilder): void
}

const plain = (t: TopologyBuilder): void =>
  t
    .stream('in', EVENTS)
    .mapValues(({ n }) => n)
    .to('out', NUMBERS)

const POISON: readonly Poison[] = [
  { what: 'a key that is no UTF-8', record: of(Buffer.of(0xff, 0xfe), '{"n":3}', 3), code: 'STREAM_SERDE', build: plain },
  { what: 'a value that is no JSON', record: of('a', '{"n":', 3), code: 'STREAM_SERDE', build: plain },
  { what: 'a value of another schema', record: of('a', '{"m":3}', 3), code: 'STREAM_SERDE', build: plain },
  { what: 'a timestamp that no log can write', record: of('a', '{"n":3}', 9e15), code: 'STREAM_SERDE', build: plain },
  {
    what: 'a timestamp extractor that throws',
    record: BAD,
    code: 'STREAM_SERDE',
    build: (t) => {
      const timestamp = (value: Event): number => sound(value).n
      t.stream('in', { ...EVENTS, timestamp })
        .mapValues(({ n }) => n)
        .to('out', NUMBERS)
    },
  },
  {
    what: 'a filter that throws',
    record: BAD,
    code: 'STREAM_CALLBACK',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .filter((value) => sound(value).n > 0)
        .mapValues(({ n }) => n)
        .to('out', NUMBERS),
  },
  {
    what: 'a flatMap that throws when it has put out some',
    record: BAD,
    code: 'STREAM_CALLBACK',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .flatMapValues(function* (value) {
          yield value.n
          sound(value)
        })
        .to('out', NUMBERS),
  },
  {
    what: 'a new key that throws, before a repartition',
    record: BAD,
    code: 'STREAM_CALLBACK',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .selectKey((value, key) => (sound(value).n > 0 ? key : ''), { key: string() })
        .groupByKey()
        .aggregate(
          () => 0,
          (_, { n }) => n,
          { store: 's' },
        )
        .toStream()
        .to('out', NUMBERS),
  },
  {
    what: 'an aggregator that throws',
    record: BAD,
    code: 'STREAM_CALLBACK',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .groupByKey()
        .aggregate(
          () => 0,
          (_, value) => sound(value).n,
          { store: 's' },
        )
        .toStream()
        .to('out', NUMBERS),
  },
  {
    what: 'an aggregator of windows that throws',
    record: BAD,
    code: 'STREAM_CALLBACK',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .groupByKey()
        .windowedBy(tumbling(1_000))
        .aggregate(
          () => 0,
          (_, value) => sound(value).n,
          { store: 's' },
        )
        .toStream((_, { key }) => key, { key: string() })
        .to('out', NUMBERS),
  },
  {
    what: 'an output that its serde refuses, behind a store that was written',
    record: BAD,
    code: 'STREAM_SERDE',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .groupByKey()
        .aggregate(
          () => 0,
          (_, { n, bad }) => (bad === true ? 0.5 : n),
          { store: 's' },
        )
        .toStream()
        .mapValues((n) => n as unknown as bigint)
        .mapValues((n) => (Number.isInteger(n) ? BigInt(n) : n))
        .to('out', { key: string(), value: int64() }),
  },
  {
    what: 'a processor that throws when it has forwarded',
    record: BAD,
    code: 'STREAM_CALLBACK',
    build: (t) =>
      t
        .stream('in', EVENTS)
        .process<string, number>(
          (context) => ({
            process: ({ key, value, timestamp }) => {
              context.forward({ key, value: value.n, timestamp })
              sound(value)
            },
          }),
          { key: string(), value: json<number>() },
        )
        .to('out', NUMBERS),
  },
]

describe('poison', () => {
  it.each(POISON)('$what', async ({ record, code, build }) => {
    const log = logOf()
    const poisoned: Topology = topology('poisoned', build)
    await load(log, [event(1), event(2), record ?? BAD, event(4), { ...event(5), key: Buffer.from('b') }], 1)
    const running = await run({ log, topology: poisoned })
    await running.untilCaughtUp(5_000)
    await running.worker.close()
    const out = (await readAll(log, 'out')).flat()
    const shown = out.map(({ key, value }) => `${key}=${(value as Buffer).length === 8 ? (value as Buffer).readBigInt64BE() : value}`)
    expect(shown).toEqual(['a=1', 'a=2', 'a=4', 'b=5'])
    const letters = (await readAll(log, 'app-dead-letter')).flat()
    expect(letters).toHaveLength(1)
    const headers = new Map(letters[0]?.headers.map(([name, value]) => [name.replace('__streams.errors.', ''), value?.toString()]))
    expect(headers.get('topic')).toBe('in')
    expect(headers.get('partition')).toBe('0')
    expect(headers.get('offset')).toBe('2')
    expect(headers.get('exception')).toBe(code)
    expect([letters[0]?.key, letters[0]?.value]).toEqual([(record ?? BAD).key, (record ?? BAD).value])
  })
})
