// A front in a thread of its own, over a desk that is told what to answer.
import { connect } from 'node:net'
import type { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import type { Logger } from '../../src/base/ports.ts'
import { Secret } from '../../src/base/secret.ts'
import { systemWorld } from '../../src/base/system.ts'
import { openFrontApart } from '../../src/server/apart.ts'
import { type Answering, answered } from '../../src/server/asks.ts'
import type { FrontOptions } from '../../src/server/front.ts'
import { Refusal } from '../../src/server/refusal.ts'
import { ask } from './serving.ts'

const lines: (readonly [object, string])[] = []
const log = (fields: object, message: string): void => void lines.push([fields, message])
const logger: Logger = { debug: log, info: log, warn: log, error: log }
const statuses: number[] = []
const heard = Promise.withResolvers<void>()
const left = Promise.withResolvers<void>()

const desk: Answering = ({ name, store, key, query, forwarded, body }, gone) => {
  if (key === 'none') throw new Refusal('NOT_FOUND')
  if (key === 'broken') throw new TypeError('a canary')
  if (name === 'letters') {
    heard.resolve()
    return new Promise(() => gone?.addEventListener('abort', () => left.resolve()))
  }
  const text = JSON.stringify({ name, store, key, query, forwarded, body })
  return key === 'late' ? Promise.resolve(answered(text, 503)) : answered(text, 200, name === 'topology' ? 'text/plain' : null)
}
const OPTIONS: FrontOptions = {
  port: 0,
  host: '127.0.0.1',
  token: null,
  advertise: null,
  self: null,
  world: systemWorld(logger),
  answered: (status) => void statuses.push(status),
  ask: desk,
}

/** The threads that are started until it is called. */
function newThreads(): readonly [readonly Worker[], () => void] {
  const workers: Worker[] = []
  const note = (worker: Worker): void => void workers.push(worker)
  process.on('worker', note)
  return [workers, () => void process.off('worker', note)]
}

test('asks and answers; a failure is logged here, once; an end that nobody asked for is told', async () => {
  const [workers, unnote] = newThreads()
  const fatal: unknown[] = []
  const ended = Promise.withResolvers<void>()
  const front = await openFrontApart(OPTIONS, (error) => {
    fatal.push(error)
    ended.resolve()
  })
  unnote()
  const { port } = front
  const json = 'application/json; charset=utf-8'
  const shown = { name: 'row', store: 'items', key: 'a/ä', query: { asOf: '1' }, forwarded: false }
  expect(await ask(port, '/stores/items/a%2F%C3%A4?asOf=1')).toMatchObject({ status: 200, headers: { 'content-type': json } })
  expect(JSON.parse((await ask(port, '/stores/items/a%2F%C3%A4?asOf=1')).body)).toEqual(shown)
  expect(await ask(port, '/topology')).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain' } })
  expect((await ask(port, '/stores/items/late')).status).toBe(503)
  expect(await ask(port, '/stores/items/none')).toMatchObject({ status: 404, body: '{"code":"NOT_FOUND"}' })
  expect(await ask(port, '/stores/items/broken')).toMatchObject({ status: 500, body: '{"code":"INTERNAL"}' })
  expect(lines).toEqual([[{ reason: expect.stringContaining('a canary') }, 'an HTTP request failed']])
  expect(await ask(port, '/health', { method: 'PUT' })).toMatchObject({ status: 405 })
  await ask(port, '/health')
  expect(statuses).toEqual([200, 200, 200, 503, 404, 500, 405])

  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write('GET /dead-letters HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await heard.promise
  socket.destroy()
  await left.promise

  expect(fatal).toEqual([])
  await workers[0]?.terminate()
  await ended.promise
  expect(fatal).toMatchObject([{ code: 'STREAM_INTERNAL', message: expect.stringMatching('the thread of the HTTP server has ended') }])
  await front.close()
  expect(fatal.length).toBe(1)
})

test('closed: its thread has ended, and that was no failure', async () => {
  const [workers, unnote] = newThreads()
  const fatal: unknown[] = []
  const front = await openFrontApart(OPTIONS, (error) => fatal.push(error))
  unnote()
  const exited = new Promise<void>((resolve) => workers[0]?.on('exit', () => resolve()))
  await front.close()
  await exited
  expect(fatal).toEqual([])
})

test('a body that is too deep to cross is refused, and the next question is answered', async () => {
  const fatal: unknown[] = []
  const front = await openFrontApart({ ...OPTIONS, token: new Secret('a-token-for-tests') }, (error) => fatal.push(error))
  const body = `{"offsets":${'['.repeat(3_900)}${']'.repeat(3_900)}}`
  const token = 'Authorization: Bearer a-token-for-tests'
  const headers = [token, 'Content-Type: application/json', `Content-Length: ${body.length}`]
  expect(await ask(front.port, '/dead-letters/drop', { method: 'POST', headers, body })).toMatchObject({ status: 400 })
  expect((await ask(front.port, '/health', { headers: [token] })).status).toBe(200)
  await front.close()
  expect(fatal).toEqual([])
})
