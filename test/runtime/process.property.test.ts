// Processors with every kind of store and both kinds of timers, on 1 to 3 partitions, committed and crashed at random places, against a
// model in plain Maps that never crashes. What a processor puts out goes to its own partition, so the order within one is compared.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { json, keyValue, session, string, topology, versioned, window } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { runsOf } from '../support/tier.ts'

// Times are seconds, so that what is over lies in another segment than what is not.
const RETENTION = 40_000
const SIZE = 10_000
const TICK_STREAM = 12_000
const TICK_WALL = 25

type Command =
  | { readonly op: 'put'; readonly at: string; readonly to: string | null }
  | { readonly op: 'range'; readonly from: string | null; readonly to: string | null; readonly reverse: boolean }
  | { readonly op: 'window'; readonly start: number; readonly to: string | null }
  | { readonly op: 'windows'; readonly from: number; readonly to: number }
  | { readonly op: 'session'; readonly start: number; readonly end: number; readonly to: string | null }
  | { readonly op: 'sessions'; readonly end: number; readonly start: number }
  | { readonly op: 'version'; readonly time: number; readonly to: string | null }
  | { readonly op: 'versionAt'; readonly time: number }

const flow = topology('model', (t) => {
  const rows = t.store(keyValue({ name: 'rows', key: string(), value: string() }))
  const windows = t.store(window({ name: 'windows', key: string(), value: string(), size: SIZE, retention: RETENTION, persistent: false }))
  const sessions = t.store(session({ name: 'sessions', key: string(), value: string(), retention: RETENTION }))
  const versions = t.store(versioned({ name: 'versions', key: string(), value: string(), retention: RETENTION }))
  t.stream('in', { key: string(), value: json<Command>() })
    .process<null, string>(
      (context) => {
        const kv = context.store(rows)
        const win = context.store(windows)
        const ses = context.store(sessions)
        const ver = context.store(versions)
        const tick = (clock: string) => (timestamp: number) => {
          const seen = [...kv.all()].map(([key, value]) => `${key}${value}`)
          kv.delete(seen[0]?.slice(0, 1) ?? 'a')
          context.forward({ key: null, value: `${clock} ${seen.join()}`, timestamp })
        }
        context.schedule(TICK_STREAM, 'stream', tick('stream'))
        context.schedule(TICK_WALL, 'wall', tick('wall'))
        const answer = (key: string, command: Command): string => {
          switch (command.op) {
            case 'put':
              kv.put(command.at, command.to)
              return String(kv.get(command.at))
            case 'range': {
              const { from, to, reverse } = command
              return [...(reverse ? kv.reverseRange(from, to) : kv.range(from, to))].join(' ')
            }
            case 'window':
              win.put(key, command.to, command.start)
              return String(win.fetch(key, command.start))
            case 'windows': {
              const all = [...win.fetchAll(command.from, command.to)].filter(([at]) => at.key === key)
              return `${[...win.fetch(key, command.from, command.to)].join(' ')} ${all.map(([at]) => `${at.start}-${at.end}`).join()}`
            }
            case 'session':
              ses.put({ key, start: command.start, end: command.end }, command.to)
              return String(ses.get({ key, start: command.start, end: command.end }))
            case 'sessions':
              return [...ses.findSessions(key, command.end, command.start)].map(([s, value]) => `${s.start}-${s.end}${value}`).join()
            case 'version':
              return `${ver.put(key, command.to, command.time)} ${JSON.stringify(ver.get(key))}`
            case 'versionAt':
              return JSON.stringify(ver.get(key, command.time))
          }
        }
        return {
          process: ({ key, value, timestamp }) => context.forward({ key: null, value: `${key} ${answer(key, value)}`, timestamp }),
        }
      },
      { stores: [rows, windows, sessions, versions], value: string() },
    )
    .to('out', { key: json(), value: string() })
})

/** One partition's task, as a person would write it down. */
class Model {
  readonly out: string[] = []
  readonly rows = new Map<string, string>()
  readonly windows = new Map<string, string>()
  readonly sessions: { key: string; start: number; end: number; value: string }[] = []
  readonly versions = new Map<string, Map<number, string | null>>()
  greatest = { windows: -1, sessions: -1, versions: -1 }
  streamTime = -1
  nextStream = 0
  nextWall = TICK_WALL

  record(key: string, command: Command, timestamp: number): void {
    this.streamTime = Math.max(this.streamTime, timestamp)
    this.out.push(`${key} ${this.answer(key, command)}@${timestamp}`)
    if (this.nextStream > this.streamTime) return
    this.nextStream += (Math.floor((this.streamTime - this.nextStream) / TICK_STREAM) + 1) * TICK_STREAM
    this.tick('stream', this.streamTime)
  }

  wall(now: number): void {
    if (this.nextWall > now) return
    this.nextWall += (Math.floor((now - this.nextWall) / TICK_WALL) + 1) * TICK_WALL
    this.tick('wall', now)
  }

  tick(clock: string, timestamp: number): void {
    const seen = this.range(null, null)
    this.rows.delete(seen[0]?.[0] ?? 'a')
    this.out.push(`${clock} ${seen.map(([key, value]) => key + value).join()}@${timestamp}`)
  }

