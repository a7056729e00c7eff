// A query of a key that another instance has: answered by that one, over real sockets; what could go round, be forged or give the token
// away is refused.
import { createHmac } from 'node:crypto'
import { createServer, type Server as HttpServerOfNode } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { hostname } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import type { Peer } from '../../src/assignment/peers.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { Secret } from '../../src/base/secret.ts'
import { systemWorld } from '../../src/base/system.ts'
import { type QueryableStore, queryableStore, taskPartition } from '../../src/runtime/query.ts'
import type { Metrics } from '../../src/server/metrics.ts'
import type { Served } from '../../src/server/served.ts'
import { openHttpServer } from '../../src/server/server.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { sizePlan } from '../../src/topology/sizing.ts'
import { ask, shop } from './serving.ts'

const TOKEN = 'shared-0123456789-0123456789-0123456789'
const world = systemWorld()
const plan = planOf(shop, 'shop')
const counts = queryableStore(plan, 'counts') as QueryableStore
const items = queryableStore(plan, 'items') as QueryableStore
const topics = new Map([
  ['items', 2],
  ['numbers', 2],
])
const metrics = { render: async () => ({ type: 'text/plain', text: '' }), epoch() {}, answered() {}, close() {} } as unknown as Metrics
const open: { close(): unknown }[] = []
const { forwardWaitMs } = LIMITS
afterEach(async () => {
  Object.assign(LIMITS, { forwardWaitMs })
  for (const one of open.splice(0)) await one.close()
})

interface Instance {
  readonly port: number
  readonly peer: Peer
  know(...peers: Peer[]): void
}

/** Has partition `partition` of the stores, with a row for each of the keys 0 to 19 that belongs there. */
async function instance(self: string, partition: number, token: string | null = TOKEN): Promise<Instance> {
  const provider = memoryProvider()
  const tasks = new Map<string, unknown>()
  for (const { name, subTopology, spec } of [counts, items]) {
    const task = `${subTopology}_${partition}`
    const { store } = await provider.open(task, name, true)
    const keys = Array.from({ length: 20 }, (_, n) => (name === 'counts' ? BigInt(n) : `k${n}`))
    const writes = keys
      .filter((key) => taskPartition(name === 'counts' ? counts : items, key, 2) === partition)
      .map((key) => ({
        key: Buffer.from(spec.key.encode(key)),
        value: Buffer.from(spec.value.encode(`${self} ${key}` as never)),
        timestamp: 0,
      }))
    await store.apply(writes, { changelogOffset: 1 })
    tasks.set(task, { stores: [{ name, overlay: { store } }] })
  }
  let peers: Peer[] = []
  const sized = sizePlan(plan, topics)
  const served = {
    plan,
    world,
    ready: () => true,
    sized: () => sized,
    tasks: () => tasks,
    applying: () => false,
    globalStore: () => undefined,
    figures: () => ({ epochs: 0, rewinds: 0, fenced: 0, rebalances: 0, restored: 0, restores: [], standbys: [] }),
    others: { self, peers: () => peers },
  } as unknown as Served
  const secret = token === null ? null : new Secret(token)
  const server = await openHttpServer(
    { port: 0, host: '127.0.0.1', token: secret, advertise: null, stores: null },
    { served, metrics, letters: () => null, onFatal: null },
  )
  open.push(server)
  return {
    port: server.port,
    peer: { host: self, ...server.place, tasks: [`${counts.subTopology}_${partition}`, `${items.subTopology}_${partition}`] },
    know: (...known) => {
      peers = known
    },
  }
}

const bearer = { headers: [`Authorization: Bearer ${TOKEN}`] }
const get = async (port: number, path: string): Promise<{ status: number; body: string }> => {
  const { status, body } = await ask(port, path, bearer)
  return { status, body }
}
/** A key of the store counts that lies in the partition. */
const keyIn = (partition: number): number =>
  Array.from({ length: 20 }, (_, n) => n).find((n) => taskPartition(counts, BigInt(n), 2) === partition) as number
const unreachable = { status: 502, body: '{"code":"OWNER_UNREACHABLE"}' }

async function pair(): Promise<readonly [Instance, Instance]> {
  const [a, b] = [await instance('a', 0), await instance('b', 1)]
  a.know(a.peer, b.peer)
  b.know(a.peer, b.peer)
  return [a, b]
}

