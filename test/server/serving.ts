// A processor with an HTTP server on a free port, over records written before; and requests as bytes, so that nothing is mended on the way.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog } from '../../src/app.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig, type ServerOptions } from '../../src/config.ts'
import { recordsControl } from '../../src/control/records.ts'
import { int64, json, StreamProcessor, string, topology } from '../../src/index.ts'
import { plan } from '../../src/topology/plan.ts'

export interface Item {
  readonly version: number
  readonly op?: 'delete'
  readonly name?: string
}

export const shop = topology('shop', (t) => {
  t.stream('items', { key: string(), value: json<Item>() })
    .lastWriteWins({ store: 'items', version: (e) => e.version, deleted: (e) => e.op === 'delete' })
    .toStream()
    .to('shown', { key: string(), value: json() })
  t.stream('numbers', { key: int64(), value: string() }).groupByKey().count({ store: 'counts' })
})

export interface Line {
  readonly topic: string
  readonly key: unknown
  readonly value: unknown
}

export interface Serving {
  readonly app: StreamProcessor
  readonly port: number
  close(): Promise<void>
}

export async function writeLines(stateDir: string, lines: readonly Line[], partitions = 3): Promise<void> {
  const world = systemWorld()
  const log = await openLog(resolveConfig('shop', { stateDir }), world)
  const batch = lines.map((line, i) => ({ number: i + 1, bytes: Buffer.from(JSON.stringify(line)) }))
  await recordsControl({ log, plan: plan(shop, 'shop'), world, createPartitions: partitions }).produce(batch)
  await log.close()
}

/** All lines are processed when it resolves. */
export async function serve(lines: readonly Line[], server: Partial<ServerOptions> = {}): Promise<Serving> {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-http-'))
  await writeLines(stateDir, lines)
  const app = new StreamProcessor(shop, { stateDir, commitInterval: '20ms', server: { port: 0, ...server } })
  await app.start()
  // Of the epochs that are committed.
  const done = async (): Promise<number> => {
    const { body } = await ask(app.status().port as number, '/metrics')
    return Number(/^millrace_epoch_records_sum (\d+)$/m.exec(body)?.[1])
  }
  while (lines.length > 0 && (await done()) < lines.length) await new Promise((resolve) => setTimeout(resolve, 10))
  return {
    app,
    port: app.status().port as number,
    async close() {
      await app.close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What comes back until the other end closes. */
export function exchange(port: number, bytes: string | readonly string[], waitMs = 15_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the connection stayed open; it said: ${text}`))
    }, waitMs)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => {}) // a reset ends it too
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
    for (const part of typeof bytes === 'string' ? [bytes] : bytes) socket.write(part)
  })
}

export function parse(text: string): Answer {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = Object.create(null) as Record<string, string>
  for (const line of lines) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim()
  return { status: Number(first.split(' ')[1]), headers, body: Buffer.from(text.slice(end + 4), 'latin1').toString('utf8') }
}

export interface AskOptions {
  readonly method?: string
  readonly host?: string | null
  readonly headers?: readonly string[]
  readonly body?: string
}

export async function ask(port: number, path: string, options: AskOptions = {}): Promise<Answer> {
  const { method = 'GET', host = `127.0.0.1:${port}`, headers = [], body = '' } = options
  const lines = [`${method} ${path} HTTP/1.1`, ...(host === null ? [] : [`Host: ${host}`]), 'Connection: close', ...headers]
  return parse(await exchange(port, `${lines.join('\r\n')}\r\n\r\n${body}`))
}

export async function askJson(port: number, path: string): Promise<any> {
  const { status, body } = await ask(port, path)
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`)
  return JSON.parse(body)
}
