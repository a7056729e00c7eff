// Policies of operators against an oracle: of each record the first operator that throws, depth first, decides what becomes of it, wherever it
// crashes. What is sound comes out in its order, once, on all ways; of what is not, nothing does on any.
import fc from 'fast-check'
import { json, string, topology } from 'millrace'
import { TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { histories } from '../support/histories.ts'
import { ran } from '../support/bars.ts'
import { holds, many } from '../support/many.ts'
import { runsOf } from '../support/tier.ts'

interface Event {
  readonly n: number
  /** The operators that throw for it. */
  readonly at: readonly number[]
}

type Policy = 'deadLetter' | 'skip'
type Own = Policy | null

const EVENTS = { key: string(), value: json<Event>((value) => Array.isArray((value as Event).at)) }
/** The source, one operator for all, one for each of two ways. */
const OPERATORS = 4

const topologyOf = (own: readonly Own[]) =>
  topology('piece', (t) => {
    const options = (i: number) => (own[i] == null ? {} : { onError: own[i] })
    const throwsAt =
      (i: number) =>
      ({ at }: Event): void => {
        if (at.includes(i)) throw new Error(`operator ${i}`)
      }
    const events = t.stream('in', { ...EVENTS, ...options(0) }).peek(throwsAt(1), options(1))
    events.peek(throwsAt(2), options(2)).to('left', EVENTS)
    events.peek(throwsAt(3), options(3)).to('right', EVENTS)
  })

const policy = fc.constantFrom<Policy>('deadLetter', 'skip')
const step = fc.record({
  key: fc.constantFrom('a', 'b'),
  at: fc.oneof({ weight: 2, arbitrary: fc.constant<number[]>([]) }, fc.array(fc.nat(OPERATORS - 1), { maxLength: 2 })),
})
const world = fc.constantFrom('commit' as const, 'crash' as const)
const policies = fc.record({
  own: fc.array(fc.option(policy), { minLength: OPERATORS, maxLength: OPERATORS }),
  callback: policy,
  deserialization: policy,
})

test('property: the operator that throws decides, and nobody else', { timeout: runsOf(60_000, 300_000) }, async () => {
  const seen = { deadLetter: 0, skip: 0 }
  const property = (count: number) => {
    const turns = many({ history: histories(step, 6, 16), world, count })
    return fc.asyncProperty(turns, policies, async (all, { own, callback, deserialization }) => {
      await using driver = new TopologyTestDriver(topologyOf(own), { onError: { callback, deserialization } })
      const input = driver.input('in')
      const sound: string[] = []
      const letters: string[] = []
      let offset = 0
      for (const { of, step } of all) {
        if (of === null) {
          await driver[step]()
          continue
        }
        const { at } = step
        const key = `${step.key}${of} `
        const unreadable = at.includes(0)
        const n = offset++
        await input.pipe({ key, value: unreadable ? { n } : { n, at } })
        const first = Math.min(...at)
        const said = first < OPERATORS ? (own[first] ?? (unreadable ? deserialization : callback)) : null
        if (said === null) sound.push(`${key}${n}`)
        else seen[said]++
        if (said === 'deadLetter') letters.push(String(n))
      }
      await driver.commit()
      for (const way of ['left', 'right']) {
        const out = driver.output<string, Event>(way).readAll()
        expect(out.map(({ key, value }) => `${key}${value?.n}`)).toEqual(sound)
      }
      const given = driver.output('piece-dead-letter').readAll()
      expect(given.map(({ headers }) => headers['__streams.errors.offset'])).toEqual(letters)
    })
  }
  ran('16, policies', await holds(property, { histories: runsOf(1_000, 20_000), alone: runsOf(100, 500) }))
  expect(Math.min(seen.deadLetter, seen.skip)).toBeGreaterThan(50)
})
