// The dead letters of an application, listed, replayed and dropped: on a log in memory, directly and over the socket, with commits that fail.
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isMatchedInput } from '../../src/app/topics.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { LogRecord } from '../../src/base/record.ts'
import { readReturn } from '../../src/base/returned-letter.ts'
import { systemWorld } from '../../src/base/system.ts'
import { connectControl } from '../../src/control/client.ts'
import { type DeadLetterAsk, isDeadLetterAsk } from '../../src/control/dead-letter-ask.ts'
import { type Done, encodeDone, isDone, walk } from '../../src/control/dead-letter-done.ts'
import { recordsControl } from '../../src/control/records.ts'
import { type ControlServer, openControlServer } from '../../src/control/server.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import { int64, json, string, topology } from '../../src/index.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { type Scratch, scratch } from '../cli/binary.ts'
import { asked, finishEpoch, type Given, layLetters, recordsIn } from './letters.ts'

const world = systemWorld()
const plan = planOf(
  topology('shop', (t) => {
    t.stream('in', { key: string(), value: json() }).to('out', { key: string(), value: json() })
    t.stream('numbers', { key: int64(), value: string() }).to('numbered', { key: int64(), value: string() })
  }),
  'shop',
)
const LETTERS = 'shop-dead-letter'

let log: MemoryLog
let place: Scratch
let server: ControlServer | null
beforeEach(async () => {
  log = memoryLog(world)
  place = scratch()
  server = null
  await log.createTopics([
    { name: 'in', partitions: 3, kind: 'plain' },
    { name: 'numbers', partitions: 3, kind: 'plain' },
    { name: LETTERS, partitions: 3, kind: 'deadLetter' },
  ])
})
afterEach(async () => {
  await server?.close()
  await log.close()
  place.remove()
})

const lay = (...given: readonly Given[]): Promise<void> => layLetters(log, LETTERS, given)
const recordsOf = (topic: string, partition: number): Promise<LogRecord[]> => recordsIn(log, topic, partition)

const direct = (on: Log = log): ControlHandler => recordsControl({ log: on, plan, world, createPartitions: null })
const doneOf = (steps: readonly Record<string, any>[]): number => steps.reduce((sum, { done = 0 }) => sum + done, 0)
const fast = { act: 'replay', rate: 1_000_000 } as const

