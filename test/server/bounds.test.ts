// What nobody who asks can heap up: questions that wait, ranges at work, replays in line, connections of every address.
import dns from 'node:dns'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { silent } from '../../src/base/ports.ts'
import { Secret } from '../../src/base/secret.ts'
import { systemWorld } from '../../src/base/system.ts'
import { recordsControl } from '../../src/control/records.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { openFrontApart } from '../../src/server/apart.ts'
import { type Answer, type Answering, type Ask, answered } from '../../src/server/asks.ts'
import { openFront, type FrontOptions } from '../../src/server/front.ts'
import { lettersOf } from '../../src/server/letters.ts'
import { openListener } from '../../src/server/listener.ts'
import { routesOf } from '../../src/server/routes.ts'
import type { Served } from '../../src/server/served.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { layLetters } from '../control/letters.ts'
import { ask as askOnce, shop } from './serving.ts'

const world = systemWorld(silent)
const HAS_IPV6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'))
const OPTIONS = { port: 0, host: '127.0.0.1', token: null, advertise: null, self: null, world, answered: () => {} }
const asked = (more: Partial<Ask>): Ask => ({
  name: 'row',
  store: 'items',
  key: 'a',
  query: {},
  forwarded: false,
  body: undefined,
  ...more,
})
const codeOf = (run: () => unknown): Promise<string> =>
  (async () => run())().then(
    () => 'answered',
    (error: { readonly code: string }) => error.code,
  )
afterEach(() => vi.restoreAllMocks())

