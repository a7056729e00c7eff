// The live page's files, figures and letters over HTTP. What a browser makes of them is in test/page/.
import { readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pageFiles } from '../../src/server/page.ts'
import type { Live } from '../../src/server/live.ts'
import { type Answer, ask, askJson, type Serving, serve } from './serving.ts'

const TOKEN = 'canary-0123456789-0123456789-0123456789'
const AUTHORIZED = [`Authorization: Bearer ${TOKEN}`]
const broken = (key: string) => ({ topic: 'items', key, value: { name: 'no version' } })
let open: Serving
let closed: Serving
beforeAll(async () => {
  open = await serve([
    { topic: 'items', key: 'a', value: { version: 2 } },
    { topic: 'items', key: 'a', value: { version: 1 } },
    { topic: 'numbers', key: 1, value: 'x' },
    broken('b'),
  ])
  closed = await serve([broken('k1'), broken('k2'), broken('k3'), { topic: 'items', key: 'long', value: { name: 'x'.repeat(20_000) } }], {
    token: TOKEN,
  })
}, 60_000)
afterAll(async () => {
  await open.close()
  await closed.close()
})

describe('the files', () => {
  test('are under 200 kB in all, and name nothing that lies elsewhere', () => {
    const files = [...pageFiles()]
    expect(files.map(([path]) => path)).toContain('/page/main.js')
    expect(files.reduce((total, [, { body }]) => total + body.length, 0)).toBeLessThan(200_000)
    for (const [path, { body }] of files) {
      const text = body.toString('utf8').replaceAll('http://www.w3.org/2000/svg', '')
      expect(text, path).not.toMatch(/https?:\/\/|\/\/[a-z]|@import|url\((?!#)/i)
      expect(text, path).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/)
    }
  })
  test('are answered with their policy, with and without a token; nothing else of the folder is', async () => {
    for (const [path, { type, body }] of pageFiles()) {
      const answer = await ask(closed.port, path)
      expect(answer, path).toMatchObject({
        status: 200,
        body: body.toString('utf8'),
        headers: { 'content-type': type, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' },
      })
      const policy = answer.headers['content-security-policy'] as string
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'; /)
      expect(policy).not.toMatch(/unsafe|\*|https?:/)
    }
    for (const path of ['/page/', '/page/index.html', '/page/../server.ts', '/page/%2e%2e/server.ts', '/page/none.js'])
      expect((await ask(open.port, path)).status, path).toBe(404)
    expect((await ask(open.port, '/?token=x')).status).toBe(400)
    expect(await ask(closed.port, '/events')).toMatchObject({ status: 401 })
  })
})

/** The first event, and the response that is still open. */
function firstEvent(port: number, path = '/events', headers: Record<string, string> = {}): Promise<[Live, IncomingMessage]> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part
        const data = /^data: (.*)\n\n/.exec(text)?.[1]
        if (data !== undefined) resolve([JSON.parse(data) as Live, answer])
      })
      answer.on('error', () => {})
      answer.on('end', () => reject(new Error(`${answer.statusCode}: ${text}`)))
    }).on('error', reject)
  })
}