for (const [how, open] of [
  ['directly', async () => ({ ...direct(), close: () => {} })],
  [
    'over the socket',
    async () => {
      server = await openControlServer(place.folder, direct())
      const client = await connectControl(place.folder)
      if (client === null) throw new Error('nobody listens')
      return client
    },
  ],
] as const) {
  describe(how, () => {
    test('a list says what they are; filters narrow it', async () => {
      const seven = int64().encode(7) as Buffer
      await lay(
        { key: Buffer.from('a'), offset: 4 },
        { key: seven, topic: 'numbers', partition: 1, offset: 9, timestamp: 50 },
        { key: null, value: null },
      )
      const control = await open()
      const all = await asked(control, { act: 'list' })
      expect(all).toEqual([
        {
          offset: '0:0',
          from: { topic: 'in', partition: 0, offset: 4 },
          error: 'Error',
          message: 'why not',
          key: 'a',
          value: 1,
          timestamp: 5,
        },
        {
          offset: '0:1',
          from: { topic: 'in', partition: 0, offset: 0 },
          error: 'Error',
          message: 'why not',
          key: null,
          value: null,
          timestamp: 5,
        },
        expect.objectContaining({ offset: '1:0', from: { topic: 'numbers', partition: 1, offset: 9 }, key: 7, timestamp: 50 }),
      ])
      const places = async (ask: Partial<DeadLetterAsk>): Promise<string[]> =>
        (await asked(control, { act: 'list', ...ask })).map(({ offset, absent }) => offset ?? `no ${absent}`)
      expect(await places({ topic: 'numbers' })).toEqual(['1:0'])
      expect(await places({ since: 6 })).toEqual(['1:0'])
      expect(await places({ key: '7' })).toEqual(['1:0'])
      expect(await places({ key: 'a' })).toEqual(['0:0'])
      expect(await places({ limit: 1 })).toEqual(['0:0'])
      expect(await places({ offsets: ['0:1', '2:5', '9:0'] })).toEqual(['0:1', 'no 2:5', 'no 9:0'])
      control.close()
    })
    test('a replay writes what the record was, where it was, in order and once', async () => {
      const headers = [
        ['h', Buffer.from('x')],
        ['__streams.errors.message', Buffer.from('of Kafka Streams')],
        ['n', null],
      ] as const
      await lay(
        { partition: 2, value: Buffer.from('1'), timestamp: 7, headers },
        { partition: 2, value: null, timestamp: 3 },
        { partition: 1, key: null },
      )
      const control = await open()
      expect(doneOf(await asked(control, fast))).toBe(3)
      expect(await recordsOf('in', 2)).toMatchObject([
        {
          timestamp: 7,
          key: Buffer.from('k'),
          value: Buffer.from('1'),
          headers: [
            ['h', Buffer.from('x')],
            ['n', null],
            ['__millrace.replay.of', Buffer.from('2:0')],
          ],
        },
        { timestamp: 3, value: null, headers: [['__millrace.replay.of', Buffer.from('2:1')]] },
      ])
      expect(await recordsOf('in', 1)).toHaveLength(1)
      expect(await recordsOf('in', 0)).toHaveLength(0)
      expect(await asked(control, fast)).toEqual([])
      expect(await asked(control, { act: 'list' })).toEqual([])
      expect(await asked(control, { act: 'list', all: true })).toHaveLength(3)
      await lay({ partition: 2, value: Buffer.from('9') })
      expect(doneOf(await asked(control, fast))).toBe(1)
      expect((await recordsOf('in', 2)).map(({ value }) => String(value))).toEqual(['1', 'null', '9'])
      control.close()
    })
    test('some of them, dropped ones, and names that are not pending', async () => {
      await lay(...[0, 1, 2, 3, 4, 5].map((n) => ({ key: Buffer.from('abc'[n % 3] as string), value: Buffer.from(String(n)) })))
      const control = await open()
      expect(await asked(control, { ...fast, offsets: ['0:4', '0:2'] })).toEqual([{ done: 2 }])
      expect(await asked(control, { ...fast, offsets: ['0:4'] })).toEqual([{ absent: '0:4' }])
      expect(await asked(control, { act: 'drop', key: 'b' })).toEqual([{ done: 1 }])
      expect((await asked(control, { act: 'list' })).map(({ offset }) => offset)).toEqual(['0:0', '0:3', '0:5'])
      expect(await asked(control, { ...fast, limit: 1 })).toEqual([{ done: 1 }])
      expect(doneOf(await asked(control, fast))).toBe(2)
      expect((await recordsOf('in', 0)).map(({ value }) => Number(value))).toEqual([2, 4, 0, 3, 5])
      control.close()
    })
  })
}

test('what cannot be replayed is named and stays; the others go', async () => {
  await lay({ topic: 'gone' }, { partition: 6 }, {})
  const writer = log.writer({ transactionalId: 'other', guarantee: 'exactly_once' })
  await writer.init()
  writer.append(LETTERS, 0, 5, null, Buffer.from('x'), [])
  await finishEpoch(writer)
  const steps = await asked(direct(), fast)
  expect(doneOf(steps)).toBe(1)
  expect(steps.filter(({ refused }) => refused !== undefined)).toEqual([
    { refused: '0:0', reason: 'there is no topic gone any more' },
    { refused: '0:1', reason: 'topic in has 3 partitions, it came from partition 6' },
    { refused: '0:3', reason: 'its headers do not say where it came from' },
  ])
  expect((await asked(direct(), { act: 'list' })).map(({ offset }) => offset)).toEqual(['0:0', '0:1', '0:3'])
  expect(doneOf(await asked(direct(), { act: 'drop' }))).toBe(3)
})

test('what was too long for its dead letter is read where it was; when it is gone it is refused', async () => {
  const value = Buffer.alloc(999_950, 'x')
  const writer = log.writer({ transactionalId: 'client', guarantee: 'exactly_once' })
  await writer.init()
  writer.append('in', 0, 5, Buffer.from('k'), value, [])
  await finishEpoch(writer)
  await lay({ value, offset: 0 }, { value, offset: 0, timestamp: 6 }, { value, offset: 8 })
  expect((await asked(direct(), { act: 'list' })).map(({ leftOut, value: left }) => [leftOut, left])).toEqual(
    Array(3).fill(['headers, value', null]),
  )
  const steps = await asked(direct(), fast)
  expect(doneOf(steps)).toBe(1)
  expect(steps.map(({ refused }) => refused).filter(Boolean)).toEqual(['0:1', '0:2'])
  expect(steps.find(({ refused }) => refused === '0:2')?.reason).toBe('it is too long to be whole, and in-0@8 is not there any more')
  expect((await recordsOf('in', 0)).map((record) => record.value?.length)).toEqual([999_950, 999_950])
})

