// A processor that reads the stores of tables, windows, sessions and a global table, on 1 to 3 partitions, committed and crashed at random
// places, against plain Maps.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import {
  json,
  type ReadOnlySessionStore,
  type ReadOnlyVersionedStore,
  type ReadOnlyWindowStore,
  readOnly,
  session,
  sliding,
  string,
  topology,
  tumbling,
} from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { runsOf } from '../support/tier.ts'

const text = { key: string(), value: string() }
const GAP = 5
const SIZE = 10

interface Ask {
  readonly from: number
  readonly to: number
  readonly asOf: number
}
type Register = { readonly version: number; readonly name: string | null }

const flow = topology('borrowed', (t) => {
  const rows = readOnly(t.table('rows', { ...text, store: 'rows' }))
  t.table('history', { ...text, store: 'history', versioned: '1h' })
  const registers = readOnly(
    t
      .stream('registers', { key: string(), value: json<Register>() })
      .lastWriteWins({ store: 'registers', version: (e) => e.version, deleted: (e) => e.name === null }),
  )
  const grouped = t.stream('in', text).groupByKey()
  const counts = readOnly(grouped.count({ store: 'counts' }))
  const kept = { grace: '1h' as const }
  grouped.windowedBy(tumbling(SIZE, kept)).count({ store: 'windows' })
  grouped.windowedBy(sliding(GAP, kept)).count({ store: 'sliding' })
  grouped.windowedBy(session(GAP, kept)).count({ store: 'sessions' })
  const everywhere = readOnly(t.globalTable('everywhere', { ...text, store: 'everywhere' }))
  t.stream('ask', { key: string(), value: json<Ask>() })
    .process<null, unknown>(
      (context) => {
        const windows = context.store<ReadOnlyWindowStore<string, number>>('windows')
        const slides = context.store<ReadOnlyWindowStore<string, number>>('sliding')
        const sessions = context.store<ReadOnlySessionStore<string, number>>('sessions')
        const history = context.store<ReadOnlyVersionedStore<string, string>>('history')
        return {
          process({ key, value: { from, to, asOf }, timestamp }) {
            const open = context.store(rows)
            const all = context.store(everywhere)
            const value = {
              row: open.get(key),
              rows: [...open.range('b', null)],
              back: [...open.reverseAll()].length,
              count: context.store(counts).get(key),
              register: context.store(registers).get(key)?.name ?? null,
              registers: [...context.store(registers).all()].map(([name]) => name),
              held: history.get(key, asOf)?.value ?? null,
              windows: [...windows.fetch(key, from, to)],
              window: windows.fetch(key, 0),
              allWindows: [...windows.fetchAll(from, to)].map(([at, n]) => `${at.key}@${at.start}-${at.end}:${n}`).sort(),
              slides: [...slides.fetchAll(from, to)].every(([at]) => at.end === at.start + GAP && at.start >= from && at.start <= to),
              sessions: [...sessions.findSessions(key, from, to)].map(([at, n]) => [at.start, at.end, n]),
              session: sessions.get({ key, start: 0, end: 0 }),
              everywhere: [all.get(key), ...[...all.range(null, 'b')].map(([name]) => name), [...all.prefix(Buffer.from('c'))].length],
            }
            context.forward({ key: null, value, timestamp })
          },
        }
      },
      { stores: [rows, 'history', registers, counts, 'windows', 'sliding', 'sessions', everywhere], value: json() },
    )
    .to('out', { key: json(), value: json() })
})

type Event =
  | {
      readonly topic: 'rows' | 'history' | 'in' | 'everywhere'
      readonly key: string
      readonly value: string | null
      readonly timestamp: number
    }
  | { readonly topic: 'registers'; readonly key: string; readonly value: Register; readonly timestamp: number }
  | { readonly topic: 'ask'; readonly key: string; readonly value: Ask; readonly timestamp: number }
type Step = Event | 'commit' | 'crash'

const KEYS = ['a', 'b', 'c', 'd'] as const
const time = fc.nat(60)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        topic: fc.constantFrom('rows' as const, 'history' as const, 'in' as const, 'in' as const, 'everywhere' as const),
        key: fc.constantFrom(...KEYS),
        value: fc.option(fc.constantFrom('x', 'y', 'z'), { freq: 4 }),
        timestamp: time,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        topic: fc.constant('registers' as const),
        key: fc.constantFrom(...KEYS),
        value: fc.record({ version: fc.nat(9), name: fc.option(fc.constantFrom('m', 'n'), { freq: 2 }) }),
        timestamp: time,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        topic: fc.constant('ask' as const),
        key: fc.constantFrom(...KEYS),
        value: fc.record({ from: time, to: time, asOf: time }),
        timestamp: time,
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom('commit' as const, 'crash' as const) },
  ),
  { maxLength: 60, size: 'max' },
)

