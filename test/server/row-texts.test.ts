// A row by its key, from bytes that anybody may have written: the answer is that of its serdes and JSON.stringify, byte for byte, asked at the
// desk or across threads, with whatever else is asked beside it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asBuffer } from '../../src/base/bytes.ts'
import { systemWorld } from '../../src/base/system.ts'
import { parseKeyBytes } from '../../src/control/parse-key.ts'
import { int64, json, string, topology } from '../../src/index.ts'
import { encodeRegister } from '../../src/operators/last-write-wins-row.ts'
import { queryableStore } from '../../src/runtime/query.ts'
import { taskId } from '../../src/runtime/recover.ts'
import { answersTo } from '../../src/server/apart.ts'
import type { Answering, Ask } from '../../src/server/asks.ts'
import { deskOf } from '../../src/server/desk.ts'
import { deskLink } from '../../src/server/desk-link.ts'
import type { Metrics } from '../../src/server/metrics.ts'
import { Refusal, refusalOf } from '../../src/server/refusal.ts'
import type { HeldTask, Served } from '../../src/server/served.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { Overlay } from '../../src/state/overlay.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { runsOf } from '../support/tier.ts'

const plan = planOf(
  topology('kept', (t) => {
    t.stream('a', { key: string(), value: json<{ version: number }>() }).lastWriteWins({ store: 'newest', version: (e) => e.version })
    t.table('b', { key: string(), value: json(), store: 'plain' })
    t.table('c', { key: string(), value: json((value) => Array.isArray(value)), store: 'guarded' })
    t.table('d', { key: int64(), value: json(), store: 'numbered' })
    t.table('e', { key: json(), value: json(), store: 'keyed' })
    t.table('f', { key: string(), value: string(), store: 'texts' })
    t.globalTable('h', { key: string(), value: json(), store: 'everywhere' })
  }),
  'kept',
)
const STORES = ['newest', 'plain', 'guarded', 'numbered', 'keyed', 'texts', 'everywhere'] as const
const KEYS = ['k', 'a/b', 'ä"😀', 'two\nlines', '12', '/']
type Outcome = { readonly text: string } | { readonly code: string }

async function outcomeOf(asked: () => unknown): Promise<Outcome> {
  try {
    const answer = (await asked()) as { readonly text: string; readonly status: number; readonly type: string | null }
    expect(answer).toMatchObject({ status: 200, type: null })
    return { text: answer.text }
  } catch (error) {
    return { code: refusalOf(error).code }
  }
}

/** A desk over stores in memory, and how a row is laid there. */
async function deskOver() {
  const provider = memoryProvider()
  const tasks = new Map<string, HeldTask>()
  const all = new Map<string, Overlay>()
  for (const name of STORES) {
    const { subTopology } = queryableStore(plan, name) ?? { subTopology: Number.NaN }
    const overlay = new Overlay((await provider.open(taskId(subTopology, 0), name, true)).store)
    const id = taskId(subTopology, 0)
    tasks.set(id, { id, stores: [...(tasks.get(id)?.stores ?? []), { name, overlay }] })
    all.set(name, overlay)
  }
  const served = {
    plan,
    world: systemWorld(),
    ready: () => true,
    sized: () => ({ tasks: plan.subTopologies.map(() => 1) }),
    tasks: () => tasks,
    applying: () => false,
    globalStore: (name: string) => all.get(name)?.store,
    figures: () => ({ restores: [], standbys: [] }),
  } as unknown as Served
  const metrics = { render: async () => ({ type: 'text/plain', text: 'metrics' }) } as unknown as Metrics
  return { desk: deskOf({ served, stores: null, metrics, letters: () => null, acts: false }), all }
}

/** As from a front in a thread of its own. */
function across(desk: Answering): Answering {
  const { timers, clock } = systemWorld()
  const link = deskLink((said) => {
    const words = structuredClone(said)
    if (words.kind === 'asks') answers.asks(words.asks, words.rows)
  }, timers)
  const answers = answersTo(
    desk,
    (told) => {
      const words = structuredClone(told)
      if (words.kind === 'answers') link.told(words)
    },
    { clock, timers },
  )
  return link.ask
}

const question = (store: string, key: string): Ask => ({ name: 'row', store, key, query: {}, forwarded: false, body: undefined })

test('property: rows of all kinds, of bytes of all kinds', async () => {
  const text = fc.oneof(
    fc.json({ maxDepth: 3 }),
    fc.json({ maxDepth: 3, stringUnit: 'grapheme' }),
    fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value, null, 1)),
    fc.constantFrom(
      'null',
      '{}',
      '[]',
      '{"a":1.0}',
      '{"b":1,"a":2}',
      '{"2":1,"1":2}',
      '{"a":1,"a":2}',
      '{"__proto__":1}',
      '{"a":"\\u0041"}',
      '{"a":1e3}',
      '{',
    ),
  )
  const bytes = fc.oneof(
    { weight: 8, arbitrary: text.map((each) => Buffer.from(each)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map(asBuffer) },
  )
  const row = fc.record({ store: fc.constantFrom(...STORES), key: fc.constantFrom(...KEYS), bytes, isDeleted: fc.boolean() })
  const { desk, all } = await deskOver()
  const away = across(desk)
  let offset = 0
  let texts = 0
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 6 }), async (rows) => {
      const expected = new Map<string, Outcome>()
      for (const { store: name, key: typed, bytes, isDeleted } of rows) {
        const store = queryableStore(plan, name) as NonNullable<ReturnType<typeof queryableStore>>
        const value = name === 'newest' ? encodeRegister(isDeleted, 1, bytes) : bytes
        const { key, bytes: rowKey } = parseKeyBytes(name === 'numbered' ? '12' : typed, store.spec.key)
        const overlay = all.get(name) as Overlay
        overlay.put(rowKey, value, 1)
        overlay.seal()
        await overlay.apply({ changelogOffset: offset++ })
        const shown = await outcomeOf(() => {
          const decoded = name === 'newest' && isDeleted ? null : store.spec.value.decode(bytes)
          if (decoded === null) throw new Refusal('NOT_FOUND')
          return { text: JSON.stringify({ key: store.spec.key.toJson?.(key) ?? key, value: decoded }), status: 200, type: null }
        })
        expected.set(JSON.stringify([name, name === 'numbered' ? '12' : typed]), shown)
      }
      const asked = [...expected.keys()].map((each) => JSON.parse(each) as [string, string])
      const here = await Promise.all(asked.map(([store, key]) => outcomeOf(() => desk(question(store, key), null))))
      const there = asked.map(([store, key]) => outcomeOf(() => away(question(store, key), null)))
      const others = [away({ ...question('', ''), name: 'metrics' }, null), away({ ...question('', ''), name: 'health' }, null)]
      const none = outcomeOf(() => away(question('plain', 'nobody'), null))
      expect(here).toEqual([...expected.values()])
      expect(await Promise.all(there)).toEqual(here)
      expect(await Promise.all(others)).toMatchObject([{ text: 'metrics', type: 'text/plain' }, { status: 200 }])
      expect(await none).toEqual({ code: 'NOT_FOUND' })
      texts += here.filter((each) => 'text' in each).length
    }),
    { numRuns: runsOf(30, 300) },
  )
  expect(texts).toBeGreaterThan(5)
})
