// Records that no log takes: too long with their headers, in a changelog or as a dead letter, or dated beyond what a log can write. Each
// costs itself; none stops its task.
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { recordBytes } from '../../src/base/record.ts'
import { json, string, topology } from '../../src/index.ts'
import { expectCounts, logOf, records, run } from '../support/counted-keys.ts'
import { type InputRecord, load, readAll } from '../support/run-worker.ts'

describe('records that no log takes', () => {
  const long = 'x'.repeat(LIMITS.recordBytesMax - 200)

  it('input whose dead letter would be too long: the origin goes, the bytes stay where they are', async () => {
    const log = logOf()
    const bad: InputRecord = { topic: 'in', key: Buffer.from('bad'), value: Buffer.from(long), timestamp: 5 }
    await load(log, [...records(['a']), bad, ...records(['a'])], 1)
    const running = await run({ log })
    await running.untilCaughtUp(3_000)
    await running.worker.close()
    const [letter] = (await readAll(log, 'app-dead-letter')).flat()
    const headers = new Map(letter?.headers.map(([name, value]) => [name, value?.toString()]))
    expect(headers.get('__streams.errors.offset')).toBe('1')
    expect(headers.get('__streams.errors.topic')).toBe('in')
    await expectCounts(log, 2)
  })

  it('an output that is too long with its headers', async () => {
    const log = logOf()
    await load(log, records(['a']), 1)
    const writer = log.writer({ transactionalId: 'loader', guarantee: 'at_least_once' })
    await writer.init()
    writer.append('in', 0, 1, Buffer.from('b'), Buffer.from('x'.repeat(LIMITS.recordBytesMax - 300)), [['trace', Buffer.alloc(200)]])
    writer.append('in', 0, 2, Buffer.from('c'), Buffer.from('1'), [])
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'loader', [])
    await writer.close()
    const grown = topology('grown', (t) => {
      t.stream('in', { key: string(), value: string() })
        .mapValues((value) => (value.length > 1 ? `${value}${'y'.repeat(200)}` : value))
        .to('out', { key: string(), value: string() })
    })
    const running = await run({ log, topology: grown })
    await running.untilCaughtUp(3_000)
    await running.worker.close()
    expect((await readAll(log, 'out')).flat().map((record) => (record.key as Buffer).toString())).toEqual(['a', 'c'])
    expect((await readAll(log, 'app-dead-letter')).flat()).toHaveLength(1)
  })

  it('a row that its changelog would not take', async () => {
    const joined = topology('joined', (t) => {
      t.stream('in', { key: string(), value: string() })
        .groupByKey()
        .reduce((a, b) => a + b, { store: 'all' })
        .toStream()
        .mapValues((value) => String(value?.length))
        .to('out', { key: string(), value: string() })
    })
    const log = logOf()
    const value = Buffer.from('z'.repeat(600_000))
    await load(
      log,
      ['a', 'a', 'b'].map((key, i) => ({ topic: 'in', key: Buffer.from(key), value, timestamp: i })),
      1,
    )
    const running = await run({ log, topology: joined })
    await running.untilCaughtUp(3_000)
    await running.worker.close()
    const out = (await readAll(log, 'out')).flat().map((record) => `${record.key}:${record.value}`)
    expect(out).toEqual(['a:600000', 'b:600000'])
    expect((await readAll(log, 'app-dead-letter')).flat()).toHaveLength(1)
  })

  it('a timestamp beyond what a log can write', async () => {
    const dated = topology('dated', (t) => {
      t.stream('in', { key: string(), value: json<number>(), timestamp: (value) => (value === 1 ? Number.MAX_SAFE_INTEGER : 7) }).to(
        'out',
        {
          key: string(),
          value: json<number>(),
        },
      )
    })
    const log = logOf()
    const of = (key: string, value: string): InputRecord => ({
      topic: 'in',
      key: Buffer.from(key),
      value: Buffer.from(value),
      timestamp: 0,
    })
    await load(log, [of('a', '1'), of('b', '2')], 1)
    const running = await run({ log, topology: dated })
    await running.untilCaughtUp(3_000)
    await running.worker.close()
    expect((await readAll(log, 'out')).flat().map((record) => (record.key as Buffer).toString())).toEqual(['b'])
    expect((await readAll(log, 'app-dead-letter')).flat()).toHaveLength(1)
  })
})

/** A byte below, at and above what a log takes of one record: key, value and headers. */
describe('at the bound of one record', () => {
  const MAX = LIMITS.recordBytesMax
  const sized = topology('sized', (t) => {
    t.stream('in', { key: string(), value: string() })
      .mapValues((value) => (value.startsWith('grow ') ? 'y'.repeat(Number(value.slice(5))) : value))
      .to('out', { key: string(), value: string() })
  })
  const stored = topology('stored', (t) => {
    t.stream('in', { key: string(), value: string() })
      .mapValues((value) => (value.startsWith('grow ') ? 'y'.repeat(Number(value.slice(5))) : value), { value: string() })
      .groupByKey()
      .reduce((_, value) => value, { store: 'last' })
      .toStream()
      .mapValues((value) => String(value?.length))
      .to('out', { key: string(), value: string() })
  })
  const HEADER = 100
  const HEADER_BYTES = recordBytes(null, null, [['h', Buffer.alloc(HEADER)]])

  const cases = [-1, 0, 1].flatMap((over) => [
    { what: 'an output', over, of: sized, header: false, bytes: MAX + over - 1 },
    { what: 'an output with a header', over, of: sized, header: true, bytes: MAX + over - 1 - HEADER_BYTES },
    { what: 'a row in its changelog', over, of: stored, header: false, bytes: MAX + over - 1 },
  ])
  it.each(cases)('$what, $over over it', async ({ over, of, header, bytes }) => {
    const log = logOf()
    await log.createTopics([{ name: 'in', partitions: 1, kind: 'plain' }])
    const writer = log.writer({ transactionalId: 'loader', guarantee: 'at_least_once' })
    await writer.init()
    const headers = header ? ([['h', Buffer.alloc(HEADER)]] as const) : []
    writer.append('in', 0, 1, Buffer.from('a'), Buffer.from('before'), [])
    writer.append('in', 0, 2, Buffer.from('b'), Buffer.from(`grow ${bytes}`), headers)
    writer.append('in', 0, 3, Buffer.from('c'), Buffer.from('after'), [])
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'loader', [])
    await writer.close()
    const running = await run({ log, topology: of })
    await running.untilCaughtUp(5_000)
    await running.worker.close()
    const out = (await readAll(log, 'out')).flat().map(({ key }) => String(key))
    const letters = (await readAll(log, 'app-dead-letter')).flat().map(({ key }) => String(key))
    expect([out, letters]).toEqual(over > 0 ? [['a', 'c'], ['b']] : [['a', 'b', 'c'], []])
  })

  it('an input of exactly so many bytes is taken', async () => {
    const log = logOf()
    await load(log, [{ topic: 'in', key: Buffer.from('a'), value: Buffer.alloc(MAX - 1, 0x7a), timestamp: 1 }], 1)
    const running = await run({ log, topology: stored })
    await running.untilCaughtUp(5_000)
    await running.worker.close()
    expect((await readAll(log, 'out')).flat().map(({ value }) => String(value))).toEqual([String(MAX - 1)])
  })
})
