// /parked: the records that wait, of each kind of operator that lets them wait, as their topics have them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectControl } from '../../src/control/client.ts'
import { json, StreamProcessor, string, topology } from '../../src/index.ts'
import { linesOf } from '../../src/server/lines.ts'
import { ask, askJson } from './serving.ts'

interface Row {
  readonly version?: number
  readonly n: number
}
const source = { key: string(), value: json<Row>() }
const buffer = { timeout: '1h' } as const
const waits = topology('waits', (t) => {
  const users = t.stream('users', source).lastWriteWins({ store: 'users', version: (row) => row.version as number })
  t.stream('orders', source)
    .join(users, (order, user) => order.n + user.n, { buffer })
    .to('joined', { key: string(), value: json() })
  t.stream('bundles', source)
    .holdUntil(() => [{ table: users, key: 'nobody' }], { buffer })
    .to('held', source)
  t.stream('calls', source)
    .mapAsync(() => new Promise<number>(() => {}), { store: 'calls' })
    .to('called', { key: string(), value: json() })
})

test('shows what waits in joins, holds and calls, and behind dead letters; it is bounded', { timeout: 60_000 }, async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-parked-'))
  const app = new StreamProcessor(waits, { stateDir, commitInterval: '20ms', onError: { blockKey: true }, server: { port: 0 } })
  try {
    await app.start()
    const port = app.status().port as number
    const control = await connectControl(stateDir)
    const write = (topic: string, key: string, value: Row) =>
      control?.produce([{ number: 1, bytes: Buffer.from(JSON.stringify({ topic, key, value, timestamp: 5 })) }])
    expect(await askJson(port, '/parked')).toEqual({ records: [], more: false })
    for (const topic of ['orders', 'bundles', 'calls']) await write(topic, `of ${topic}`, { n: 7 })
    await write('users', 'blocked', { n: 1 }) // no version: a dead letter
    await write('users', 'blocked', { version: 1, n: 2 })
    const shown = (): Promise<{ records: any[]; more: boolean }> => askJson(port, '/parked')
    await expect.poll(async () => (await shown()).records.length, { timeout: 20_000 }).toBe(4)
    const { records, more } = await shown()
    expect(more).toBe(false)
    const by = new Map(records.map((record) => [record.from.topic, record]))
    for (const topic of ['orders', 'bundles', 'calls']) {
      const record = by.get(topic)
      expect(record, topic).toMatchObject({ key: `of ${topic}`, value: { n: 7 }, timestamp: 5, from: { topic, offset: 0 } })
      expect(record.parkedAtMs, topic).toBeGreaterThan(1e12)
    }
    expect(by.get('users')).toMatchObject({ key: 'blocked', value: { version: 1, n: 2 }, from: { offset: 1 }, parkedAtMs: null })
    for (const { task, from } of records) expect(task).toMatch(new RegExp(`^\\d_${from.partition}$`))
    expect(await askJson(port, '/parked?limit=3')).toMatchObject({ records: [{}, {}, {}], more: true })
    expect((await ask(port, '/parked?limit=101')).status).toBe(400)
    await write('users', 'of orders', { version: 1, n: 1 })
    await expect.poll(async () => (await shown()).records.length, { timeout: 20_000 }).toBe(3)
    control?.close()
  } finally {
    await app.close()
    rmSync(stateDir, { recursive: true, force: true })
  }
})

test('an answer ends with the line that is over its bounds, and says so', () => {
  const few = linesOf(2)
  expect([few.add('1'), few.add('2'), few.text('a'), few.add('3'), few.text('a')]).toEqual([
    true,
    true,
    '{"a":[1,2],"more":false}',
    false,
    '{"a":[1,2],"more":true}',
  ])
  const long = linesOf(100)
  const line = `"${'x'.repeat(600_000)}"`
  expect([long.add(line), long.add(line)]).toEqual([true, false])
  expect(linesOf(1).text('b')).toBe('{"b":[],"more":false}')
})
