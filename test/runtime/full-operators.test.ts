// Operators that hold records and are full: what one record leads to goes in wholly, and what waits for room (records, timers, windows that
// close) keeps nothing from going on that could make room.
import { describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { type Stream, string, tumbling, topology, type TopologyBuilder } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import type { Log } from '../../src/log/log.ts'
import { logOf, run } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load, readAll } from '../support/run-worker.ts'
import { shown } from '../support/shown.ts'

const TEXT = { key: string(), value: string() }
type Texts = Stream<string, string>

function driverOf(build: (t: TopologyBuilder) => void): TopologyTestDriver {
  return new TopologyTestDriver(topology('t', build))
}

const MANY = Array.from({ length: 20 }, (_, i) => `v${i}`)
const many = (input: Texts): Texts => input.flatMapValues(() => MANY, { value: string() })

/** Full with one: the records wait for rows that another topic brings. */
const joined = (input: Texts, t: TopologyBuilder, maxRecords = 1): void =>
  input
    .join(t.table('rows', TEXT), (value, row) => `${value}${row}`, {
      buffer: { timeout: '1000d', clock: 'stream', maxRecords },
      store: 'waiting',
      value: string(),
    })
    .to('out', TEXT)

describe('a record that makes more than fits', () => {
  test('into a mapAsync goes in wholly, and the next one waits', async () => {
    let waiting = 0
    await using driver = driverOf((t) =>
      many(t.stream('in', TEXT))
        .mapAsync(async (value) => value, { store: 'calls', maxRecords: 5, concurrency: 1, value: string() })
        .to('out', TEXT),
    )
    await driver.input('in').pipe([
      { key: 'a', value: 'x' },
      { key: 'a', value: 'y' },
    ])
    waiting = driver.counters('calls').get('waiting') ?? 0
    await driver.settle()
    expect(shown(driver)).toEqual([...MANY, ...MANY].map((value) => `a:${value}`))
    expect(waiting).toBeLessThanOrEqual(MANY.length)
  })

  test('into a join that lets the input wait goes in wholly, and the next one waits', async () => {
    await using driver = driverOf((t) => joined(many(t.stream('in', TEXT)), t, 3))
    await driver.input('in').pipe([
      { key: 'a', value: 'x' },
      { key: 'a', value: 'y' },
    ])
    expect(driver.counters('waiting').get('parked')).toBe(MANY.length)
    await driver.input('rows').pipe({ key: 'a', value: '!' })
    expect(shown(driver)).toEqual([...MANY, ...MANY].map((value) => `a:${value}!`))
  })

  test('that was given up on the way leaves nothing behind in it', async () => {
    await using driver = driverOf((t) =>
      many(t.stream('in', TEXT))
        .mapAsync(async (value) => value, { store: 'calls', maxRecords: 5, value: string() })
        .to('out', TEXT),
    )
    await driver.input('in').pipe({ key: 'a', value: 'x' })
    await driver.crash()
    await driver.settle()
    expect(shown(driver)).toEqual(MANY.map((value) => `a:${value}`))
  })
})

/** Forwards a record a tick: the second on the clock. */
const ticking = (input: Texts, clock: 'wall' | 'stream'): Texts =>
  input.processValues<string>((context) => {
    const begin = clock === 'wall' ? context.currentSystemTimeMs() : 0
    context.schedule('1s', clock, (now) => context.forward({ key: 'tick', value: `${(now - begin) / 1_000}`, timestamp: 0 }))
    return { process: (record) => context.forward(record) }
  })

describe('timers that meet a full operator wait, and nothing else does', () => {
  test('on the wall clock: a join that only its table can empty', async () => {
    await using driver = driverOf((t) => joined(ticking(t.stream('in', TEXT), 'wall'), t))
    for (let i = 0; i < 5; i++) await driver.advance('1s')
    expect(driver.counters('waiting').get('parked')).toBe(1)
    await driver.input('rows').pipe({ key: 'tick', value: '!' })
    expect(shown(driver)).toEqual(['tick:1!', 'tick:5!']) // of what was missed one
    await driver.advance('1s')
    expect(shown(driver)).toEqual(['tick:6!'])
  })

  test('in stream time: a join that only its table can empty', async () => {
    await using driver = driverOf((t) => joined(ticking(t.stream('in', TEXT), 'stream'), t))
    for (const second of [1, 2, 3]) await driver.input('in').pipe({ key: 'a', value: `${second}`, timestamp: second * 1_000 })
    expect(driver.counters('waiting').get('parked')).toBe(1)
    await driver.input('rows').pipe([
      { key: 'a', value: '!', timestamp: 0 },
      { key: 'tick', value: '!', timestamp: 0 },
    ])
    expect(shown(driver).filter((line) => line.startsWith('a'))).toEqual(['a:1!', 'a:2!', 'a:3!'])
  })

  test('calls that are under way are answered, and then they fire in order', async () => {
    const answers: (() => void)[] = []
    await using driver = driverOf((t) =>
      ticking(t.stream('in', TEXT), 'wall')
        .mapAsync((value) => new Promise<string>((resolve) => answers.push(() => resolve(value))), {
          store: 'calls',
          maxRecords: 1,
          timeout: '1h',
          value: string(),
        })
        .to('out', TEXT),
    )
    await driver.advance('1s')
    await driver.advance('1s')
    await driver.advance('1s')
    expect(answers).toHaveLength(1)
    for (let i = 0; i < 2; i++) {
      answers[i]?.()
      await driver.settle()
    }
    expect(shown(driver)).toEqual(['tick:1', 'tick:3'])
  })

  test('another timer goes on', async () => {
    const fired: number[] = []
    await using driver = driverOf((t) => {
      const input = t.stream('in', TEXT)
      joined(ticking(input, 'wall'), t)
      input.process<string, string>((context) => {
        context.schedule('1s', 'wall', (timestamp) => void fired.push(timestamp))
        return { process() {} }
      })
    })
    for (let i = 0; i < 4; i++) await driver.advance('1s')
    expect(fired).toHaveLength(4)
  })
})

