// Who reads /events: how many, how soon, and what becomes of a reader that does not take what it is given. On a clock of its own.
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { silent } from '../../src/base/ports.ts'
import { type Events, openEvents, type Reader } from '../../src/server/events.ts'

class Fake implements Reader {
  readonly texts: string[] = []
  writableNeedDrain = false
  destroyed = false
  #close: () => void = () => {}
  /** What is written does not leave. */
  stuck = false

  write(text: string): boolean {
    this.texts.push(text)
    this.writableNeedDrain = this.stuck
    return !this.stuck
  }
  destroy(): void {
    this.destroyed = true
    this.#close()
  }
  on(_event: 'close', run: () => void): void {
    this.#close = run
  }
}

interface Play {
  readonly events: Events
  gathered(): number
  timers(): number
  pass(ms: number): Promise<void>
  add(stuck?: boolean): Promise<Fake>
}

function play(fails: () => boolean = () => false): Play {
  let now = 0
  let gathered = 0
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>()
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const after = (ms: number, run: () => void): (() => void) => {
    const timer = { atMs: now + ms, run }
    timers.add(timer)
    return () => void timers.delete(timer)
  }
  const world = {
    clock: { now: () => now, monotonic: () => now },
    timers: { after, sleep: (ms: number) => new Promise<void>((resolve) => void after(ms, resolve)), turn },
    random: { below: () => 0, hex: () => '' },
    logger: silent,
  }
  const events = openEvents({
    world,
    gather: async () => {
      if (fails()) throw new Error('no metrics')
      return String(++gathered)
    },
  })
  return {
    events,
    gathered: () => gathered,
    timers: () => timers.size,
    async pass(ms) {
      for (const end = now + ms; now < end; ) {
        now += 100
        for (const timer of [...timers]) {
          if (timer.atMs > now) continue
          timers.delete(timer)
          timer.run()
        }
        await turn()
      }
    },
    async add(stuck = false) {
      const reader = new Fake()
      reader.stuck = stuck
      events.room()
      events.add(reader)
      await turn()
      return reader
    },
  }
}

test('a reader has its first event at once, then one a second; the second reader has the same', async () => {
  const { add, pass, gathered } = play()
  const first = await add()
  expect(first.texts).toEqual(['data: 1\n\n'])
  await pass(2_500)
  const second = await add()
  expect(first.texts).toEqual(['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n'])
  expect(second.texts).toEqual(['data: 3\n\n'])
  await pass(1_000)
  expect(second.texts).toEqual(['data: 3\n\n', 'data: 4\n\n'])
  expect(gathered()).toBe(4)
})

test('nobody reads: nothing is gathered and no timer waits; who comes later begins anew', async () => {
  const { add, pass, gathered, timers } = play()
  expect(timers()).toBe(0)
  const reader = await add()
  reader.destroy()
  await pass(100)
  expect(timers()).toBe(0)
  await pass(10_000)
  expect([gathered(), timers()]).toEqual([1, 0])
  const other = await add()
  expect(other.texts).toEqual(['data: 2\n\n'])
})

test('there is room for so many; one that leaves makes room', async () => {
  const { add, events } = play()
  const readers = await Promise.all(Array.from({ length: LIMITS.eventReadersMax }, () => add()))
  expect(() => events.room()).toThrow('TOO_MANY_READERS')
  readers[3]?.destroy()
  expect(events.readers).toBe(LIMITS.eventReadersMax - 1)
  expect(() => events.room()).not.toThrow()
})

test('for a slow reader nothing is queued, and it is let go; the others go on', async () => {
  const { add, pass, events } = play()
  const [slow, quick] = [await add(true), await add()]
  await pass(LIMITS.eventLateMs - 1_000)
  expect(slow.texts).toHaveLength(1)
  expect(slow.destroyed).toBe(false)
  await pass(2_000)
  expect(slow.destroyed).toBe(true)
  expect(slow.texts).toHaveLength(1)
  expect(events.readers).toBe(1)
  expect(quick.texts.length).toBeGreaterThanOrEqual(5)
})

test('one that takes its event in time has the next one', async () => {
  const { add, pass } = play()
  const reader = await add(true)
  await pass(3_000)
  reader.stuck = false
  reader.writableNeedDrain = false
  await pass(20_000)
  expect(reader.destroyed).toBe(false)
  expect(reader.texts.length).toBeGreaterThan(15)
  expect(reader.texts[1]).toBe('data: 5\n\n')
})

test('what cannot be gathered is a comment, and the next one may be; the close ends all', async () => {
  let fails = true
  const { add, pass, events, timers } = play(() => fails)
  const reader = await add()
  expect(reader.texts).toEqual([': nothing\n\n'])
  fails = false
  await pass(1_000)
  expect(reader.texts).toEqual([': nothing\n\n', 'data: 1\n\n'])
  events.close()
  await pass(3_000)
  expect([reader.destroyed, timers(), reader.texts.length]).toEqual([true, 0, 2])
  expect(() => events.room()).toThrow('NOT_READY')
})
