// The security bar of the HTTP server, row by row: who may ask, by which name, how much, and what an answer gives away.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { systemWorld } from '../../src/base/system.ts'
import { StreamProcessor } from '../../src/index.ts'
import { guardOf } from '../../src/server/guard.ts'
import { ask, exchange, parse, type Serving, serve, shop } from './serving.ts'

const TOKEN = 'canary-0123456789-0123456789-0123456789'
let open: Serving
let closed: Serving
beforeAll(async () => {
  open = await serve([{ topic: 'items', key: 'secret-key', value: { version: 1, name: 'secret-value' } }])
  closed = await serve([], { token: TOKEN, stores: ['items'] })
}, 60_000)
afterAll(async () => {
  await open.close()
  await closed.close()
})
const refused = (status: number, code: string) => ({ status, body: `{"code":"${code}"}` })

describe('start', () => {
  test('no port, no listener, no fastify; loopback by default; another address only with a token', async () => {
    const options = (server: object) => ({ stateDir: '/nowhere', server }) as ConstructorParameters<typeof StreamProcessor>[1]
    expect(new StreamProcessor(shop, { stateDir: '/nowhere' }).config.server).toBeNull()
    expect(new StreamProcessor(shop, options({ port: 1 })).config.server?.host).toBe('127.0.0.1')
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.example.org'])
      expect(() => new StreamProcessor(shop, options({ port: 1, host })), host).toThrow('can be reached from outside')
    expect(() => new StreamProcessor(shop, options({ port: 1, token: 'x'.repeat(31) }))).toThrow('32 bytes or more')
    expect(() => new StreamProcessor(shop, options({ port: 1, stores: ['itens'] }))).toThrow(
      'server.stores names itens: no such store in shop',
    )
    expect(() => new StreamProcessor(shop, options({ port: 1, stores: '../x' }))).toThrow('server.stores must be a list')
    new StreamProcessor(shop, options({ port: 1, host: '0.0.0.0', token: TOKEN }))
    const app = readFileSync(new URL('../../src/app.ts', import.meta.url), 'utf8')
    expect(app).toContain("await import('./server/server.ts')")
    expect(app).not.toMatch(/^import (?!type ).*server\/server\.ts/m)
  })
  test('a port that is taken ends the start, by its name', async () => {
    const app = new StreamProcessor(shop, { stateDir: `${open.app.config.stateDir}/other`, server: { port: open.port } })
    await expect(app.start()).rejects.toMatchObject({
      code: 'STREAM_USAGE',
      message: expect.stringMatching(`port ${open.port} of 127.0.0.1 is in use`),
    })
  })
})

