// A row's two ways, with and without the router: what goes over the wire is the same, whoever asks and whatever comes of it.
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Logger } from '../../src/base/ports.ts'
import { Secret } from '../../src/base/secret.ts'
import { systemWorld } from '../../src/base/system.ts'
import { openFrontApart } from '../../src/server/apart.ts'
import { type Answering, type Ask, answered } from '../../src/server/asks.ts'
import { openFront, type FrontOptions } from '../../src/server/front.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { laneOf } from '../../src/server/lane.ts'
import type { Listener } from '../../src/server/listener.ts'
import { Refusal } from '../../src/server/refusal.ts'
import { exchange } from './serving.ts'

const TOKEN = 'a-token-for-tests-0123456789-0123456789'
/** One that nobody answers at. */
const OWNER = { host: 'other', address: '127.0.0.1:1', machine: 'elsewhere', tasks: ['0_0'] }
const lines: (readonly [object, string])[] = []
const log = (fields: object, message: string): void => void lines.push([fields, message])
const logger: Logger = { debug() {}, info: log, warn: log, error: log }
const statuses: number[] = []
const asks: Ask[] = []

const ROWS: Readonly<Record<string, () => ReturnType<Answering>>> = {
  p1: () => answered('{"key":"p1","value":"ä😀"}'),
  late: async () => answered('{"key":"late"}'),
  none: () => {
    throw new Refusal('NOT_FOUND')
  },
  refused: () => Promise.reject(new Refusal('STORE_REFUSED')),
  restoring: () => {
    throw new Refusal('STORE_RESTORING', { restored: 3, remaining: 4 })
  },
  broken: () => {
    throw new TypeError('a canary')
  },
  lately: () => Promise.reject(new TypeError('a canary')),
  elsewhere: () => ({ owner: OWNER }),
  owners: () => ({ owners: [] }),
  empty: () => answered('', 503),
}
const desk: Answering = (question) => {
  asks.push(question)
  return (ROWS[question.key] as () => ReturnType<Answering>)()
}
const options = (token: string | null): FrontOptions => ({
  port: 0,
  host: '127.0.0.1',
  token: token === null ? null : new Secret(token),
  advertise: null,
  self: 'me',
  world: systemWorld(logger),
  answered: (status) => void statuses.push(status),
  ask: desk,
})
/** The same path to the router. */
const escaped = (path: string): string => path.replace(/.$/, (last) => `%${last.charCodeAt(0).toString(16)}`)
const undated = (text: string): string => text.replace(/\r\nDate: [^\r]*/g, '\r\nDate: ')