describe('/events', () => {
  test('says what the metrics say', async () => {
    const [live, answer] = await firstEvent(open.port)
    answer.destroy()
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
    expect(live).toMatchObject({
      topology: 'shop',
      applicationId: 'shop',
      ready: true,
      acts: false,
      rewinds: 0,
      rebalances: 1,
      moreTasks: 0,
    })
    expect(live.tasks.map(({ id }) => id)).toEqual(['0_0', '0_1', '0_2', '1_0', '1_1', '1_2'])
    const sum = (of: (task: Live['tasks'][number]) => number): number => live.tasks.reduce((total, task) => total + of(task), 0)
    expect([sum((task) => task.records), sum((task) => task.out), sum((task) => task.deadLetters), sum((task) => task.lag)]).toEqual([
      4, 2, 1, 0,
    ])
    const { inputs, outputs } = live
    expect(inputs).toContainEqual({ topic: 'items', records: 3, lag: 0 })
    expect(inputs).toContainEqual({ topic: 'numbers', records: 1, lag: 0 })
    expect(outputs).toContainEqual({ topic: 'shown', records: 1 })
    expect(outputs).toContainEqual({ topic: 'shop-dead-letter', records: 1 })
    expect(live.operators.find(({ name }) => name === 'items')?.events).toContainEqual(['stale', 1])
    expect(live.stores.map(({ name }) => name).toSorted()).toEqual(['counts', 'items'])
    expect(live.epochSums.records).toBe(4)
    expect(live.epochs).toBeGreaterThan(0)
    expect(JSON.stringify(live)).not.toMatch(/no version|broken/)
  })
  test('wants the token; HEAD has no body; a field is refused', async () => {
    const [live, answer] = await firstEvent(closed.port, '/events', { authorization: `Bearer ${TOKEN}` })
    answer.destroy()
    expect(live.acts).toBe(true)
    expect(await ask(open.port, '/events', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
    expect((await ask(open.port, '/events?x=1')).status).toBe(400)
  })
})

interface Shown {
  readonly letters: { readonly offset: string; readonly key: unknown; readonly [field: string]: unknown }[]
  readonly more: boolean
}
const shown = async (query = ''): Promise<Shown> =>
  JSON.parse((await ask(closed.port, `/dead-letters${query}`, { headers: AUTHORIZED })).body)
const post = (act: string, body: string, headers: readonly string[] = AUTHORIZED): Promise<Answer> =>
  ask(closed.port, `/dead-letters/${act}`, {
    method: 'POST',
    headers: [...headers, 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`],
    body,
  })

describe('/dead-letters', () => {
  test('shows those that are pending; a long one without its value', async () => {
    expect(await askJson(open.port, '/dead-letters')).toMatchObject({
      letters: [{ from: { topic: 'items' }, error: 'STREAM_SERDE', key: 'b', value: { name: 'no version' } }],
      more: false,
    })
    const { letters } = await shown()
    expect(letters.map(({ key }) => key).toSorted()).toEqual(['k1', 'k2', 'k3', 'long'])
    const long = letters.find(({ key }) => key === 'long')
    expect(long).toMatchObject({ cut: true })
    expect(long).not.toHaveProperty('value')
    expect(await shown('?limit=2')).toMatchObject({ more: true, letters: [{}, {}] })
    for (const query of ['limit=0', 'limit=101', 'all=true'])
      expect((await ask(open.port, `/dead-letters?${query}`)).status, query).toBe(400)
  })
  test('with a list of stores: without what they hold', async () => {
    const listed = await serve([broken('secret-key')], { stores: ['items'] })
    const { body } = await ask(listed.port, '/dead-letters')
    await listed.close()
    expect(JSON.parse(body)).toMatchObject({ letters: [{ from: { topic: 'items' }, error: 'STREAM_SERDE', bare: true }] })
    expect(body).not.toMatch(/secret-key|no version|version is/)
  })
  test('are dropped and replayed by name, once', async () => {
    const [one, two] = (await shown()).letters.filter(({ key }) => key !== 'long') as unknown as readonly [
      { offset: string },
      { offset: string },
    ]
    expect(await post('drop', JSON.stringify({ offsets: [one.offset, '2:999999'] }))).toMatchObject({
      status: 200,
      body: '{"done":1,"refused":[],"absent":["2:999999"]}',
    })
    expect(JSON.parse((await post('drop', JSON.stringify({ offsets: [one.offset] }))).body)).toMatchObject({
      done: 0,
      absent: [one.offset],
    })
    expect(JSON.parse((await post('replay', JSON.stringify({ offsets: [two.offset] }))).body)).toMatchObject({ done: 1 })
    // It fails again, and is another one.
    await expect.poll(async () => (await shown()).letters.some(({ replayOf }) => replayOf === two.offset), { timeout: 15_000 }).toBe(true)
    expect((await shown()).letters.some(({ offset }) => offset === one.offset || offset === two.offset)).toBe(false)
  })
  test('those who ask at the same time are served one after the other: a letter is settled once, and nobody is told that it failed', async () => {
    const offsets = (await shown()).letters.map(({ offset }) => offset)
    const answers = await Promise.all(Array.from({ length: 4 }, () => post('drop', JSON.stringify({ offsets }))))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    const done = answers.map(({ body }) => (JSON.parse(body) as { done: number }).done)
    expect(done.toSorted()).toEqual([0, 0, 0, offsets.length])
  })
  test('a body that is none is refused, and nothing is done', async () => {
    const before = (await shown()).letters.length
    const bodies = [
      '',
      '{',
      'null',
      '[]',
      '{}',
      '{"offsets":[]}',
      '{"offsets":"0:1"}',
      '{"offsets":["0"]}',
      '{"offsets":[0]}',
      '{"offsets":["0:1"],"all":true}',
      '{"act":"drop","offsets":["0:1"]}',
      '{"__proto__":{"offsets":["0:1"]}}',
      JSON.stringify({ offsets: Array.from({ length: 101 }, (_, i) => `0:${i}`) }),
    ]
    for (const body of bodies) expect((await post('drop', body)).status, body).toBe(400)
    expect(await post('drop', JSON.stringify({ offsets: ['0:1'] }), [])).toMatchObject({ status: 401, headers: { connection: 'close' } })
    expect((await ask(open.port, '/dead-letters/drop', { method: 'POST', headers: ['Content-Length: 0'] })).status).toBe(405)
    expect((await ask(closed.port, '/dead-letters/drop', { headers: AUTHORIZED })).status).toBe(404)
    expect((await shown()).letters.length).toBe(before)
  })
})

test('the page explains every refusal that it can meet', () => {
  const words = readFileSync(new URL('../../src/server/page/words.js', import.meta.url), 'utf8')
  for (const code of [
    'UNAUTHORIZED',
    'STORE_REFUSED',
    'NOT_FOUND',
    'NOT_READY',
    'STORE_RESTORING',
    'OWNER_UNREACHABLE',
    'METHOD_NOT_ALLOWED',
    'FENCED',
  ])
    expect(words).toContain(`${code}:`)
})