describe('a key of another instance', () => {
  test('either instance answers every key alike, as its owner does', async () => {
    const [a, b] = await pair()
    for (let n = 0; n < 20; n++) {
      const owner = taskPartition(counts, BigInt(n), 2) === 0 ? 'a' : 'b'
      const wanted = { status: 200, body: `{"key":${n},"value":"${owner} ${n}"}` }
      expect(await get(a.port, `/stores/counts/${n}`)).toEqual(wanted)
      expect(await get(b.port, `/stores/counts/${n}`)).toEqual(wanted)
    }
  })
  test('what the owner refuses is refused as it says: no row, a key the store has no versions of', async () => {
    const [a] = await pair()
    const far = Array.from({ length: 99 }, (_, n) => n + 100).find((n) => taskPartition(counts, BigInt(n), 2) === 1)
    expect(await get(a.port, `/stores/counts/${far}`)).toEqual({ status: 404, body: '{"code":"NOT_FOUND"}' })
    expect(await get(a.port, `/versions/counts/${far}`)).toEqual({ status: 404, body: '{"code":"NOT_FOUND"}' })
    expect(await get(a.port, `/stores/counts/${far}?limit=1`)).toEqual({ status: 400, body: '{"code":"BAD_REQUEST"}' })
  })
  test('HEAD, and keys with anything in them', async () => {
    const [a] = await pair()
    const far = keyIn(1)
    const head = await ask(a.port, `/stores/counts/${far}`, { ...bearer, method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, body: '' })
    const odd = ['a/b', 'ä?x=1', '%'].find((key) => taskPartition(items, key, 2) === 1) as string
    expect(await get(a.port, `/stores/items/${encodeURIComponent(odd)}`)).toEqual({ status: 404, body: '{"code":"NOT_FOUND"}' })
  })
  test('several at once, and more of them than one connection may ask in a second', { timeout: 20_000 }, async () => {
    const [a] = await pair()
    const path = `/stores/counts/${keyIn(1)}`
    const answers = await Promise.all(Array.from({ length: 300 }, () => get(a.port, path)))
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  })
  test('without a token on loopback, too', async () => {
    const [a, b] = [await instance('a', 0, null), await instance('b', 1, null)]
    a.know(a.peer, b.peer)
    expect(await get(a.port, `/stores/counts/${keyIn(1)}`)).toMatchObject({ status: 200 })
  })
})

describe('a range of several instances', () => {
  const keysOf = (body: string): readonly unknown[] =>
    (JSON.parse(body) as { entries: readonly { key: unknown }[] }).entries.map(({ key }) => key)
  test('either answers all rows in the order of their keys, with each one of its owner', async () => {
    const [a, b] = await pair()
    const rows = Array.from(
      { length: 20 },
      (_, n) => `{"key":${n},"value":"${taskPartition(counts, BigInt(n), 2) === 0 ? 'a' : 'b'} ${n}"}`,
    )
    for (const { port } of [a, b]) {
      expect(await get(port, '/stores/counts')).toEqual({ status: 200, body: `{"entries":[${rows.join(',')}]}` })
      expect(keysOf((await get(port, '/stores/counts?from=5&to=8')).body)).toEqual([5, 6, 7, 8])
      expect(keysOf((await get(port, '/stores/counts?prefix=%01')).body)).toEqual([])
    }
  })
  test('page by page', async () => {
    const [a] = await pair()
    const found: unknown[] = []
    for (let from: string | undefined = ''; from !== undefined; ) {
      const { body } = await get(a.port, `/stores/counts?limit=3&from=${from}`)
      expect(keysOf(body).length).toBeLessThanOrEqual(3)
      found.push(...keysOf(body))
      from = (JSON.parse(body) as { next?: string }).next
    }
    expect(found).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })
  test('is whole or refused: nobody has a partition, two have it, its owner does not answer or is not asked by one of us', async () => {
    const path = '/stores/counts'
    const refused = { status: 503, body: '{"code":"NOT_READY"}' }
    const [a, b, twin] = [await instance('a', 0), await instance('b', 1), await instance('twin', 0)]
    const known = async (...peers: Peer[]): Promise<unknown> => {
      a.know(...peers)
      return await get(a.port, path)
    }
    expect(await known()).toEqual(refused)
    expect(await known(a.peer)).toEqual(refused)
    expect(await known({ ...twin.peer, tasks: b.peer.tasks })).toEqual(refused)
    expect(await known({ ...b.peer, address: '127.0.0.1:1' })).toEqual(unreachable)
    expect(await known(b.peer)).toMatchObject({ status: 200 })
    // A bad query is refused before anybody is asked.
    expect(await get(a.port, `${path}?from=x`)).toEqual({ status: 400, body: '{"code":"BAD_REQUEST"}' })
  })
  test('what asks each other does not go round; a part is of what its process has itself', async () => {
    const [a, b] = [await instance('a', 0), await instance('b', 0)]
    const tasks = [`${counts.subTopology}_1`]
    a.know({ ...b.peer, tasks })
    b.know({ ...a.peer, tasks })
    expect(await get(a.port, '/stores/counts')).toEqual({ status: 503, body: '{"code":"NOT_READY"}' })
  })
})