describe.each([
  ['in the thread of the processor', openFront],
  ['in a thread of its own', (given: FrontOptions) => openFrontApart(given, () => {})],
])('a front %s', (_, open) => {
  let free: Listener
  let closed: Listener
  beforeAll(async () => {
    free = await open(options(null))
    closed = await open(options(TOKEN))
  })
  afterAll(async () => {
    await free.close()
    await closed.close()
  })

  /** What both ways say, on the wire. */
  async function both(port: number, path: string, headers: readonly string[] = ['Host: localhost'], method = 'GET'): Promise<string> {
    const say = (of: string): Promise<string> =>
      exchange(port, `${method} ${of} HTTP/1.1\r\n${headers.map((line) => `${line}\r\n`).join('')}Connection: close\r\n\r\n`)
    const [lane, router] = [undated(await say(path)), undated(await say(escaped(path)))]
    expect(lane, path).toBe(router)
    return lane
  }

  test.each(Object.keys(ROWS))('a row that is %s', async (key) => {
    asks.length = 0
    const said = await both(free.port, `/stores/items/${key}`)
    expect(said).toMatch(/^HTTP\/1\.1 \d+ /)
    expect(said.slice(said.indexOf('\r\n\r\n'))).not.toContain('canary')
    // The router's way asks once more, with the answers of nobody.
    expect(asks.filter(({ body }) => body === undefined)).toEqual(
      Array(2).fill({ name: 'row', store: 'items', key, query: {}, forwarded: false, body: undefined }),
    )
    if (key === 'p1') expect(said).toContain('HTTP/1.1 200 OK\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\n')
  })
  test('whoever may not ask', async () => {
    const host = 'Host: localhost'
    const cases: readonly (readonly [number, readonly string[], number])[] = [
      [free.port, ['Host: example.org'], 421],
      [free.port, [host, 'Origin: https://example.org'], 403],
      [free.port, [host, `Origin: http://localhost`], 403],
      [free.port, [host, 'Content-Length: 2'], 413],
      [free.port, [host, 'Content-Length: 0'], 200],
      [free.port, [host, 'Transfer-Encoding: chunked'], 413],
      [free.port, [host, `Millrace-Forwarded: 1.${'0'.repeat(64)}`], 401],
      [closed.port, [host], 401],
      [closed.port, [host, `Authorization: Bearer ${TOKEN}x`], 401],
      [closed.port, [host, `Authorization: Basic ${TOKEN}`], 401],
      [closed.port, [host, `Authorization: Bearer ${TOKEN}`, 'Origin: null'], 403],
      [closed.port, [host, `Authorization: Bearer ${TOKEN}`], 200],
    ]
    for (const [port, headers, status] of cases) {
      asks.length = 0
      expect(await both(port, '/stores/items/p1', headers), headers.join()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      expect(asks.length).toBe(status === 200 ? 2 : 0)
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])
      expect(await both(free.port, '/stores/items/p1', [host], method), method).toMatch(method === 'HEAD' ? / 200 / : / 405 /)
    expect(await both(free.port, `/stores/items/${'x'.repeat(2_100)}`, [host])).toMatch(/ 414 /)
    expect(await both(free.port, '/stores/items/p1', [])).toMatch(/ 400 /)
  })
  test('a connection that is kept: its headers, and what it may ask in a second', { timeout: 50_000 }, async () => {
    // So many that a busy machine, which takes seconds over them, has refused some too.
    const ASKED = 900
    const say = async (path: string): Promise<string> => {
      const socket = connect(free.port, '127.0.0.1').on('error', () => {})
      let text = ''
      socket.on('data', (part: Buffer) => {
        text += part.toString('latin1')
      })
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(ASKED))
      await expect.poll(() => text.match(/HTTP\/1\.1 /g)?.length, { timeout: 20_000 }).toBe(ASKED)
      socket.destroy()
      return undated(text)
    }
    const [lane, router] = [await say('/stores/items/p1'), await say('/stores/items/p%31')]
    const answers = (text: string): string[] => text.split(/(?=HTTP\/1\.1 )/)
    expect(answers(lane)[0]).toBe(answers(router)[0])
    expect(answers(lane)[0]).toContain('\r\nConnection: keep-alive\r\nKeep-Alive: timeout=')
    const refused = (text: string): string | undefined => answers(text).find((answer) => answer.includes(' 429 '))
    expect(refused(lane)).toBe(refused(router))
    for (const text of [lane, router]) expect(text.match(/HTTP\/1\.1 429 /g)?.length).toBeGreaterThan(10)
  })
  test('each answer is counted, each failure logged, once', async () => {
    // What is answered goes over with the next question.
    await both(free.port, '/stores/items/p1')
    await both(free.port, '/stores/items/p1')
    lines.length = 0
    statuses.length = 0
    await both(free.port, '/stores/items/none')
    await both(free.port, '/stores/items/broken')
    await both(free.port, '/stores/items/p1')
    await both(free.port, '/stores/items/p1')
    expect(statuses.filter((status) => status >= 400)).toEqual([404, 404, 500, 500])
    await expect
      .poll(() => lines, { timeout: 5_000 })
      .toEqual(Array(2).fill([{ reason: expect.stringContaining('a canary') }, 'an HTTP request failed']))
  })
})

test('it takes what the router would give to the same question, and nothing else', () => {
  const taken: string[] = []
  const lane = laneOf(
    { guard: () => {}, send: () => {}, refuse: () => {} },
    {
      ask: ({ store, key }) => {
        taken.push(`${store} ${key}`)
        return answered('')
      },
      elsewhere: () => Promise.reject(new Error('nobody')),
      waiting: { asks: 0 },
    },
  )
  const takes = (url: string, headers = {}, method = 'GET') => lane({ url, method, headers } as IncomingMessage, {} as ServerResponse)
  for (const url of ['/stores/items/p1', '/stores/a.b_c-D/~9._-', '/stores/../..']) expect(takes(url), url).toBe(true)
  expect(taken).toEqual(['items p1', 'a.b_c-D ~9._-', '.. ..'])
  for (const url of [
    '/stores/items/p%31',
    '/stores/items/',
    '/stores/items',
    '/stores//p1',
    '//stores/items/p1',
    '/stores/items/p1/',
    '/stores/items/p1/x',
    '/stores/items/p1?',
    '/stores/items/p1?asOf=1',
    '/stores/items/p1#x',
    '/stores/items/p1;x',
    '/stores/items/a+b',
    '/stores/items/ä',
    '/stores/items/p1\n',
    '/Stores/items/p1',
    '/windows/items/p1',
    'http://localhost/stores/items/p1',
    '',
  ])
    expect(takes(url), url).toBe(false)
  expect(takes('/stores/items/p1', { 'millrace-forwarded': '' })).toBe(false)
  expect(takes('/stores/items/p1', {}, 'HEAD')).toBe(false)
  expect(taken.length).toBe(3)
})