test('so many a second', async () => {
  await lay(...Array.from({ length: 12 }, () => ({})))
  const begun = world.clock.monotonic()
  expect((await asked(direct(), { act: 'replay', rate: 40 })).map(({ done }) => done)).toEqual([4, 4, 4])
  expect(world.clock.monotonic() - begun).toBeGreaterThan(195)
})

test('a signal ends it between two commits', async () => {
  await lay(...Array.from({ length: 30 }, () => ({})))
  const stop = new AbortController()
  for await (const _ of direct().deadLetters({ act: 'replay', rate: 50 }, stop.signal)) stop.abort()
  expect(await recordsOf('in', 0)).toHaveLength(5)
  expect(doneOf(await asked(direct(), fast))).toBe(25)
  expect(await recordsOf('in', 0)).toHaveLength(30)
})

test('a client that leaves ends its replay; what was not done goes on later', async () => {
  await lay(...Array.from({ length: 60 }, (_, n) => ({ value: Buffer.from(String(n)) })))
  server = await openControlServer(place.folder, direct())
  const client = await connectControl(place.folder)
  if (client === null) throw new Error('nobody listens')
  for await (const _ of client.deadLetters({ act: 'replay', rate: 100 }, new AbortController().signal)) break
  client.close()
  await expect
    .poll(async () => {
      const before = (await recordsOf('in', 0)).length
      await world.timers.sleep(300)
      return (await recordsOf('in', 0)).length - before
    })
    .toBe(0)
  const there = (await recordsOf('in', 0)).length
  expect(there).toBeLessThan(60)
  expect(doneOf(await asked(direct(), fast))).toBe(60 - there)
  expect((await recordsOf('in', 0)).map(({ value }) => Number(value))).toEqual(Array.from({ length: 60 }, (_, n) => n))
})

test('a name that the limit did not come to is not called missing', async () => {
  await lay({}, {}, {})
  expect(await asked(direct(), { ...fast, offsets: ['0:0', '0:2'], limit: 1 })).toEqual([{ done: 1 }])
  expect(await asked(direct(), { act: 'list', offsets: ['0:1', '0:2'], limit: 1 })).toHaveLength(1)
})

test('no pattern of the topology reads what is noted of dead letters', () => {
  const all = planOf(
    topology('all', (t) => {
      t.stream(/^(all|other)-.*/, { key: string(), value: string() }).to('out', { key: string(), value: string() })
    }),
    'all',
  )
  expect(['all-dead-letter', 'all-dead-letter-done', 'other-dead-letter-done'].map((name) => isMatchedInput(all, name))).toEqual([
    false,
    false,
    true,
  ])
})

test('of two at a time the later takes over; each letter is replayed once', async () => {
  await lay(...Array.from({ length: 40 }, (_, n) => ({ value: Buffer.from(String(n)) })))
  let second: Promise<Record<string, any>[]> | null = null
  const first = (async () => {
    for await (const _ of direct().deadLetters({ act: 'replay', rate: 100 }, new AbortController().signal)) second ??= asked(direct(), fast)
  })()
  await expect(first).rejects.toThrow(/^another dead-letter command of this application has taken over; run it again/)
  await second
  expect((await recordsOf('in', 0)).map(({ value }) => Number(value))).toEqual(Array.from({ length: 40 }, (_, n) => n))
})

test('an application that has not run, and whose letters nobody knows', async () => {
  const other = recordsControl({ log, plan: null, applicationId: 'other', world, createPartitions: null })
  await expect(asked(other, { act: 'list' })).rejects.toThrow('there is no topic other-dead-letter: the application other has not run here')
  expect(() =>
    recordsControl({ log, plan: null, world, createPartitions: null }).deadLetters({ act: 'list' }, new AbortController().signal),
  ).toThrow(/^whose dead letters\?/)
  await lay({ key: Buffer.from([0xff]) })
  const unknown = recordsControl({ log, plan: null, applicationId: 'shop', world, createPartitions: null })
  expect(await asked(unknown, { act: 'list' })).toMatchObject([{ key: '/w==', value: '1' }])
})

