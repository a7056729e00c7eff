// A front and a desk in two threads: what goes over, when, and how it comes out. The two ends are joined here by clones, as a port would.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { StoreRestoring } from '../../src/runtime/reads.ts'
import { answersTo } from '../../src/server/apart.ts'
import { type Answering, type Ask, answered } from '../../src/server/asks.ts'
import { deskLink } from '../../src/server/desk-link.ts'
import { ELSEWHERE, type FrontSaid } from '../../src/server/front-words.ts'
import { Refusal } from '../../src/server/refusal.ts'

const row = (key: string, more: Partial<Ask> = {}): Ask => ({
  name: 'row',
  store: 'items',
  key,
  query: {},
  forwarded: false,
  body: undefined,
  ...more,
})

/** Both ends; what the front says waits until `pass`. `answerMs`: what a question costs the desk. */
function joined(desk: Answering, answerMs = 0) {
  const said: FrontSaid[] = []
  let turn = (): void => {}
  const link = deskLink((words) => said.push(structuredClone(words)), {
    turn: () => new Promise((resolve) => (turn = resolve)),
  })
  const counted: (readonly [number, number])[] = []
  const told: { readonly answers: number; readonly more: boolean }[] = []
  let nowMs = 0
  let onDeskTurn = (): void => {}
  const answers = answersTo(
    (ask, gone) => {
      nowMs += answerMs
      return desk(ask, gone)
    },
    (words) => {
      if (words.kind !== 'answers') return
      told.push({
        answers: words.answers.length + (words.rows?.lengths.filter((each) => each !== ELSEWHERE).length ?? 0),
        more: words.more,
      })
      link.told(structuredClone(words))
    },
    {
      clock: { now: () => 0, monotonic: () => nowMs },
      timers: { ...systemWorld().timers, turn: () => new Promise((resolve) => (onDeskTurn = resolve)) },
    },
  )
  return {
    link,
    said,
    counted,
    told,
    async deskTurn() {
      onDeskTurn()
      await null
    },
    async turn() {
      turn()
      await null
    },
    /** One message of the front is heard. */
    pass() {
      const words = said.shift()
      if (words?.kind === 'gone') answers.gone(words.id)
      else if (words?.kind === 'asks') {
        counted.push(...words.answered)
        answers.asks(words.asks, words.rows)
      }
      return words
    },
  }
}

const batchOf = (said: FrontSaid | undefined): number =>
  said?.kind === 'asks' ? said.asks.length + (said.rows?.lines.split('\n').length ?? 0) : 0

describe('batches', () => {
  test('what is asked in one turn is one message; what is asked while one is on its way is the next', async () => {
    const { link, said, turn, pass } = joined(({ key }) => answered(`"${key}"`))
    const first = ['a', 'b', 'c'].map((key) => link.ask(row(key), null))
    expect(said).toEqual([])
    await turn()
    const later = ['d', 'e'].map((key) => link.ask(row(key), null))
    await turn()
    expect(said.length).toBe(1)
    expect(batchOf(pass())).toBe(3)
    expect(await Promise.all(first)).toEqual(['"a"', '"b"', '"c"'].map((text) => ({ text, status: 200, type: null })))
    expect(batchOf(pass())).toBe(2)
    expect(await Promise.all(later)).toMatchObject([{ text: '"d"' }, { text: '"e"' }])
    expect(said).toEqual([])
  })
  test('no message has more than 500 questions, and none is lost', async () => {
    const { link, turn, pass } = joined(({ key }) => answered(key))
    const asked = Array.from({ length: 1_201 }, (_, i) => link.ask(row(`${i}`), null))
    await turn()
    expect([batchOf(pass()), batchOf(pass()), batchOf(pass())]).toEqual([500, 500, 201])
    expect((await Promise.all(asked)).map((answer) => ('text' in answer ? answer.text : ''))).toEqual(asked.map((_, i) => `${i}`))
  })
  test('a batch whose answers take longer than a turn goes back in pieces, each in a turn of its own', async () => {
    // Each answer takes 2 ms.
    const { link, said, told, turn, pass, deskTurn } = joined(({ key }) => answered(key), 2)
    const asked = Array.from({ length: 8 }, (_, i) => link.ask(row(`${i}`), null))
    await turn()
    pass()
    expect(told).toEqual([{ answers: 3, more: false }])
    expect(await Promise.all(asked.slice(0, 3))).toMatchObject([{ text: '0' }, { text: '1' }, { text: '2' }])
    // What is asked meanwhile comes behind all of it.
    const next = link.ask(row('next'), null)
    await turn()
    expect(said).toEqual([])
    await deskTurn()
    await deskTurn()
    expect(told.slice(1)).toEqual([
      { answers: 3, more: false },
      { answers: 2, more: true },
    ])
    expect((await Promise.all(asked)).map((answer) => ('text' in answer ? answer.text : ''))).toEqual([...'01234567'])
    expect(batchOf(pass())).toBe(1)
    expect(await next).toMatchObject({ text: 'next' })
  })
  test('an answer that takes longer holds up nobody', async () => {
    const late = Promise.withResolvers<void>()
    const { link, turn, pass } = joined(({ key }) => (key === 'slow' ? late.promise.then(() => answered('late')) : answered(key)))
    let slow = ''
    const slowly = (async () => {
      const answer = await link.ask(row('slow'), null)
      slow = 'text' in answer ? answer.text : ''
    })()
    const quick = link.ask(row('quick'), null)
    await turn()
    pass()
    expect(await quick).toMatchObject({ text: 'quick' })
    const next = link.ask(row('next'), null)
    await turn()
    pass()
    expect(await next).toMatchObject({ text: 'next' })
    expect(slow).toBe('')
    late.resolve()
    await slowly
    expect(slow).toBe('late')
  })
  test('what the front has answered is counted with the next batch, once', async () => {
    const { link, turn, pass, counted } = joined(() => answered(''))
    for (const status of [200, 401, 200]) link.count(status)
    for (const _ of [1, 2]) {
      void link.ask(row('a'), null)
      await turn()
      pass()
    }
    expect(counted).toEqual([
      [200, 2],
      [401, 1],
    ])
  })
})