describe('authorization', () => {
  const paths = [
    '/health',
    '/health/ready',
    '/metrics',
    '/topology',
    '/stores',
    '/stores/items',
    '/stores/items/a',
    '/stores/items/%61',
    '/openapi.json',
    '/events',
    '/dead-letters',
    '/page/',
    '/%zz',
  ]
  test('without the token, with another, in another way: 401 everywhere', async () => {
    for (const path of paths) expect(await ask(closed.port, path), path).toMatchObject(refused(401, 'UNAUTHORIZED'))
    const wrong = [
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Basic ${TOKEN}`,
      TOKEN,
      'Bearer',
      `Bearer  `,
      `Bearer ${createHash('sha256').update(TOKEN).digest('hex')}`,
    ]
    for (const authorization of wrong)
      expect(await ask(closed.port, '/health', { headers: [`Authorization: ${authorization}`] }), authorization).toMatchObject(
        refused(401, 'UNAUTHORIZED'),
      )
    expect(await ask(closed.port, `/health?token=${TOKEN}`)).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } })
  })
  test('with it: what is there', async () => {
    const headers = [`Authorization: Bearer ${TOKEN}`]
    expect((await ask(closed.port, '/health', { headers })).status).toBe(200)
    expect((await ask(closed.port, '/metrics', { headers: [`authorization: bearer ${TOKEN}`] })).status).toBe(200)
    for (const path of ['/stores/items/a', '/stores/items/%61'])
      expect(await ask(closed.port, path, { headers })).toMatchObject(refused(404, 'NOT_FOUND'))
  })
  test('a store that is not on the list is refused, also when it does not exist; the list shows the others only', async () => {
    const headers = [`Authorization: Bearer ${TOKEN}`]
    for (const path of ['/stores/counts', '/stores/counts/1', '/stores/counts/%31', '/stores/nothing/1', '/stores/nothing/%31'])
      expect(await ask(closed.port, path, { headers }), path).toMatchObject(refused(403, 'STORE_REFUSED'))
    expect((await ask(closed.port, '/stores', { headers })).body).not.toContain('counts')
  })
  test('the comparison takes as long for a near token as for a far one', { retry: 3 }, () => {
    const guard = guardOf({ host: '127.0.0.1', token: new Secret(TOKEN), clock: { now: () => 0, monotonic: () => 0 } })
    const time = (token: string): number => {
      const sample = (): number => {
        const begun = performance.now()
        for (let i = 0; i < 2_000; i++) {
          try {
            guard({ socket: {}, headers: { host: 'localhost', authorization: `Bearer ${token}` }, method: 'GET', url: '/' } as never)
          } catch {}
        }
        return performance.now() - begun
      }
      return Math.min(...Array.from({ length: 15 }, sample))
    }
    time(TOKEN.replace(/^./, 'x'))
    const [far, near] = [time(TOKEN.replace(/^./, 'x')), time(TOKEN.replace(/.$/, 'x'))]
    expect(Math.abs(far - near) / near).toBeLessThan(0.5)
  })
  test('GET and HEAD only, before a body is read; no CORS', async () => {
    for (const path of ['/stores/items/a', '/stores/items/%61'])
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'PURGE'])
        expect(await ask(open.port, path, { method, headers: ['Content-Length: 1000000'] }), method).toMatchObject({
          ...refused(405, 'METHOD_NOT_ALLOWED'),
          headers: { allow: 'GET, HEAD' },
        })
    for (const name of Object.keys((await ask(open.port, '/health')).headers)) expect(name).not.toMatch(/access-control/)
  })
})

describe('rebinding', () => {
  test('a foreign Host is 421', async () => {
    for (const host of [
      'example.org',
      'example.org:80',
      '127.0.0.1.example.org',
      'localhost.example.org',
      '127.0.0.2',
      '',
      'localhost:80@example.org',
      '[::1',
      '::1',
      '0.0.0.0',
      'localhost:',
      'localhost.',
      ' ',
    ])
      for (const path of ['/health', '/stores/items/secret-key', '/stores/items/secret-ke%79'])
        expect((await ask(open.port, path, { host })).status, JSON.stringify(host)).toBe(421)
    expect(parse(await exchange(open.port, 'GET /health HTTP/1.0\r\n\r\n'))).toMatchObject(refused(421, 'FOREIGN_HOST'))
    expect((await ask(open.port, '/health', { host: null })).status).toBe(400) // HTTP/1.1 without one
    expect(
      parse(await exchange(open.port, `GET http://example.org/health HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n`)).status,
    ).toBe(421)
  })
  test('ours are not, with any port', async () => {
    for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST:1', '[::1]:9', `127.0.0.1:${open.port}`])
      expect((await ask(open.port, '/health', { host })).status, host).toBe(200)
  })
  test('the configured host; bound to all addresses those of the machine', () => {
    const clock = systemWorld().clock
    const asks = (bound: string, host: string) => () =>
      guardOf({ host: bound, token: null, clock })({ socket: {}, headers: { host }, method: 'GET', url: '/' } as never)
    expect(asks('millrace.internal', 'Millrace.Internal:80')).not.toThrow()
    expect(asks('millrace.internal', 'other.internal')).toThrow('FOREIGN_HOST')
    expect(asks('fd00::1', '[fd00::1]:80')).not.toThrow()
    expect(asks('0.0.0.0', '127.0.0.1')).not.toThrow()
    expect(asks('0.0.0.0', 'example.org')).toThrow('FOREIGN_HOST')
  })
  test('any Origin is 403, our own too', async () => {
    for (const origin of ['https://example.org', `http://127.0.0.1:${open.port}`, 'null', ''])
      for (const path of ['/health', '/stores/items/secret-key', '/stores/items/secret-ke%79'])
        expect(await ask(open.port, path, { headers: [`Origin: ${origin}`] }), origin).toMatchObject(refused(403, 'ORIGIN_REFUSED'))
  })
})

