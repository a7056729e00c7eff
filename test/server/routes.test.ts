// What the routes answer: rows by key, range and prefix against an oracle in the order of the bytes; health; the topology.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StreamProcessor } from '../../src/index.ts'
import { openApi } from '../../src/server/openapi.ts'
import { ask, askJson, type Line, type Serving, serve, shop } from './serving.ts'

const KEYS = [
  '',
  'a',
  'a b',
  'a/b',
  'ab',
  'ä',
  'b',
  'ba',
  '%',
  '100%25',
  '?x=1',
  '..',
  'ｚ',
  '😀',
  '"quoted"',
  '12',
  'null',
  'z'.repeat(300),
]
for (let i = 0; i < 60; i++) KEYS.push(`k${i}`)
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
const sorted = [...KEYS].sort(byBytes)
const lines: Line[] = KEYS.map((key) => ({ topic: 'items', key, value: { version: 1, name: `n ${key}` } }))
lines.push(
  { topic: 'items', key: 'gone', value: { version: 1, name: 'x' } },
  { topic: 'items', key: 'gone', value: { version: 2, op: 'delete' } },
)
for (const key of ['5', '-3', '9007199254740993', '5']) lines.push({ topic: 'numbers', key, value: 'x' })

let serving: Serving
beforeAll(async () => {
  serving = await serve(lines)
}, 60_000)
afterAll(() => serving.close())
const get = (path: string) => ask(serving.port, path)
const range = (fields: Record<string, string>) => askJson(serving.port, `/stores/items?${new URLSearchParams(fields)}`)
const keysOf = (answer: { entries: { key: string }[] }): string[] => answer.entries.map(({ key }) => key)

describe('a key', () => {
  test('every key, whatever is in it', async () => {
    for (const key of KEYS)
      expect(await askJson(serving.port, `/stores/items/${encodeURIComponent(key)}`)).toEqual({
        key,
        value: { version: 1, name: `n ${key}` },
      })
  })
  test('a row that is not there, or deleted; a store that is not there; a name that is none', async () => {
    const paths = [
      '/stores/items/nobody',
      '/stores/items/gone',
      '/stores/itens/a',
      '/stores/%2e%2e/a',
      '/stores/a%00/b',
      '/stores/a%5Cb/b',
      '/page',
      '/stores/items/a/b',
    ]
    for (const path of paths) expect(await get(path), path).toMatchObject({ status: 404, body: '{"code":"NOT_FOUND"}' })
  })
  test('numbers beyond 2^53 stay exact; what the serde does not take is 400', async () => {
    expect((await get('/stores/counts/5')).body).toBe('{"key":5,"value":2}')
    expect((await get('/stores/counts/9007199254740993')).body).toBe('{"key":"9007199254740993","value":1}')
    expect((await get('/stores/counts/x')).status).toBe(400)
    expect((await get('/stores/items/%ff')).status).toBe(400)
  })
  test('HEAD answers the same without the body', async () => {
    const [whole, head] = [await get('/stores/items/a'), await ask(serving.port, '/stores/items/a', { method: 'HEAD' })]
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(head.headers['content-length']).toBe(whole.headers['content-length'])
  })
})

describe('a range', () => {
  test('all of it, in the order of the bytes, without the deleted row', async () => {
    const answer = await range({})
    expect(keysOf(answer)).toEqual(sorted)
    expect('next' in answer).toBe(false)
    expect((await askJson(serving.port, '/stores/counts')).entries.map(({ key }: { key: unknown }) => key)).toEqual([
      5,
      '9007199254740993',
      -3,
    ])
  })
  test('any ends, prefix and limit: the pages together are the oracle', async () => {
    const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ maxLength: 2 }))
    const some = (of: fc.Arbitrary<string>) => fc.option(of, { nil: '' })
    const query = fc.record({
      from: some(key),
      to: some(key),
      prefix: some(fc.constantFrom('k', 'k1', 'a', 'ä', 'q', '%')),
      limit: fc.integer({ min: 1, max: 40 }),
    })
    await fc.assert(
      fc.asyncProperty(query, async ({ from, to, prefix, limit }) => {
        const wanted = sorted.filter(
          (k) => (from === '' || byBytes(k, from) >= 0) && (to === '' || byBytes(k, to) <= 0) && k.startsWith(prefix),
        )
        const found: string[] = []
        for (let next: string | undefined = from; next !== undefined; ) {
          const page = await range({ from: next, to, prefix, limit: String(limit) })
          expect(page.entries.length).toBeLessThanOrEqual(limit)
          found.push(...keysOf(page))
          next = page.next
        }
        expect(found).toEqual(wanted)
      }),
      { numRuns: 60 },
    )
  })
  test('what is no query is 400', async () => {
    for (const query of [
      'limit=0',
      'limit=-1',
      'limit=1001',
      'limit=1e2',
      'limit=',
      'limit=x',
      'limit=1&limit=2',
      'fron=a',
      'from=a&from=b',
    ])
      expect(await get(`/stores/items?${query}`), query).toMatchObject({ status: 400, body: '{"code":"BAD_REQUEST"}' })
  })
})