test('a topic that ends before what is done is told of', async () => {
  await lay({}, {}, {})
  await asked(direct(), fast)
  await log.deleteTopics([LETTERS])
  await log.createTopics([{ name: LETTERS, partitions: 3, kind: 'deadLetter' }])
  await expect(asked(direct(), fast)).rejects.toMatchObject({ code: 'STREAM_OFFSET_OUT_OF_RANGE' })
})

test('a question with a field that is not known, or not of its kind, is refused', () => {
  const whole = { act: 'replay', offsets: ['0:1'], key: 'a', topic: 't', since: 0, limit: 1, rate: 1, all: true }
  expect(isDeadLetterAsk(whole)).toBe(true)
  const wrong = { act: 'burn', offsets: ['1'], key: 1, topic: null, since: -1, limit: 0.5, rate: 0, all: 1, partition: 1 }
  for (const [name, value] of Object.entries(wrong)) expect(isDeadLetterAsk({ ...whole, [name]: value }), name).toBe(false)
})

/** Commits that fail before or after they have happened. */
function failing(on: Log, plans: ('well' | 'before' | 'after')[]): Log {
  const failed = (): Error => new Error('the power went')
  return Object.assign(Object.create(on) as Log, {
    topics: on.topics.bind(on),
    createTopics: on.createTopics.bind(on),
    offsets: on.offsets.bind(on),
    reader: on.reader.bind(on),
    writer: (...args: Parameters<Log['writer']>): Writer => {
      const writer = on.writer(...args)
      return {
        init: () => writer.init(),
        append: (...record) => writer.append(...record),
        get bufferedBytes() {
          return writer.bufferedBytes
        },
        drain: () => writer.drain(),
        seal: () => writer.seal(),
        flush: () => writer.flush(),
        async commit(...end) {
          const how = plans.shift() ?? 'well'
          if (how === 'before') throw failed()
          await writer.commit(...end)
          if (how === 'after') throw failed()
        },
        close: () => writer.close(),
      }
    },
  })
}

const step = fc.record({
  act: fc.constantFrom('replay', 'drop'),
  key: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined }),
  some: fc.option(fc.uniqueArray(fc.nat(11), { maxLength: 4 }), { nil: undefined }),
  limit: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  more: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }),
  rate: fc.constantFrom(9, 20, 1_000_000),
  commits: fc.array(fc.constantFrom('well', 'before', 'after'), { maxLength: 3 }),
})

test('whatever is replayed, dropped and cut off: each letter once, in order, and none beside those that were meant', async () => {
  const instant = { ...world, timers: { ...world.timers, sleep: async () => {} } }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      await log.close()
      log = memoryLog(world)
      await log.createTopics([
        { name: 'in', partitions: 1, kind: 'plain' },
        { name: LETTERS, partitions: 1, kind: 'deadLetter' },
      ])
      const letters: { readonly key: string; state: 'pending' | 'replay' | 'drop' }[] = []
      const replayed: number[] = []
      for (const { act, key, some, limit, more, rate, commits } of steps) {
        await lay(...more.map((of, i) => ({ key: Buffer.from(of), value: Buffer.from(String(letters.length + i)) })))
        letters.push(...more.map((of) => ({ key: of, state: 'pending' as const })))
        const plans = [...commits]
        const control = recordsControl({ log: failing(log, plans), plan, world: instant, createPartitions: null })
        const given = { key, limit, offsets: some?.map((at) => `0:${at}`), rate: act === 'replay' ? rate : undefined }
        const ask = { act, ...Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined)) } as DeadLetterAsk
        let fell = false
        await asked(control, ask).catch(() => {
          fell = true
        })
        // What a model does: batches as they are cut, up to the commit that failed.
        const meant = letters
          .flatMap((letter, at) =>
            letter.state === 'pending' && (key ?? letter.key) === letter.key && (some?.includes(at) ?? true) ? [at] : [],
          )
          .slice(0, limit)
        const size = act === 'drop' ? 1_000 : Math.min(1_000, Math.max(1, Math.floor(rate / 10)))
        const ends = [...commits]
        let expectedFall = false
        for (let at = 0; at < meant.length && !expectedFall; at += size) {
          const how = ends.shift() ?? 'well'
          if (how !== 'before')
            for (const index of meant.slice(at, at + size)) {
              ;(letters[index] as { state: string }).state = act
              if (act === 'replay') replayed.push(index)
            }
          expectedFall = how !== 'well'
        }
        expect(fell).toBe(expectedFall)
        expect((await asked(direct(), { act: 'list' })).map(({ offset }) => offset)).toEqual(
          letters.flatMap(({ state }, at) => (state === 'pending' ? [`0:${at}`] : [])),
        )
        expect((await recordsOf('in', 0)).map(({ value }) => Number(value))).toEqual(replayed)
      }
    }),
    { numRuns: 60 },
  )
}, 60_000)