/** What the asks of one partition should answer. */
function oracle(events: readonly Event[], partitions: number, mine: number): unknown[] {
  const answers: unknown[] = []
  const rows = new Map<string, string>()
  const everywhere = new Map<string, string>()
  const registers = new Map<string, Register>()
  const times = new Map<string, number[]>()
  const counts = new Map<string, number>()
  const history = new Map<string, Map<number, string | null>>()
  const set = (map: Map<string, string>, key: string, value: string | null): void =>
    void (value === null ? map.delete(key) : map.set(key, value))
  const sorted = <V>(map: ReadonlyMap<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const event of events) {
    const { topic, key, value, timestamp } = event
    if (event.topic === 'everywhere') {
      set(everywhere, key, event.value)
      continue
    }
    if (partitionOf(Buffer.from(key), partitions) !== mine) continue
    if (event.topic === 'rows') set(rows, key, event.value)
    else if (event.topic === 'history') history.set(key, (history.get(key) ?? new Map()).set(timestamp, event.value))
    else if (event.topic === 'registers') {
      const before = registers.get(key)
      const bytes = (register: Register): string => JSON.stringify(register)
      if (
        before === undefined ||
        event.value.version > before.version ||
        (event.value.version === before.version && bytes(event.value) > bytes(before))
      )
        registers.set(key, event.value)
    } else if (topic === 'in') {
      times.set(key, [...(times.get(key) ?? []), timestamp])
      if (value !== null) counts.set(key, (counts.get(key) ?? 0) + 1)
    } else if (event.topic === 'ask') {
      const { from, to, asOf } = event.value
      const own = (times.get(key) ?? []).toSorted((a, b) => a - b)
      const windowsOf = (of: readonly number[]): [number, number][] =>
        [...new Set(of.map((at) => at - (at % SIZE)))].map((start) => [start, of.filter((at) => at - (at % SIZE) === start).length])
      const inside = ([start]: [number, number]): boolean => start >= from && start <= to
      const sessions: [number, number, number][] = []
      for (const at of own) {
        const last = sessions.at(-1)
        if (last !== undefined && at - last[1] <= GAP) sessions.splice(-1, 1, [last[0], at, last[2] + 1])
        else sessions.push([at, at, 1])
      }
      const held = [...(history.get(key) ?? [])].filter(([at]) => at <= asOf).sort(([a], [b]) => b - a)[0]
      answers.push({
        row: rows.get(key) ?? null,
        rows: sorted(rows).filter(([name]) => name >= 'b'),
        back: rows.size,
        count: counts.get(key) ?? null,
        register: registers.get(key)?.name ?? null,
        registers: sorted(registers).flatMap(([name, register]) => (register.name === null ? [] : [name])),
        held: held?.[1] ?? null,
        windows: windowsOf(own).filter(inside),
        window: windowsOf(own).find(([start]) => start === 0)?.[1] ?? null,
        allWindows: [...times]
          .flatMap(([name, of]) =>
            windowsOf(of)
              .filter(inside)
              .map(([start, n]) => `${name}@${start}-${start + SIZE}:${n}`),
          )
          .sort(),
        slides: true,
        sessions: sessions.filter(([start, end]) => end >= from && start <= to),
        session: sessions.find(([start, end]) => start === 0 && end === 0)?.[2] ?? null,
        everywhere: [
          everywhere.get(key) ?? null,
          ...sorted(everywhere).flatMap(([name]) => (name <= 'b' ? [name] : [])),
          everywhere.has('c') ? 1 : 0,
        ],
      })
    }
  }
  return answers
}

it('reads what the tables hold, wherever it commits and crashes', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (partitions, all) => {
      await using driver = new TopologyTestDriver(flow, { partitions })
      for (const step of all) {
        if (step === 'commit') await driver.commit()
        else if (step === 'crash') await driver.crash()
        else await driver.input(step.topic).pipe(step)
      }
      const out = driver.output<null, unknown>('out').readAll()
      const events = all.filter((step): step is Event => typeof step !== 'string')
      expect(driver.output('borrowed-dead-letter').readAll()).toEqual([])
      for (let partition = 0; partition < partitions; partition++) {
        const answers = out.filter((record) => record.partition === partition).map(({ value }) => value)
        expect(answers).toEqual(oracle(events, partitions, partition))
      }
    }),
    { numRuns: runsOf(40, 500) },
  )
})