  range(from: string | null, to: string | null): [string, string][] {
    return [...this.rows]
      .filter(([key]) => (from === null || key >= from) && (to === null || key <= to))
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  answer(key: string, command: Command): string {
    switch (command.op) {
      case 'put':
        if (command.to === null) this.rows.delete(command.at)
        else this.rows.set(command.at, command.to)
        return String(command.to)
      case 'range': {
        const found = this.range(command.from, command.to)
        return (command.reverse ? found.reverse() : found).join(' ')
      }
      case 'window': {
        this.greatest.windows = Math.max(this.greatest.windows, command.start)
        const over = command.start <= this.greatest.windows - RETENTION
        if (!over && command.to === null) this.windows.delete(`${key}@${command.start}`)
        else if (!over) this.windows.set(`${key}@${command.start}`, command.to as string)
        return String(over ? null : command.to)
      }
      case 'windows': {
        const starts = [...this.windows.keys()]
          .filter((at) => at.startsWith(`${key}@`))
          .map((at) => Number(at.slice(key.length + 1)))
          .filter((start) => start >= command.from && start <= command.to && start > this.greatest.windows - RETENTION)
          .sort((a, b) => a - b)
        const rows = starts.map((start) => [start, this.windows.get(`${key}@${start}`)])
        return `${rows.join(' ')} ${starts.map((start) => `${start}-${start + SIZE}`).join()}`
      }
      case 'session': {
        const { start, end, to } = command
        this.greatest.sessions = Math.max(this.greatest.sessions, end)
        if (end <= this.greatest.sessions - RETENTION) return 'null'
        const at = this.sessions.findIndex((s) => s.key === key && s.start === start && s.end === end)
        if (at >= 0) this.sessions.splice(at, 1)
        if (to !== null) this.sessions.push({ key, start, end, value: to })
        return String(to)
      }
      case 'sessions':
        return this.sessions
          .filter((s) => s.key === key && s.end >= command.end && s.start <= command.start && s.end > this.greatest.sessions - RETENTION)
          .sort((a, b) => a.end - b.end || a.start - b.start)
          .map((s) => `${s.start}-${s.end}${s.value}`)
          .join()
      case 'version': {
        const late = command.time < this.greatest.versions - RETENTION
        const versions = this.versions.get(key) ?? new Map<number, string | null>()
        this.versions.set(key, versions)
        if (!late) versions.set(command.time, command.to)
        this.greatest.versions = Math.max(this.greatest.versions, command.time)
        return `${!late} ${this.version(key, Number.MAX_SAFE_INTEGER)}`
      }
      case 'versionAt':
        return this.version(key, command.time)
    }
  }

  version(key: string, asOf: number): string {
    const versions = [...(this.versions.get(key) ?? [])].sort(([a], [b]) => b - a)
    const latest = versions[0]
    const at = versions.find(([time]) => time <= asOf)
    if (at === undefined || at[1] === null) return 'null'
    if (at !== latest && asOf < this.greatest.versions - RETENTION) return 'null'
    return JSON.stringify({ value: at[1], timestamp: at[0] })
  }
}

const time = fc.nat(12).map((n) => n * 10_000)
const key = fc.constantFrom('a', 'ba', 'a\u0000')
const at = fc.constantFrom('a', 'b', 'c', 'd')
const to = fc.option(fc.constantFrom('x', 'y', 'z'), { freq: 4 })
const bound: fc.Arbitrary<string | null> = fc.option(at)
const FAMILIES: readonly fc.Arbitrary<Command>[][] = [
  [
    fc.record({ op: fc.constant('put' as const), at, to }),
    fc.record({ op: fc.constant('range' as const), from: bound, to: bound, reverse: fc.boolean() }),
  ],
  [
    fc.record({ op: fc.constant('window' as const), start: time, to }),
    fc.record({ op: fc.constant('windows' as const), from: time, to: time }),
  ],
  [
    fc.record({ op: fc.constant('session' as const), start: time, end: time, to }).filter(({ start, end }) => start <= end),
    fc.record({ op: fc.constant('sessions' as const), end: time, start: time }),
  ],
  [fc.record({ op: fc.constant('version' as const), time, to }), fc.record({ op: fc.constant('versionAt' as const), time })],
]
const stepOf = (commands: readonly fc.Arbitrary<Command>[]) =>
  fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('record' as const), key, command: fc.oneof(...commands), timestamp: time }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(60) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('commit' as const, 'crash' as const) }) },
  )
/** Of one kind of store, so that its commands meet, or of all. */
const history = fc
  .constantFrom(...FAMILIES, FAMILIES.flat())
  .chain((commands) => fc.array(stepOf(commands), { maxLength: 60, size: 'max' }))

it(
  'puts out what the model does, whatever crashes',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 1, max: 3 }), async (steps, partitions) => {
        await using driver = new TopologyTestDriver(flow, { partitions })
        const models = Array.from({ length: partitions }, () => new Model())
        let now = 0
        for (const each of steps) {
          if (each.kind === 'record') {
            const { key, command, timestamp } = each
            await driver.input('in').pipe({ key, value: command, timestamp })
            models[partitionOf(Buffer.from(key), partitions)]?.record(key, command, timestamp)
          } else if (each.kind === 'advance') {
            await driver.advance(each.ms)
            now += each.ms
            for (const model of models) model.wall(now)
          } else if (each.kind === 'commit') await driver.commit()
          else await driver.crash()
        }
        await driver.commit()
        const out = driver.output<null, string>('out').readAll()
        for (const [partition, model] of models.entries()) {
          const mine = out.filter((record) => record.partition === partition)
          expect(mine.map(({ value, timestamp }) => `${value}@${timestamp}`)).toEqual(model.out)
        }
        expect(driver.output('model-dead-letter').readAll()).toEqual([])
      }),
      { numRuns: runsOf(500, 5_000) },
    )
  },
  runsOf(60_000, 600_000),
)