describe('refused', () => {
  test('a request that was passed on is not passed on again', async () => {
    const [a, b] = [await instance('a', 0), await instance('b', 0)]
    // Neither has it, and each believes that the other does.
    const tasks = [`${counts.subTopology}_1`]
    a.know({ ...b.peer, tasks })
    b.know({ ...a.peer, tasks })
    const refused = { status: 503, body: '{"code":"NOT_READY"}' }
    expect(await get(a.port, `/stores/counts/${keyIn(1)}`)).toEqual(refused)
    expect(await get(b.port, `/stores/counts/${keyIn(1)}`)).toEqual(refused)
  })
  test('an owner that is not there, is another process, has another token, or is no instance', async () => {
    const path = `/stores/counts/${keyIn(1)}`
    const a = await instance('a', 0)
    const b = await instance('b', 1)
    const stranger = await instance('b', 1, 'another-0123456789-0123456789-01234567')
    const web: HttpServerOfNode = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"key":1,"value":"forged"}')
    })
    await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve))
    open.push({ close: () => void web.close() })
    const wrong: readonly Peer[] = [
      { ...b.peer, address: '127.0.0.1:1' },
      { ...b.peer, host: 'b-of-yesterday' },
      stranger.peer,
      { ...b.peer, address: `127.0.0.1:${(web.address() as AddressInfo).port}` },
      { ...b.peer, machine: `not-${hostname()}` },
    ]
    for (const peer of wrong) {
      a.know(peer)
      expect(await get(a.port, path), JSON.stringify(peer)).toEqual(unreachable)
    }
    a.know(b.peer)
    expect(await get(a.port, path)).toMatchObject({ status: 200 })
  })
  test('one that never answers is given up in time; the token is nowhere in what it was sent', { timeout: 20_000 }, async () => {
    let heard = ''
    const mute = createTcpServer((socket) => {
      socket.on('data', (bytes) => {
        heard += bytes.toString('latin1')
      })
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => void mute.listen(0, '127.0.0.1', resolve))
    open.push({ close: () => void mute.close() })
    Object.assign(LIMITS, { forwardWaitMs: 500 })
    const [a, b] = await pair()
    a.know({ ...b.peer, address: `127.0.0.1:${(mute.address() as AddressInfo).port}` })
    const begun = performance.now()
    expect(await get(a.port, `/stores/counts/${keyIn(1)}`)).toEqual(unreachable)
    expect(performance.now() - begun).toBeLessThan(forwardWaitMs)
    expect(heard).toMatch(/^GET \/stores\/counts\/\d+ HTTP\/1\.1\r\n/)
    expect(heard.toLowerCase()).toContain('millrace-forwarded')
    expect(heard).not.toContain(TOKEN)
    expect(heard.toLowerCase()).not.toContain('authorization')
  })
  test('a proof that is forged, old, of another path or another process opens nothing', async () => {
    const [, b] = await pair()
    const path = `/stores/counts/${keyIn(1)}`
    const proof = (host: string, stamp: number, of: string, token = TOKEN): string =>
      `${stamp}.${createHmac('sha256', token)
        .update(['ask', host, String(stamp), of].join('\n'))
        .digest('hex')}`
    const now = Date.now()
    const say = async (header: string, more: readonly string[] = []): Promise<number> =>
      (await ask(b.port, path, { headers: [`millrace-forwarded: ${header}`, ...more] })).status
    expect(await say(proof('b', now, path))).toBe(200)
    expect(await say(proof('b', now - 301_000, path))).toBe(401)
    expect(await say(proof('b', now + 400_000, path))).toBe(401)
    expect(await say(proof('b', now, '/stores'))).toBe(401)
    expect(await say(proof('a', now, path))).toBe(401)
    expect(await say(proof('b', now, path, 'x'.repeat(40)))).toBe(401)
    for (const odd of ['', '1', `${now}.`, `${now}.${'0'.repeat(64)}`, `${proof('b', now, path)}x`]) expect(await say(odd), odd).toBe(401)
    // Also beside a good token: who says that it was passed on must prove it.
    expect(await say('1', bearer.headers)).toBe(401)
  })
})