describe('what falls due and meets a full operator waits, and nothing else does', () => {
  test('updates that were held back: a join that only its table can empty', async () => {
    await using driver = driverOf((t) => joined(t.table('in', TEXT).suppress({ for: '1s' }).toStream(), t))
    const keys = ['a', 'b', 'c']
    for (const [second, key] of [...keys, ...keys, 'z'].entries())
      await driver.input('in').pipe({ key, value: `${second}`, timestamp: second * 1_000 })
    expect(driver.counters('waiting').get('parked')).toBe(1)
    await driver.input('rows').pipe(keys.map((key) => ({ key, value: '!', timestamp: 0 })))
    expect(shown(driver).sort()).toEqual(['a:0!', 'a:3!', 'b:1!', 'b:4!', 'c:2!', 'c:5!'])
  })

  test('the same by the wall clock', async () => {
    await using driver = driverOf((t) => joined(t.table('in', TEXT).suppress({ for: '1s', clock: 'wall' }).toStream(), t))
    const keys = ['a', 'b', 'c']
    for (const key of keys) {
      await driver.input('in').pipe({ key, value: 'x', timestamp: 0 })
      await driver.advance('2s')
    }
    expect(driver.counters('waiting').get('parked')).toBe(1)
    await driver.input('rows').pipe(keys.map((key) => ({ key, value: '!', timestamp: 0 })))
    expect(shown(driver)).toEqual(['a:x!', 'b:x!']) // the input waited, too
    await driver.advance('2s')
    expect(shown(driver)).toEqual(['c:x!'])
  })

  test('windows that close: a mapAsync takes all of them, a few at a time', async () => {
    await using driver = driverOf((t) =>
      t
        .stream('in', TEXT)
        .groupByKey()
        .windowedBy(tumbling('1s'), { emit: 'close' })
        .count({ store: 'windows' })
        .toStream()
        .mapAsync(async (n, { key }) => `${key}=${n}`, { store: 'calls', maxRecords: 2, concurrency: 1, order: 'none', value: string() })
        .selectKey(() => 'n', { key: string() })
        .to('out', TEXT),
    )
    await driver.input('in').pipe(Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: 'x', timestamp: 10 * i })))
    for (const timestamp of [2_000, 3_000, 4_000]) await driver.input('in').pipe({ key: 'z', value: 'x', timestamp })
    await driver.settle()
    expect(shown(driver).filter((line) => line.startsWith('n:k'))).toHaveLength(50)
  })
})

test('a worker whose timer meets a full operator goes on, and its loop rests meanwhile', async () => {
  const log = logOf()
  let polls = 0
  const counting: Log = {
    ...proxied<Log>(log),
    reader(options) {
      const reader = log.reader(options)
      return {
        ...proxied(reader),
        poll(waitMs) {
          polls++
          return reader.poll(waitMs)
        },
      }
    },
  }
  const answers: (() => void)[] = []
  const program = topology('t', (t) => {
    t.stream('in', TEXT)
      .processValues<string>((context) => {
        context.schedule('5ms', 'wall', (now) => context.forward({ key: 'tick', value: `${now}`, timestamp: 0 }))
        return { process() {} }
      })
      .mapAsync((value) => new Promise<string>((resolve) => answers.push(() => resolve(value))), {
        store: 'calls',
        maxRecords: 1,
        value: string(),
      })
      .to('out', TEXT)
  })
  await load(log, [{ topic: 'in', key: Buffer.from('a'), value: Buffer.from('x'), timestamp: 0 }], 1)
  const { worker } = await run({ log: counting, topology: program })
  for (let i = 0; i < 3; i++) {
    await expect.poll(() => answers.length, { timeout: 10_000, interval: 5 }).toBe(i + 1)
    answers[i]?.()
  }
  await expect.poll(() => answers.length, { timeout: 10_000, interval: 5 }).toBe(4)
  const before = polls
  await systemWorld().timers.sleep(300)
  expect(polls - before).toBeLessThan(60)
  await worker.close()
  expect((await readAll(log, 'out')).flat()).toHaveLength(3)
})