describe('what crosses', () => {
  test('property: a question comes out as it went in, and so does its answer, alone and among others', async () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('a', '/', '\n', '\ud800', 'ä') }))
    const more = fc.record({
      name: fc.constantFrom('row' as const, 'rows' as const, 'versions' as const),
      query: fc.dictionary(text, text),
      forwarded: fc.boolean(),
      body: fc.option(fc.jsonValue(), { nil: undefined }),
    })
    const asks = fc.tuple(text, text, fc.oneof(fc.constant({}), more)).map(([store, key, of]) => row(key, { store, ...of }))
    const answers = fc.record({ text, status: fc.constantFrom(200, 200, 503), type: fc.option(text, { freq: 1 }) })
    const outcomes = fc.oneof(answers, answers, fc.constant(null))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(asks, outcomes, fc.boolean()), { maxLength: 20 }), async (given) => {
        // Each is known by its key.
        const all = given.map(([ask, answer, isLate], i) => ({ ask: { ...ask, key: `${i} ${ask.key}` }, answer, isLate }))
        const heard: Ask[] = []
        const { link, turn, pass } = joined((ask) => {
          const at = Number.parseInt(ask.key, 10)
          heard[at] = ask
          const { answer, isLate } = all[at] as (typeof all)[number]
          if (answer !== null) return isLate ? Promise.resolve(answer) : answer
          if (isLate) return Promise.reject(new Refusal('NOT_FOUND'))
          throw new Refusal('NOT_FOUND')
        })
        const found = Promise.all(
          all.map(({ ask }) => (link.ask(ask, null) as Promise<unknown>).catch((error: unknown) => (error as Refusal).code)),
        )
        await turn()
        pass()
        expect(await found).toEqual(all.map(({ answer }) => answer ?? 'NOT_FOUND'))
        // A clone has a prototype where fast-check's records have none.
        expect(heard).toEqual(all.map(({ ask }) => ({ ...ask, query: { ...ask.query } })))
      }),
      { numRuns: 100 },
    )
  })
  test('refusals with their progress, the owner of a key, and errors that are none of it, at once or late', async () => {
    const owner = { host: 'b', address: '127.0.0.1:1', machine: 'm', tasks: ['0_1'] }
    const restoring = new StoreRestoring({ task: '0_0', store: 'items', restored: 3, remaining: 4 } as never)
    for (const isLate of [false, true]) {
      const fail = (error: unknown) => {
        if (!isLate) throw error
        return Promise.reject(error)
      }
      const { link, turn, pass } = joined(({ key }) => {
        if (key === 'owner') return isLate ? Promise.resolve({ owner }) : { owner }
        if (key === 'refused') return fail(new Refusal('NOT_FOUND'))
        if (key === 'restoring') return fail(restoring)
        return fail(new TypeError('of ours'))
      })
      const found = Promise.allSettled(['owner', 'refused', 'restoring', 'broken'].map((key) => link.ask(row(key), null)))
      await turn()
      pass()
      const [first, ...others] = await found
      expect(first).toMatchObject({ value: { owner } })
      const reasons = others.map((each) => (each as PromiseRejectedResult).reason as Refusal)
      expect(reasons[0]).toBeInstanceOf(Refusal)
      expect(reasons[0]).toMatchObject({ code: 'NOT_FOUND', status: 404, progress: null })
      expect(reasons[1]).toMatchObject({ code: 'STORE_RESTORING', status: 503, progress: { restored: 3, remaining: 4 } })
      expect(reasons[2]).not.toBeInstanceOf(Refusal)
      expect(reasons[2]).toMatchObject({ name: 'TypeError', message: 'of ours' })
    }
  })
  test('that whoever asked for dead letters has left, while they are gathered', async () => {
    let signal: AbortSignal | null = null
    const done = Promise.withResolvers<void>()
    const { link, turn, pass, said } = joined((_, gone) => {
      signal = gone
      return done.promise.then(() => answered(''))
    })
    const gone = new AbortController()
    const found = link.ask(row('', { name: 'letters' }), gone.signal)
    await turn()
    pass()
    gone.abort()
    expect(said).toEqual([{ kind: 'gone', id: 1 }])
    pass()
    expect(signal).toMatchObject({ aborted: true })
    done.resolve()
    await found
    // One that is still here does not go over at all.
    const early = new AbortController()
    const never = link.ask(row('', { name: 'letters' }), early.signal)
    early.abort()
    await turn()
    expect(said).toEqual([])
    await expect(never).rejects.toMatchObject({ code: 'NOT_READY' })
  })
})