/** `count` questions on one connection; the statuses that have come back. */
function pipeline(port: number, path: string, count: number, host = '127.0.0.1') {
  const socket = connect({ port, host }).on('error', () => {})
  const seen = { statuses: [] as number[], closed: false, end: () => socket.destroy() }
  let rest = '' // a status line may come in two parts
  socket.on('data', (part: Buffer) => {
    const text = rest + part.toString('latin1')
    let end = 0
    for (const found of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
      seen.statuses.push(Number(found[1]))
      end = found.index + found[0].length
    }
    rest = text.slice(Math.max(end, text.length - 16))
  })
  socket.on('close', () => {
    seen.closed = true
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(count))
  return seen
}

/** With and without the router. */
const WAYS = ['broken', 'now', 'broke%6e', 'no%77']

describe.each([
  ['in the thread of the processor', openFront],
  ['in a thread of its own', (options: FrontOptions) => openFrontApart(options, () => {})],
])('a front %s', (_, open) => {
  test('lets so many questions wait, and no more; whoever asks how it is is answered all the same', { timeout: 30_000 }, async () => {
    const hung: ((answer: Answer) => void)[] = []
    const desk: Answering = ({ name, key }) => {
      if (name !== 'row') return answered(name)
      if (key === 'broken') throw new TypeError('of ours')
      return key === 'now' ? answered('') : new Promise((resolve) => hung.push(resolve))
    }
    const front = await open({ ...OPTIONS, ask: desk })
    const { port } = front
    // Who was answered, with whatever, does not wait.
    for (let i = 0; i < 44; i++) {
      const past = pipeline(port, `/stores/items/${WAYS[i % 4]}`, 100)
      await expect.poll(() => past.statuses.length, { timeout: 10_000 }).toBe(100)
      past.end()
    }
    const sockets: ReturnType<typeof pipeline>[] = []
    const waiting = LIMITS.asksWaitingMax / 100
    for (let i = 0; i < waiting; i++) {
      sockets.push(pipeline(port, `/stores/items/${i % 2 === 0 ? 'slow' : 'slo%77'}`, 100))
      await expect.poll(() => hung.length, { timeout: 10_000 }).toBe((i + 1) * 100)
    }
    const more = ['slow', 'slo%77'].map((key) => pipeline(port, `/stores/items/${key}`, 5))
    await expect.poll(() => more.flatMap(({ statuses }) => statuses), { timeout: 5_000 }).toEqual(Array(10).fill(503))
    expect(hung.length).toBe(LIMITS.asksWaitingMax)
    for (const path of ['/health', '/health/ready', '/metrics']) expect((await askOnce(port, path)).status, path).toBe(200)
    expect((await askOnce(port, '/stores')).status).toBe(503)
    for (const resolve of hung) resolve(answered(''))
    await expect.poll(() => sockets.every(({ statuses }) => statuses.length === 100), { timeout: 10_000 }).toBe(true)
    expect(sockets.flatMap(({ statuses }) => statuses).every((status) => status === 200)).toBe(true)
    expect((await askOnce(port, '/stores/items/now')).status).toBe(200)
    for (const socket of [...more, ...sockets]) socket.end()
    await front.close()
  })
})

test('of those who ask how it is so many wait', { timeout: 30_000 }, async () => {
  let came = 0
  const front = await openFront({ ...OPTIONS, ask: () => new Promise(() => came++) })
  const sockets = Array.from({ length: LIMITS.probesWaitingMax / 50 + 1 }, () => pipeline(front.port, '/health', 50))
  await expect.poll(() => sockets.flatMap(({ statuses }) => statuses).length, { timeout: 5_000 }).toBe(0)
  await expect.poll(() => came, { timeout: 5_000 }).toBe(LIMITS.probesWaitingMax)
  expect((await askOnce(front.port, '/health')).status).toBe(503)
  for (const socket of sockets) socket.end()
  await front.close()
})

describe('ranges', () => {
  const plan = planOf(shop, 'shop')
  /** Three tasks of each store, whose scans wait. */
  function slow() {
    const state = { open: 0, most: 0, begun: 0, release: Promise.withResolvers<void>() }
    const store = {
      async *scan() {
        state.begun++
        state.most = Math.max(state.most, ++state.open)
        await state.release.promise
        state.open--
        yield* []
      },
    }
    const stores = ['items', 'counts', 'windowed'].map((name) => ({ name, overlay: { store } }))
    const ids = plan.subTopologies.flatMap(({ id }) => [0, 1, 2].map((partition) => `${id}_${partition}`))
    const served = {
      plan,
      world,
      ready: () => true,
      sized: () => ({ tasks: plan.subTopologies.map(() => 3) }),
      tasks: () => new Map(ids.map((id) => [id, { id, stores }])),
      applying: () => false,
      globalStore: () => undefined,
      figures: () => ({ restores: [], standbys: [] }),
    } as unknown as Served
    return { state, routes: routesOf({ served, stores: null, metrics: async () => ({ type: '', text: '' }) }) }
  }
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await world.timers.turn()
  }

  test('so many hold rows and iterators at once; the others are answered behind them', async () => {
    const { state, routes } = slow()
    const answers = Array.from({ length: 100 }, (_, i) => routes.rows(asked({ name: 'rows', forwarded: i % 2 === 0 }), null))
    await turns()
    // Tasks are begun one after the other.
    expect(state.begun).toBe(LIMITS.rangesAtOnce)
    state.release.resolve()
    expect((await Promise.all(answers)).every((answer) => 'text' in answer)).toBe(true)
    expect(state).toMatchObject({ begun: 300, open: 0 })
    expect(state.most).toBeLessThanOrEqual(LIMITS.rangesAtOnce)
  })
  test('whoever has left in line does not get a turn; nor is the line longer for those that fail', async () => {
    const { state, routes } = slow()
    const gone = new AbortController()
    const answers = Array.from({ length: 40 }, (_, i) => routes.rows(asked({ name: 'rows' }), i < 20 ? null : gone.signal))
    await turns()
    gone.abort()
    state.release.resolve()
    const settled = await Promise.allSettled(answers)
    expect(settled.filter(({ status }) => status === 'fulfilled').length).toBe(20)
    expect(state.begun).toBe(60)
    for (const { status } of await Promise.allSettled(Array.from({ length: 20 }, () => routes.rows(asked({ name: 'rows' }), gone.signal))))
      expect(status).toBe('rejected')
    expect('text' in (await routes.rows(asked({ name: 'rows' }), null))).toBe(true)
  })
  test('the rows of other processes are held by so many questions at once', { timeout: 30_000 }, async () => {
    let came = 0
    let most = 0
    let held = 0
    const release = Promise.withResolvers<void>()
    const ask: Answering = async ({ body }) => {
      came++
      if (body === undefined) return { owners: [] }
      most = Math.max(most, ++held)
      await release.promise
      held--
      return answered('{}')
    }
    const front = await openFront({ ...OPTIONS, ask })
    const socket = pipeline(front.port, '/stores/items', 50)
    await expect.poll(() => came, { timeout: 5_000 }).toBe(50 + LIMITS.rangesAtOnce)
    release.resolve()
    await expect.poll(() => socket.statuses.length, { timeout: 5_000 }).toBe(50)
    expect({ most, came }).toEqual({ most: LIMITS.rangesAtOnce, came: 100 })
    socket.end()
    await front.close()
  })
})

