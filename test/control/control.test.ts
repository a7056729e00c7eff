// The control socket and what stands behind it: two ends over a real socket, on an in-memory log.
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { systemWorld } from '../../src/base/system.ts'
import { connectControl } from '../../src/control/client.ts'
import type { ProcessFigures } from '../../src/control/figures.ts'
import type { Line } from '../../src/control/lines.ts'
import { recordsControl } from '../../src/control/records.ts'
import { type ControlServer, openControlServer } from '../../src/control/server.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import { int64, json, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { type Scratch, scratch } from '../cli/binary.ts'

const world = systemWorld()
const shop = topology('shop', (t) => {
  t.stream('in', { key: string(), value: json() }).to('out', { key: string(), value: json() })
  t.stream(/^events-.*$/, { key: int64(), value: string() })
    .groupByKey()
    .count({ store: 'counts' })
})
const plan = planOf(shop, 'shop')
const lines = (...texts: string[]): Line[] => texts.map((text, i) => ({ number: i + 1, bytes: Buffer.from(text) }))
const record = (key: string, value: unknown, more: object = {}): string =>
  JSON.stringify({ topic: 'in', key, value, timestamp: 5, ...more })

async function consumed(control: ControlHandler, topic: string): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const some of control.consume(topic, false, new AbortController().signal)) all.push(...some.map((line) => JSON.parse(line)))
  return all
}

let place: Scratch
let log: Log
let server: ControlServer | null

beforeEach(() => {
  place = scratch()
  log = memoryLog(world)
  server = null
})
afterEach(async () => {
  await server?.close()
  await log.close()
  place.remove()
})

const here = (): ControlHandler => recordsControl({ log, plan, world, createPartitions: 3 })
async function overSocket(handler: ControlHandler = here()): Promise<ControlHandler & { close(): void }> {
  server = await openControlServer(place.folder, handler)
  const client = await connectControl(place.folder)
  if (client === null) throw new Error('nobody listens')
  return client
}

for (const [how, open] of [
  ['directly', async () => ({ ...here(), close: () => {} })],
  ['over the socket', () => overSocket()],
] as const) {
  describe(`records ${how}`, () => {
    test('what is produced is consumed, with its partition by key', async () => {
      const control = await open()
      await control.produce(
        lines(record('a', { n: 1 }, { headers: { h: 'x' } }), '', record('a', null), record('b', 'text', { partition: 2 })),
      )
      const all = await consumed(control, 'in')
      expect(all).toHaveLength(3)
      expect(all.filter((one) => (one as { key: string }).key === 'a')).toEqual([
        { topic: 'in', key: 'a', value: { n: 1 }, timestamp: 5, headers: { h: 'x' } },
        { topic: 'in', key: 'a', value: null, timestamp: 5 },
      ])
      expect(await log.offsets([{ topic: 'in', partition: 2 }], 'latest')).not.toEqual([0])
      control.close()
    })
    test('lines before a refused one are durable', async () => {
      const control = await open()
      await expect(control.produce(lines(record('a', 1), record('b', 2), '{"topic":"in"}', record('c', 3)))).rejects.toThrow(
        /^line 3: "value" is missing/,
      )
      await expect(control.produce(lines(record('d', 4), record('e', 5, { partition: 3 })))).rejects.toThrow(
        'line 2: partition 3 is out of range: in has 3',
      )
      await expect(control.produce(lines(record('f', 6), '{"commit":true}'))).rejects.toThrow('line 2: the command "commit" is of try')
      await expect(control.produce(lines('{"topic":"nope","value":1}'))).rejects.toMatchObject({
        code: 'STREAM_USAGE',
        message: expect.stringContaining('it reads in, '),
      })
      expect((await consumed(control, 'in')).map((one) => (one as { key: string }).key).sort()).toEqual(['a', 'b', 'd', 'f'])
      control.close()
    })
    test('a pattern is a topic, its keys and values have its serdes', async () => {
      const control = await open()
      await control.produce(lines('{"topic":"events-1","key":"9223372036854775807","value":"x","timestamp":1}'))
      expect(await consumed(control, 'events-1')).toEqual([{ topic: 'events-1', key: '9223372036854775807', value: 'x', timestamp: 1 }])
      await expect(control.produce(lines('{"topic":"events-1","key":9007199254740993,"value":"x"}'))).rejects.toThrow(/line 1: .*rounded/)
      control.close()
    })
    test('many records in order', async () => {
      const control = await open()
      const many = Array.from({ length: 30_000 }, (_, i) => record('k', i))
      await control.produce(lines(...many))
      expect((await consumed(control, 'in')).map((one) => (one as { value: number }).value)).toEqual(many.map((_, i) => i))
      control.close()
    })
    test('no such topic, no such store', async () => {
      const control = await open()
      await control.produce(lines(record('a', 1)))
      await expect(consumed(control, 'im')).rejects.toThrow('there is no topic im (did you mean "in"?)')
      await expect(control.query('cuonts', '1')).rejects.toThrow('there is no store cuonts in shop (did you mean "counts"?)')
      control.close()
    })
    test('follow goes on until the signal', async () => {
      const control = await open()
      await control.produce(lines(record('a', 1)))
      const stop = new AbortController()
      const seen: unknown[] = []
      const following = (async () => {
        for await (const some of control.consume('in', true, stop.signal)) {
          seen.push(...some)
          if (seen.length === 1) await here().produce(lines(record('a', 2)))
          if (seen.length === 2) break
        }
      })()
      await following
      expect(seen).toHaveLength(2)
      stop.abort()
      control.close()
    })
  })
}

