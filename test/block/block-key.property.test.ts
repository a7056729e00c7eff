// `blockKey` against an oracle: whatever fails, is mended, replayed or dropped, and however often it crashes, each key's records come out once
// and in the order in which they were read, but those that were dropped.
import fc from 'fast-check'
import { json, string, topology } from 'millrace'
import { type ReadRecord, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { histories } from '../support/histories.ts'
import { ran } from '../support/bars.ts'
import { holds, many } from '../support/many.ts'
import { runsOf } from '../support/tier.ts'

interface Event {
  readonly n: number
}

/** Those that fail. */
const broken = new Set<number>()

const events = topology('events', (t) => {
  t.stream('in', { key: string(), value: json<Event>((value) => typeof (value as Event).n === 'number') })
    .peek(({ n }) => {
      if (broken.has(n)) throw new Error('broken')
    })
    .to('out', { key: string(), value: json<Event>() })
})

const record = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  how: fc.constantFrom('sound' as const, 'sound' as const, 'sound' as const, 'broken' as const, 'unreadable' as const),
})
const world = fc.oneof(
  { weight: 1, arbitrary: fc.record({ act: fc.constant('commit' as const) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('mend' as const), which: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('replay' as const, 'drop' as const), which: fc.nat(3) }) },
)
const options = (count: number) =>
  fc.record({ partitions: fc.constantFrom(1, 2), maxRecords: fc.constantFrom(1, 3, ...(count === 1 ? [] : [20, 60]), 100) })

const offsetOf = ({ partition, headers }: ReadRecord): string => `${partition}@${headers['__streams.errors.offset']}`

test('property: each key in its order, each record once, but those that were dropped', { timeout: runsOf(60_000, 900_000) }, async () => {
  let waited = 0
  let settled = 0
  const property = (count: number) => {
    const turns = many({ history: histories(record, 6, 16), world, count })
    return fc.asyncProperty(turns, options(count), async (all, { partitions, maxRecords }) => {
      broken.clear()
      await using driver = new TopologyTestDriver(events, { onError: { blockKey: { maxRecords } }, partitions })
      const input = driver.input('in')
      const expected = new Map<string, number[]>()
      const placeOf = new Map<string, number>()
      const counts = [0, 0]
      const dropped = new Set<number>()
      let back = 0
      const drop = (letter: ReadRecord): boolean => {
        dropped.add(placeOf.get(offsetOf(letter)) as number)
        return true
      }
      for (const [n, { of, step }] of all.entries()) {
        if (of !== null) {
          const partition = step.key === 'c' ? partitions - 1 : 0
          const key = `${step.key}${of}`
          placeOf.set(`${partition}@${counts[partition]}`, n)
          counts[partition] = (counts[partition] as number) + 1
          if (step.how === 'broken') broken.add(n)
          expected.set(key, [...(expected.get(key) ?? []), n])
          await input.pipe({ key, value: step.how === 'unreadable' ? { word: n } : { n }, partition })
          continue
        }
        if (step.act === 'mend') {
          await driver.commit() // what a crash has run again comes out as before
          for (const one of broken) if (one % 4 === step.which) broken.delete(one)
        } else if (step.act === 'replay' || step.act === 'drop') {
          const chosen = (letter: ReadRecord): boolean => (placeOf.get(offsetOf(letter)) as number) % 4 === step.which
          if (step.act === 'replay') back += await driver.replayDeadLetters(chosen)
          else settled += await driver.dropDeadLetters((letter) => chosen(letter) && drop(letter))
        } else await driver[step.act]()
        const parked = driver.counters('in-blocked').get('parked') ?? 0
        waited = Math.max(waited, parked)
        expect(parked).toBeLessThanOrEqual(maxRecords * partitions + back) // letters that came back are no input to pause
      }
      await driver.commit()
      broken.clear()
      // In the end all is mended; what no serde can read is dropped. Each round lets at least one record go.
      for (let rounds = 0; rounds < all.length; rounds++) {
        const unreadable = (letter: ReadRecord): boolean => !String(letter.value).includes('"n"')
        const count =
          (await driver.replayDeadLetters((letter) => !unreadable(letter))) +
          (await driver.dropDeadLetters((letter) => unreadable(letter) && drop(letter)))
        if (count === 0) break
      }
      settled += back
      const seen = new Map<string, number[]>()
      for (const { key, value } of driver.output<string, Event>('out').readAll())
        seen.set(key as string, [...(seen.get(key as string) ?? []), (value as Event).n])
      for (const [key, all] of expected) expect(seen.get(key) ?? []).toEqual(all.filter((n) => !dropped.has(n)))
      expect(Object.fromEntries(driver.counters('in-blocked'))).toMatchObject({ parked: 0, blocked_keys: 0 })
    })
  }
  ran('16, blockKey', await holds(property, { histories: runsOf(1_000, 20_000), alone: runsOf(100, 500) }))
  // It would say nothing if nothing had ever waited.
  expect(waited).toBeGreaterThan(2)
  expect(settled).toBeGreaterThan(100)
})