describe('limits', () => {
  const head = 'GET /health HTTP/1.1\r\nHost: localhost\r\n'
  test('headers that do not end are given up after 5 s', { timeout: 30_000 }, async () => {
    const begun = performance.now()
    const headers = await exchange(open.port, head)
    const tookMs = performance.now() - begun
    expect(parse(headers)).toMatchObject(refused(408, 'TIMEOUT'))
    expect(tookMs).toBeGreaterThan(4_500)
    expect(tookMs).toBeLessThan(8_000)
  })
  test('headers over 8 KiB, a URL over 2 KiB, a body, what is no HTTP', async () => {
    expect(parse(await exchange(open.port, `${head}X: ${'x'.repeat(8_200)}\r\n\r\n`))).toMatchObject(refused(431, 'HEADERS_TOO_LARGE'))
    expect(await ask(open.port, `/health?${'x'.repeat(2_100)}`)).toMatchObject(refused(414, 'URL_TOO_LONG'))
    for (const key of ['x'.repeat(2_100), `${'x'.repeat(2_100)}%78`]) {
      expect(await ask(open.port, `/stores/items/${key}`)).toMatchObject(refused(414, 'URL_TOO_LONG'))
      expect(await ask(closed.port, `/stores/items/${key}`)).toMatchObject(refused(401, 'UNAUTHORIZED'))
    }
    for (const key of ['x'.repeat(2_000), `${'x'.repeat(1_990)}%78`])
      expect(await ask(open.port, `/stores/items/${key}`)).toMatchObject(refused(404, 'NOT_FOUND'))
    for (const path of ['/health', '/stores/items/secret-key', '/stores/items/secret-ke%79'])
      expect(await ask(open.port, path, { headers: ['Content-Length: 2'], body: '{}' })).toMatchObject(refused(413, 'BODY_REFUSED'))
    expect(await ask(open.port, '/health', { headers: ['Transfer-Encoding: chunked'], body: '2\r\n{}\r\n0\r\n\r\n' })).toMatchObject(
      refused(413, 'BODY_REFUSED'),
    )
    expect(parse(await exchange(open.port, 'HELO\r\n\r\n'))).toMatchObject(refused(400, 'BAD_REQUEST'))
  })
  test('100 requests a second on a socket, then 429; another socket is not held up', async () => {
    const many = Array.from({ length: 130 }, (_, i) => `${head}${i === 129 ? 'Connection: close\r\n' : ''}\r\n`).join('')
    const text = await exchange(open.port, many)
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])
    expect(statuses).toHaveLength(130)
    expect(statuses.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => '200'))
    expect(statuses.filter((status) => status === '429').length).toBeGreaterThan(10)
    expect((await ask(open.port, '/health')).status).toBe(200)
  })
  test('1,000 requests on a connection, then it is closed', async () => {
    const text = await exchange(open.port, Array.from({ length: 1_100 }, () => `${head}\r\n`).join(''))
    expect(text.match(/HTTP\/1\.1 (200|429) /g)).toHaveLength(1_000)
    expect(text.toLowerCase()).toContain('connection: close')
  })
  test('256 connections; more are turned away, those that are open go on', { timeout: 30_000 }, async () => {
    const sockets: Socket[] = []
    let turnedAway = 0
    for (let i = 0; i < 300; i++) {
      const socket = connect(open.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.on('close', () => turnedAway++)
      await new Promise((resolve) => socket.once('connect', resolve))
      sockets.push(socket)
    }
    await expect.poll(() => turnedAway, { timeout: 3_000 }).toBeGreaterThanOrEqual(40)
    const answered = new Promise((resolve) => sockets[0]?.once('data', resolve))
    sockets[0]?.write(`${head}\r\n`)
    expect(String(await answered)).toContain('200 OK')
    for (const socket of sockets) socket.destroy()
    await expect.poll(async () => (await ask(open.port, '/health').catch(() => null))?.status, { timeout: 5_000 }).toBe(200)
  })
  test('an answer has at most 1 MiB, and goes on behind a cursor', { timeout: 60_000 }, async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({
      topic: 'items',
      key: `k${i + 10}`,
      value: { version: 1, name: 'x'.repeat(100_000) },
    }))
    const big = await serve(rows)
    const keys: string[] = []
    let pages = 0
    for (let from: string | undefined = ''; from !== undefined; pages++) {
      const { body } = await ask(big.port, `/stores/items?from=${from}`)
      expect(body.length).toBeLessThan(1024 * 1024 + 1_000)
      const page = JSON.parse(body)
      keys.push(...page.entries.map(({ key }: { key: string }) => key))
      from = page.next
    }
    await big.close()
    expect(keys).toEqual(rows.map(({ key }) => key))
    expect(pages).toBe(3)
  })
})

describe('answers', () => {
  test('nosniff and no-store on all, JSON by its full name, nothing of the inside in a refusal', async () => {
    const asked = [
      await ask(open.port, '/health'),
      await ask(open.port, '/metrics'),
      await ask(open.port, '/topology?format=svg'),
      await ask(open.port, '/stores/items/secret-key'),
      await ask(open.port, '/stores/items/secret-ke%79'),
      await ask(open.port, '/stores/items/secret-other'),
      await ask(open.port, '/stores/counts/nothing'),
      await ask(open.port, '/stores/items/secret-key/x'),
      await ask(open.port, '/stores/%zz'),
      await ask(open.port, '/stores/counts/secret-key'),
      await ask(open.port, '/health', { method: 'POST' }),
      await ask(open.port, '/health', { host: 'example.org' }),
      parse(await exchange(open.port, 'HELO\r\n\r\n')),
      await ask(closed.port, '/health'),
    ]
    for (const { status, headers, body } of asked) {
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
      expect(headers.server ?? headers['x-powered-by']).toBeUndefined()
      if (status < 400) continue
      expect(headers['content-type']).toBe('application/json; charset=utf-8')
      expect(body).toMatch(/^\{"code":"[A-Z_]+"\}$/)
    }
    expect(asked[3]?.headers['content-type']).toBe('application/json; charset=utf-8')
  })
  test('a token is nowhere in what can be printed', async () => {
    const { inspect } = await import('node:util')
    const shown = `${inspect(closed.app, { depth: 6 })}${JSON.stringify(closed.app.config)}${(await ask(closed.port, '/metrics', { headers: [`Authorization: Bearer ${TOKEN}`] })).body}`
    expect(shown).not.toContain(TOKEN)
    expect(shown).toContain('[hidden]')
  })
})