test('consume shows what was committed when it was called, whatever comes meanwhile', async () => {
  await here().produce(lines(record('a', 1), record('a', 2)))
  const growing: Log = new Proxy(log, {
    get(target, name) {
      if (name !== 'offsets') return Reflect.get(target, name).bind(target)
      return async (...asked: Parameters<Log['offsets']>) => {
        const offsets = await target.offsets(...asked)
        await here().produce(lines(record('a', 'later')))
        return offsets
      }
    },
  })
  const control = recordsControl({ log: growing, plan, world, createPartitions: null })
  const first = (await consumed(control, 'in')).map((one) => (one as { value: unknown }).value)
  expect(first).toEqual([1, 2, 'later']) // the one before the ends were asked
  expect(await consumed(here(), 'in')).toHaveLength(4)
})

describe('query', () => {
  test('from the changelog: the last write, a delete, none', async () => {
    const changelog = plan.internalTopics.find((topic) => topic.store === 'counts')?.name as string
    await log.createTopics([{ name: changelog, partitions: 2, kind: 'changelog' }])
    const writer = log.writer({ transactionalId: 'w', guarantee: 'exactly_once' })
    await writer.init()
    const key = (n: number): Buffer => Buffer.from(int64().encode(n))
    const { partitionOf } = await import('../../src/base/murmur2.ts')
    const store = plan.subTopologies.flatMap((sub) => sub.stores).find((one) => one.name === 'counts')
    const put = (k: number, value: number | null): void =>
      writer.append(
        changelog,
        partitionOf(key(k), 2),
        1,
        key(k),
        value === null ? null : Buffer.from(store?.value.encode(value) as Uint8Array),
        [],
      )
    put(1, 10)
    put(2, 20)
    put(1, 11)
    put(2, null)
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'g', [])
    expect(await here().query('counts', '1')).toEqual({ value: 11 })
    expect(await here().query('counts', '2')).toBeNull()
    expect(await here().query('counts', '3')).toBeNull()
    await expect(here().query('counts', 'one')).rejects.toThrow(/the key is refused: int64\(\)/)
    const failing = (code: 'STREAM_NOT_LOCAL' | 'STREAM_CLOSED') =>
      recordsControl({
        log,
        plan,
        world,
        createPartitions: null,
        row: () => {
          throw new MillraceError(code, 'not here')
        },
      })
    expect(await failing('STREAM_NOT_LOCAL').query('counts', '1')).toEqual({ value: 11 }) // its task runs elsewhere
    await expect(failing('STREAM_CLOSED').query('counts', '1')).rejects.toThrow('not here')
  })
  test('from a running store, over the socket', async () => {
    const client = await overSocket(
      recordsControl({ log, plan, world, createPartitions: null, row: (store, key) => (key === 7 ? `${store} of 7` : null) }),
    )
    expect(await client.query('counts', '7')).toEqual({ value: 'counts of 7' })
    expect(await client.query('counts', '8')).toBeNull()
    client.close()
  })
  test('of a serde that gives bigints comes over the socket as its digits', async () => {
    const client = await overSocket({ ...here(), query: async () => ({ value: { cents: 2n ** 63n } }) })
    expect(await client.query('counts', '7')).toEqual({ value: { cents: '9223372036854775808' } })
    client.close()
  })
})