describe('what settles dead letters', () => {
  const act = (name: 'replay' | 'drop'): Ask => asked({ name, body: { offsets: ['0:0'] } })

  test('so many wait in line for the one under way', async () => {
    const release = Promise.withResolvers<void>()
    let begun = 0
    const { replay, drop } = lettersOf({
      bare: false,
      letters: () =>
        async function* () {
          begun++
          await release.promise
          yield ['{"done":1}']
        },
    })
    const waiting = Array.from({ length: LIMITS.actsWaitingMax + 1 }, (_, i) =>
      i % 2 === 0 ? replay(act('replay'), null) : drop(act('drop'), null),
    )
    expect(await Promise.all([codeOf(() => replay(act('replay'), null)), codeOf(() => drop(act('drop'), null))])).toEqual(
      Array(2).fill('NOT_READY'),
    )
    expect(begun).toBe(1)
    release.resolve()
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ status: 200 })
    expect(await replay(act('replay'), null)).toMatchObject({ status: 200 })
  })
  test('one that another process takes over from is 409, by a code of its own', { timeout: 30_000 }, async () => {
    const log = memoryLog(world)
    await log.createTopics([
      { name: 'items', partitions: 3, kind: 'plain' },
      { name: 'shop-dead-letter', partitions: 3, kind: 'deadLetter' },
    ])
    await layLetters(log, 'shop-dead-letter', [{ topic: 'items' }])
    const other = log.writer({ transactionalId: 'shop-dead-letter-replay', guarantee: 'exactly_once' })
    let isOther = true
    const fenced = new Proxy(log, {
      get(of: Log, name: keyof Log) {
        if (name !== 'writer') return (of[name] as (...of: never) => unknown).bind(of)
        return (...options: Parameters<Log['writer']>): Writer => {
          const writer = of.writer(...options)
          const flush = writer.flush.bind(writer)
          writer.flush = async () => {
            if (isOther) await other.init()
            return await flush()
          }
          return writer
        }
      },
    })
    const { deadLetters } = recordsControl({ log: fenced, plan: planOf(shop, 'shop'), world, createPartitions: null })
    const letters = lettersOf({ bare: false, letters: () => deadLetters })
    const token = 'a-token-for-tests'
    const ask: Answering = (question, gone) => letters[question.name as 'replay'](question, gone)
    for (const open of [openFront, (options: FrontOptions) => openFrontApart(options, () => {})]) {
      const front = await open({ ...OPTIONS, token: new Secret(token), ask })
      const body = '{"offsets":["0:0"]}'
      const headers = [`Authorization: Bearer ${token}`, 'Content-Type: application/json', `Content-Length: ${body.length}`]
      expect(await askOnce(front.port, '/dead-letters/replay', { method: 'POST', headers, body })).toMatchObject({
        status: 409,
        body: '{"code":"FENCED"}',
      })
      await front.close()
    }
    isOther = false
    expect(await letters.replay(act('replay'), null)).toMatchObject({ text: '{"done":1,"refused":[],"absent":[]}' })
    await log.close()
  })
})