test('stores, topology, health, openapi', async () => {
  expect(await askJson(serving.port, '/stores')).toEqual({
    stores: [
      { name: 'items', key: 'string', value: 'json', rows: 'keys', tasks: 3, here: 3 },
      { name: 'counts', key: 'int64', value: 'json', rows: 'keys', tasks: 3, here: 3 },
    ],
  })
  expect(await askJson(serving.port, '/topology')).toMatchObject({ topology: 'shop' })
  expect((await get('/topology?format=mermaid')).body).toContain('flowchart')
  expect(await get('/topology?format=svg')).toMatchObject({
    headers: { 'content-type': 'image/svg+xml; charset=utf-8' },
    body: expect.stringMatching(/<svg/),
  })
  expect((await get('/topology?format=svg&live=true')).body).toContain('class="figures"')
  for (const query of ['format=text', 'live=true', 'format=svg&live=1']) expect((await get(`/topology?${query}`)).status, query).toBe(400)
  expect(await askJson(serving.port, '/health')).toEqual({ live: true, ready: true, tasks: 6, restoring: null, standbys: null })
  expect((await get('/health/ready')).status).toBe(200)
  const described = Object.keys((openApi() as { paths: object }).paths)
  expect(await askJson(serving.port, '/openapi.json')).toMatchObject({ openapi: '3.1.0' })
  // This store has neither windows nor versions.
  const statusOf = (path: string): number => (/^\/(windows|versions)\//.test(path) ? 404 : 200)
  // One that ends only with its reader is asked for in test/server/page.test.ts; so is what is posted.
  const answered = described.filter((path) => path !== '/events' && !path.startsWith('/dead-letters/'))
  for (const path of answered) expect((await get(path.replace('{store}', 'items').replace('{key}', 'a'))).status, path).toBe(statusOf(path))
  expect(described).toHaveLength(17)
})

test('while it restores: alive, 503, and no row; the way is told; then all of it', { timeout: 60_000 }, async () => {
  const many = Array.from(
    { length: 20_000 },
    (_, i): Line => ({ topic: 'items', key: `k${i}`, value: { version: 1, name: 'x'.repeat(300) } }),
  )
  const first = await serve(many)
  const { stateDir } = first.app.config
  await first.app.close()
  rmSync(join(stateDir, 'shop'), { recursive: true })
  const app = new StreamProcessor(shop, { stateDir, server: { port: 0 } })
  const started = app.start()
  while (app.status().port === null) await new Promise((resolve) => setTimeout(resolve, 1))
  const port = app.status().port as number
  const seen: { ready: boolean; restoring: { remaining: number } | null }[] = []
  const codes = new Set<string>()
  let over = false
  const rows = async (): Promise<void> => {
    while (!over) {
      for (const path of ['/stores/items/k1', '/stores/items?limit=1']) {
        const answer = await ask(port, path)
        if (answer.status === 200) continue
        expect(answer.status).toBe(503)
        codes.add(JSON.parse(answer.body).code)
      }
    }
  }
  const health = async (): Promise<void> => {
    while (!over) {
      const { status, body } = await ask(port, '/health/ready')
      seen.push(JSON.parse(body))
      over = seen.at(-1)?.ready === true
      expect(status).toBe(over ? 200 : 503)
    }
  }
  await Promise.all([rows(), health()])
  expect(seen.some(({ ready }) => !ready)).toBe(true)
  expect([...codes].filter((code) => code !== 'NOT_READY')).toEqual(['STORE_RESTORING'])
  expect(seen.some(({ restoring }) => restoring !== null && restoring.remaining > 0)).toBe(true)
  await started
  expect((await ask(port, '/stores/items/k1')).status).toBe(200)
  await app.close()
  await first.close()
})