const figures: ProcessFigures = {
  applicationId: 'shop',
  ready: true,
  epochs: 3,
  commitMs: 1.5,
  rewinds: 0,
  rebalances: 1,
  restoring: null,
  standbys: 0,
  tasks: [{ id: '0_1', records: 7, out: 2, lag: 1, deadLetters: 0, stores: ['counts'] }],
}

describe('figures', () => {
  test('of the process that runs, as it tells them; without one they are refused', async () => {
    const client = await overSocket(recordsControl({ log, plan, world, createPartitions: 3, figures: () => figures }))
    expect(await client.figures()).toEqual(figures)
    client.close()
    await expect(here().figures()).rejects.toThrow(/no process runs here/)
  })
})

describe('the socket', () => {
  const silent: ControlHandler = {
    produce: async () => {},
    async *consume() {},
    query: async () => null,
    async *rows() {},
    async *deadLetters() {},
    figures: async () => figures,
  }

  test('is private, and gone at the end', async () => {
    server = await openControlServer(place.folder, silent)
    expect(statSync(join(place.folder, 'control.sock')).mode & 0o777).toBe(0o600)
    await server.close()
    server = null
    expect(existsSync(join(place.folder, 'control.sock'))).toBe(false)
    expect(await connectControl(place.folder)).toBeNull()
  })
  test('a file that nobody listens to is replaced, a live one is not', async () => {
    writeFileSync(join(place.folder, 'control.sock'), '')
    expect(await connectControl(place.folder)).toBeNull()
    server = await openControlServer(place.folder, silent)
    await expect(openControlServer(place.folder, silent)).rejects.toMatchObject({ code: 'STREAM_STATE_LOCKED' })
    const client = await connectControl(place.folder)
    expect(await client?.query('a', 'b')).toBeNull()
    client?.close()
  })
  test('in a folder whose path is longer than a socket may have', async () => {
    const deep = join(place.folder, 'x'.repeat(100), 'y'.repeat(100))
    mkdirSync(deep, { recursive: true })
    const long = await openControlServer(deep, silent)
    expect(statSync(join(deep, 'control.sock')).isSocket()).toBe(true)
    const client = await connectControl(deep)
    expect(await client?.query('a', 'b')).toBeNull()
    client?.close()
    await long.close()
    expect(existsSync(join(deep, 'control.sock'))).toBe(false)
  })
  test('answers nonsense with an error, and goes on', async () => {
    server = await openControlServer(place.folder, silent)
    const socket = connect(join(place.folder, 'control.sock'))
    const answers: string[] = []
    socket.on('data', (chunk: Buffer) => answers.push(chunk.toString()))
    socket.write('nonsense\n{"op":"drop"}\n[1]\n{"op":"produce","lines":[1]}\n{"op":"query","store":"s","key":"k"}\n')
    await expect.poll(() => answers.join('').split('\n').length).toBe(6)
    const parsed = answers
      .join('')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(parsed.slice(0, 4).map((answer) => answer.error.code)).toEqual(Array(4).fill('STREAM_USAGE'))
    expect(parsed[4]).toEqual({ ok: true })
    socket.destroy()
  })
  test('a client that leaves ends its consume', async () => {
    let ended = false
    const endless: ControlHandler = {
      ...silent,
      async *consume(_topic, _follow, signal) {
        yield ['first']
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        ended = true
      },
    }
    const client = await overSocket(endless)
    for await (const some of client.consume('t', true, new AbortController().signal)) {
      expect(some).toEqual(['first'])
      break
    }
    client.close()
    await expect.poll(() => ended).toBe(true)
  })
  test('an owner that goes away is told', async () => {
    const gone = createServer((socket) => socket.once('data', () => socket.destroy())).listen(join(place.folder, 'control.sock'))
    await new Promise((resolve) => gone.once('listening', resolve))
    const client = await connectControl(place.folder)
    await expect(client?.query('a', 'b')).rejects.toMatchObject({ code: 'STREAM_CLOSED' })
    await new Promise((resolve) => gone.close(resolve))
  })
})
