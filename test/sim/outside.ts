// Operators that wait for something outside of their task: rows of other partitions (holdUntil) and calls (mapAsync). Asked for by name, so
// that the seeds of the other cases tell the stories that they told.
import { json, string, topology } from '../../src/index.ts'
import { type Fed, isPoison, KEYS, listsOf, NONE, POISON, parsed, type SimCase } from './case.ts'
import { fedOf } from './checks.ts'
import type { History, Violation } from './history.ts'
import { notOnce, parkedIn } from './parked.ts'

// --- records that wait for several rows -----------------------------------------------------------------------------------

interface Bundle {
  readonly n: number
  readonly own: string
  readonly needs: readonly string[]
}

export const held: SimCase = {
  name: 'held',
  goesOn: true,
  inputs: ['bundles', 'rows'],
  outputs: ['ready'],
  rising: [],
  topology: topology('held', (t) => {
    const rows = t.table('rows', { key: string(), value: json<string>(), store: 'rows' })
    t.stream('bundles', { key: string(), value: json<Bundle>() })
      .holdUntil(({ needs }) => needs.map((key) => ({ table: rows, key })), { store: 'held', buffer: { timeout: '7d', clock: 'stream' } })
      .to('ready', { key: string(), value: json<Bundle>() })
  }),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, n): Fed => {
      const timestamp = 1_000 + 20 * (n + chance.draw(6))
      const own = chance.pick(KEYS)
      if (chance.hit(0.3))
        return { topic: 'rows', key: `r${chance.draw(8)}`, value: chance.hit(0.02) ? POISON : JSON.stringify(`row${n}`), timestamp }
      const needs = Array.from({ length: chance.draw(4) }, () => `r${chance.draw(9)}`)
      return { topic: 'bundles', key: own, value: chance.hit(0.02) ? POISON : JSON.stringify({ n, own, needs }), timestamp }
    }),
  ofPartition: () => ({ outputs: new Map(), tables: new Map() }),
  inTheEnd: () => NONE,
  judge,
}

const BUNDLE = /\{"n":\d+,"own":"\w","needs":\[[^\]]*\]\}/

/** Each bundle leaves once or waits, in the order of its key; no head waits whose rows are all there, none left before them. */
function judge(history: History): Violation[] {
  const violations: Violation[] = []
  const sound = (topic: string): Fed[] =>
    (history.inputs.get(topic) ?? [])
      .flat()
      .map((record) => fedOf(topic, record))
      .filter((fed) => !isPoison(history.case, fed))
  const bundles = new Map(sound('bundles').map((fed) => [(parsed(fed) as Bundle).n, parsed(fed) as Bundle]))
  const there = new Set(sound('rows').map(({ key }) => key))
  const left = new Map<number, number>()
  const latest = new Map<string, number>()
  for (const { value } of (history.outputs.get('ready') ?? []).flat()) {
    const { n, own, needs } = JSON.parse(String(value)) as Bundle
    left.set(n, (left.get(n) ?? 0) + 1)
    if (n < (latest.get(own) ?? -1)) violations.push({ check: 'O', what: `bundle ${n} left behind ${latest.get(own)} of the same key` })
    latest.set(own, n)
    for (const row of needs) if (!there.has(row)) violations.push({ check: 'S', what: `bundle ${n} left without ${row}` })
  }
  const heads = new Map<string, Bundle>()
  for (const bundle of parkedIn<Bundle>(history, 'held', BUNDLE)) {
    left.set(bundle.n, (left.get(bundle.n) ?? 0) + 1)
    if (bundle.n < (heads.get(bundle.own)?.n ?? Number.POSITIVE_INFINITY)) heads.set(bundle.own, bundle)
  }
  for (const { n, own, needs } of heads.values()) {
    if (needs.every((row) => there.has(row))) violations.push({ check: 'L', what: `bundle ${n} still waits for ${needs}, which are there` })
    if (n < (latest.get(own) ?? -1)) violations.push({ check: 'O', what: `bundle ${n} waits behind ${latest.get(own)} of the same key` })
  }
  return [...violations, ...notOnce('bundle', bundles.keys(), left)]
}

// --- calls: each record answered once, in the order of its key --------------------------------------------------------------

interface Job {
  readonly n: number
}
interface Done {
  readonly n: number
  readonly error: 'late' | 'failed' | null
}

/** Of some the call fails each time, of some it never answers. */
const errorOf = (n: number): Done['error'] => (n % 11 === 3 ? 'failed' : n % 17 === 5 ? 'late' : null)

export const called: SimCase = {
  name: 'called',
  goesOn: true,
  inputs: ['jobs'],
  outputs: ['done'],
  rising: [],
  topology: topology('called', (t) => {
    t.stream('jobs', { key: string(), value: json<Job>() })
      .mapAsync(
        async ({ n }): Promise<Done> => {
          for (let turns = n % 5; turns > 0; turns--) await null // some are answered before others that began earlier
          if (errorOf(n) === 'failed') throw new Error('no')
          if (errorOf(n) === 'late') await new Promise(() => {})
          return { n, error: null }
        },
        {
          store: 'calls',
          concurrency: 3,
          timeout: '150ms',
          retry: { attempts: 3, backoff: '20ms' },
          onError: ({ n }, _, error): Done => ({ n, error: String(error).includes('not answered') ? 'late' : 'failed' }),
          value: json<Done>(),
        },
      )
      .to('done', { key: string(), value: json<Done>() })
  }),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, n) => ({
      topic: 'jobs',
      key: chance.pick(KEYS),
      value: chance.hit(0.02) ? POISON : JSON.stringify({ n }),
      timestamp: 1_000 + n * 10,
    })),
  ofPartition: () => ({ outputs: new Map(), tables: new Map() }),
  inTheEnd(partitions) {
    const done = listsOf<string>()
    for (const fed of partitions.flat()) {
      const job = parsed<Job>(fed)
      if (job !== null) done.add(fed.key, JSON.stringify({ n: job.n, error: errorOf(job.n) }))
    }
    return { sequences: new Map([['done', done.map]]), last: new Map() }
  },
}