test('a walk marks what it passes, and leaves what it does not come to', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(fc.constantFrom('done', 'open', 'gap'), { maxLength: 12 }), fc.nat(12)), { maxLength: 6 }),
      (walks) => {
        let done: Done = { before: 0, ranges: [] }
        const model = new Set<number>()
        const gaps = new Set<number>([3, 7])
        for (const [marks, until] of walks) {
          const way = walk(done)
          for (let offset = done.before; offset < until; offset++) {
            if (gaps.has(offset)) continue
            if (model.has(offset) || marks[offset] === 'done') {
              model.add(offset)
              way.done(offset)
            } else way.open(offset)
          }
          done = JSON.parse(String(encodeDone(way.now(), undefined)))
          for (let offset = 0; offset < 14; offset++)
            if (!gaps.has(offset)) expect(isDone(done, offset), `${offset}`).toBe(model.has(offset))
        }
      },
    ),
  )
  const far = { before: 0, ranges: Array.from({ length: 80_000 }, (_, n) => [n * 2 + 1, n * 2 + 2] as const) }
  expect(() => encodeDone(far, undefined)).toThrow(/^what is done lies in 80000 pieces, more than can be remembered/)
})

test('a letter whose key waits comes back by its own topic, or says there that it was dropped; without that topic it goes where it was read', async () => {
  const back = 'shop-in-blocked-letters-repartition'
  const returnsTo = back
  const long = Buffer.alloc(LIMITS.recordBytesMax - 100)
  const writer = log.writer({ transactionalId: 'in', guarantee: 'exactly_once' })
  await writer.init()
  writer.append('in', 1, 5, Buffer.from('k'), long, [])
  await finishEpoch(writer)
  await log.createTopics([{ name: back, partitions: 3, kind: 'repartition' }])
  await lay(
    { partition: 1, offset: 7, returnsTo, headers: [['own', Buffer.from('x')]] },
    { partition: 1, offset: 0, returnsTo, value: long },
    { partition: 1, offset: 9, returnsTo },
  )
  expect(await asked(direct(), { act: 'list', limit: 1 })).toMatchObject([{ offset: '1:0', blocksKey: true }])
  expect(await asked(direct(), { act: 'drop', offsets: ['1:2'] })).toEqual([{ done: 1 }])
  expect(await asked(direct(), fast)).toEqual([{ refused: '1:1', reason: expect.stringMatching(/too long to come back/) }, { done: 1 }])
  const [dropped, replayed] = (await recordsOf(back, 1)) as [LogRecord, LogRecord]
  expect([dropped.value, dropped.timestamp, readReturn(dropped.headers)]).toEqual([
    null,
    0,
    { topic: 'in', offset: 9, timestamp: 0, dropped: true },
  ])
  expect(readReturn(replayed.headers)).toEqual({ topic: 'in', offset: 7, timestamp: 5, dropped: false })
  expect([String(replayed.key), String(replayed.value), replayed.timestamp]).toEqual(['k', '1', 0])
  expect(replayed.headers.map(([name]) => name)).toEqual(['own', '__millrace.replay.of', '__millrace.return.of'])
  expect(await recordsOf('in', 1)).toHaveLength(1)
  await log.deleteTopics([back])
  expect(await asked(direct(), fast)).toEqual([{ done: 1 }])
  expect((await recordsOf('in', 1)).map(({ value }) => value?.length)).toEqual([long.length, long.length])
})