describe('localhost', () => {
  /** A machine whose hosts file says so. */
  const named = (...addresses: readonly string[]): void => {
    const lookup = dns.lookup.bind(dns) as (...args: unknown[]) => unknown
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: readonly unknown[]) => {
      const done = rest.at(-1) as (...found: readonly unknown[]) => void
      const isAll = (rest[0] as { readonly all?: boolean }).all === true
      if (name !== 'localhost') lookup(name, ...rest)
      else queueMicrotask(() => (isAll ? done(null, all) : done(null, all[0]?.address, all[0]?.family)))
    }) as never)
  }
  const open = () =>
    openListener({
      port: 0,
      host: 'localhost',
      world,
      guard: () => {},
      answered: () => {},
      routes: (app) => app.get('/', (_request, reply) => reply.send('')),
    })

  if (!HAS_IPV6) console.log('SKIPPED: two tests of a name with two addresses: this machine has no ::1')
  test.skipIf(!HAS_IPV6)('has the bounds of connections at both of its addresses, of all together', { timeout: 30_000 }, async () => {
    named('127.0.0.1', '::1')
    const listener = await open()
    let closed = 0
    const sockets = []
    for (let i = 0; i < LIMITS.connectionsMax + 44; i++) {
      const socket = connect({ port: listener.port, host: i % 2 === 0 ? '127.0.0.1' : '::1' })
      socket.on('error', () => {})
      socket.on('close', () => closed++)
      await new Promise((resolve) => socket.once('connect', resolve))
      sockets.push(socket)
    }
    await expect.poll(() => closed, { timeout: 10_000 }).toBe(44)
    for (const socket of sockets) socket.destroy()
    await listener.close()
  })
  test.skipIf(!HAS_IPV6)('has the bounds of a connection at both of its addresses, and closes both', { timeout: 30_000 }, async () => {
    named('127.0.0.1', '::1')
    const listener = await open()
    for (const host of ['127.0.0.1', '::1']) {
      const many = pipeline(listener.port, '/', LIMITS.requestsPerSocketMax + 100, host)
      await expect.poll(() => many.closed, { timeout: 12_000 }).toBe(true)
      expect(many.statuses.filter((status) => status === 200).length).toBe(LIMITS.requestsPerSocketMax)
    }
    // One that is in use goes with it.
    const idle = pipeline(listener.port, '/', 1, '::1')
    await expect.poll(() => idle.statuses, { timeout: 5_000 }).toEqual([200])
    const headers = connect({ port: listener.port, host: '::1' }).on('error', () => {})
    const begun = performance.now()
    const tookMs = new Promise<number>((resolve) => headers.on('close', () => resolve(performance.now() - begun)))
    headers.resume().write('GET / HTTP/1.1\r\n')
    expect(await tookMs).toBeGreaterThan(LIMITS.headersTimeoutMs - 500)
    expect(await tookMs).toBeLessThan(LIMITS.headersTimeoutMs + 8_000)
    await listener.close()
    await expect.poll(() => idle.closed, { timeout: 5_000 }).toBe(true)
    const refused = await new Promise((resolve) => connect({ port: listener.port, host: '::1' }).on('error', resolve))
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' })
  })
  test('a machine without IPv6 has one of them', async () => {
    named('127.0.0.1', '2001:db8::1')
    const listener = await open()
    const one = pipeline(listener.port, '/', 1)
    await expect.poll(() => one.statuses, { timeout: 5_000 }).toEqual([200])
    one.end()
    await listener.close()
  })
})
