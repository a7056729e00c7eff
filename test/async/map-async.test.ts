// mapAsync, case by case: what a call gets, when it is given up, what becomes of it, and what waits.
import { expect, test } from 'vitest'
import { type AsyncCall, json, type MapAsyncOptions, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { shown } from '../support/shown.ts'

const TEXT = { key: string(), value: string() }
type Fn = (value: string, key: string, call: AsyncCall) => string | null | Promise<string | null>

const calling = (fn: Fn, options: MapAsyncOptions<string, string, string | null, string> = {}) =>
  topology('t', (t) => {
    t.stream('in', TEXT)
      .mapAsync(fn, { store: 'calls', value: string(), ...options })
      .to('out', TEXT)
  })
const opened = (fn: Fn, options: MapAsyncOptions<string, string, string | null, string> = {}) =>
  new TopologyTestDriver(calling(fn, options))
const never = (): Promise<string> => new Promise(() => {})
const told = (driver: TopologyTestDriver) =>
  driver
    .output('t-dead-letter')
    .readAll()
    .map(({ key, value, headers }) => ({
      record: `${key}:${value}`,
      code: headers['__streams.errors.exception'],
      message: headers['__streams.errors.message'],
      at: `${headers['__streams.errors.topic']}-${headers['__streams.errors.partition']}@${headers['__streams.errors.offset']}`,
    }))

test('a call gets value, key, a key of its own and a signal; its answer keeps timestamp and headers of the record', async () => {
  const calls: AsyncCall[] = []
  await using driver = opened((value, key, call) => {
    calls.push(call)
    return Promise.resolve(`${key}/${value}`)
  })
  await driver.input('in').pipe([
    { key: 'a', value: 'x', timestamp: 7, headers: { trace: '1' } },
    { key: 'a', value: 'x', timestamp: 7 },
  ])
  const out = driver.output('out').readAll()
  expect(out.map(({ value, timestamp, headers }) => [value, timestamp, { ...headers }])).toEqual([
    ['a/x', 7, { trace: '1' }],
    ['a/x', 7, {}],
  ])
  expect(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2)
  expect(calls.every(({ signal }) => !signal.aborted)).toBe(true)
})

test('what is called may answer at once, with null, and may throw', async () => {
  await using driver = opened(
    (value) => {
      if (value === 'throws') throw new Error('thrown')
      return value === 'null' ? null : value
    },
    { onError: (value, key, error) => `${key}/${value}/${(error as Error).message}` },
  )
  for (const value of ['x', 'null', 'throws', 'y']) await driver.input('in').pipe({ key: 'a', value })
  expect(shown(driver)).toEqual(['a:x', 'a:null', 'a:a/throws/thrown', 'a:y'])
})

test('a key of which a call hangs waits, the others go on; when its time is over the next is called for', async () => {
  const signals: AbortSignal[] = []
  await using driver = opened((value, _, { signal }) => {
    if (value !== 'hangs') return Promise.resolve(value)
    signals.push(signal)
    return never()
  })
  await driver.input('in').pipe([
    { key: 'a', value: 'hangs', timestamp: 1 },
    { key: 'a', value: 'x', timestamp: 2 },
    { key: 'b', value: 'y', timestamp: 3 },
  ])
  await driver.advance(29_999)
  expect(shown(driver)).toEqual(['b:y'])
  await driver.advance(1)
  expect(shown(driver)).toEqual(['a:x'])
  expect(told(driver)).toEqual([
    { record: 'a:hangs', code: 'STREAM_TIMEOUT', message: 'calls: the call was not answered within 30000 ms', at: 'in-0@0' },
  ])
  expect(signals.map(({ aborted, reason }) => [aborted, reason.code])).toEqual([[true, 'STREAM_TIMEOUT']])
  expect(driver.counters('calls').get('timed_out')).toBe(1)
})

test('an answer that comes too late is counted and nothing else', async () => {
  let give: (value: string) => void = () => {}
  await using driver = opened(
    () =>
      new Promise((resolve) => {
        give = resolve
      }),
    { timeout: '1s' },
  )
  await driver.input('in').pipe({ key: 'a', value: 'x' })
  await driver.advance('1s')
  give('late')
  await driver.settle()
  await driver.commit()
  expect(shown(driver)).toEqual([])
  expect(driver.counters('calls').get('late_answers')).toBe(1)
})

test('failed calls are tried again, later each time; the key waits for them, the others do not', async () => {
  const tries: string[] = []
  await using driver = opened(
    (value) => {
      tries.push(value)
      return value === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve(value)
    },
    { retry: { attempts: 4, backoff: '1s' }, concurrency: 1 },
  )
  await driver.input('in').pipe([
    { key: 'a', value: 'bad' },
    { key: 'a', value: 'x' },
    { key: 'b', value: 'y' },
  ])
  expect([tries.join(), shown(driver).join()]).toEqual(['bad,y', 'b:y'])
  await driver.advance(499)
  expect(tries).toHaveLength(2)
  await driver.advance(501)
  expect(tries.join()).toBe('bad,y,bad')
  await driver.crash()
  await driver.advance('6s')
  expect(tries.slice(-3).join()).toBe('bad,bad,x')
  expect(told(driver).map(({ record, code, message }) => [record, code, message])).toEqual([
    ['a:bad', 'STREAM_CALLBACK', 'the call of calls failed in 4 tries: no'],
  ])
  expect(shown(driver)).toEqual(['a:x'])
})

test('tries that were committed are not counted anew after a crash', async () => {
  let tries = 0
  await using driver = opened(
    () => {
      tries++
      return Promise.reject(new Error('no'))
    },
    { retry: { attempts: 3, backoff: '1s' } },
  )
  await driver.input('in').pipe({ key: 'a', value: 'x' })
  await driver.advance('1s')
  await driver.commit()
  expect(tries).toBe(2)
  await driver.crash()
  await driver.advance('2s')
  expect([tries, told(driver).length]).toEqual([3, 1])
})

test('a call under way is begun again after a crash, with the same key and the time that it has left', async () => {
  const keys: string[] = []
  const aborted: boolean[] = []
  await using driver = opened((_, __, { idempotencyKey, signal }) => {
    keys.push(idempotencyKey)
    signal.addEventListener('abort', () => aborted.push(true))
    return never()
  })
  await driver.input('in').pipe({ key: 'a', value: 'x' })
  await driver.advance('20s')
  await driver.commit()
  await driver.crash()
  expect([keys.length, new Set(keys).size, aborted.length]).toEqual([2, 1, 1])
  await driver.advance(9_999)
  expect(told(driver)).toEqual([])
  await driver.advance(1)
  expect(told(driver)).toHaveLength(1)
})

test('onError: skip leaves the record out, fail ends the processor', async () => {
  const fails: Fn = () => Promise.reject(new Error('no'))
  await using skipping = opened(fails, { onError: 'skip' })
  await skipping.input('in').pipe({ key: 'a', value: 'x' })
  await skipping.commit()
  expect([shown(skipping), told(skipping), skipping.counters('calls').get('failed')]).toEqual([[], [], 1])
  const failing = opened(fails, { onError: 'fail' })
  await expect(failing.input('in').pipe({ key: 'a', value: 'x' })).rejects.toMatchObject({
    disposition: 'stop',
    message: 'the call of calls failed; onError is to stop: mend it, or choose deadLetter or skip',
  })
})

test('an onError that throws or gives a promise costs its record', async () => {
  await using driver = opened((value) => Promise.reject(new Error(value)), {
    onError: (value) => {
      if (value === 'throws') throw new Error('thrown')
      return Promise.resolve('x') as unknown as string
    },
  })
  await driver.input('in').pipe([
    { key: 'a', value: 'throws' },
    { key: 'a', value: 'promise' },
  ])
  expect(told(driver).map(({ record, message }) => `${record} ${message}`)).toEqual([
    'a:throws the callback of calls threw: thrown',
    'a:promise calls: onError gave a promise; it must give the result itself',
  ])
})

test('what throws below a result costs its record, not the others', async () => {
  const program = topology('t', (t) => {
    t.stream('in', TEXT)
      .mapAsync((value) => Promise.resolve(value), { store: 'calls', value: string() })
      .peek((value) => {
        if (value === 'bad') throw new Error('below')
      })
      .to('out', TEXT)
  })
  await using driver = new TopologyTestDriver(program)
  await driver.input('in').pipe([
    { key: 'a', value: 'bad' },
    { key: 'a', value: 'x' },
  ])
  expect([shown(driver), told(driver).map(({ record }) => record)]).toEqual([['a:x'], ['a:bad']])
})

test('records of one input record, and of none, have keys of their own', async () => {
  const keys: string[] = []
  const program = topology('t', (t) => {
    const note = async (value: string, _: unknown, { idempotencyKey }: AsyncCall) => {
      keys.push(idempotencyKey)
      return value
    }
    t.stream('in', TEXT)
      .flatMapValues((value) => [value, value, value], { value: string() })
      .mapAsync(note, { store: 'calls', value: string() })
      .to('out', TEXT)
    t.stream('ticks', TEXT)
      .process<string, string>((context) => {
        context.schedule('1s', 'wall', () => context.forward({ key: 'tick', value: 'tick', timestamp: 5 }))
        return { process() {} }
      })
      .mapAsync(note, { store: 'tick-calls', value: string(), order: 'none' })
      .to('ticked', TEXT)
  })
  await using driver = new TopologyTestDriver(program)
  await driver.input('in').pipe({ key: 'a', value: 'x' })
  const first = [...keys]
  await driver.crash()
  expect(keys.slice(3)).toEqual(first)
  await driver.advance('1s')
  await driver.advance('1s')
  expect([new Set(first).size, new Set(keys).size]).toEqual([3, 5])
  expect(shown(driver, 'ticked')).toHaveLength(2)
})

test("order: 'none' and a key of null: all are called for at once", async () => {
  const started: string[] = []
  const hangs: Fn = (value) => {
    started.push(value)
    return never()
  }
  await using driver = opened(hangs, { order: 'none' })
  await driver.input('in').pipe(['x', 'y'].map((value) => ({ key: 'a', value })))
  expect(started).toEqual(['x', 'y'])
  started.length = 0
  await using keyless = opened(hangs)
  await keyless.input('in').pipe(['x', 'y'].map((value) => ({ key: null, value })))
  expect(started).toEqual(['x', 'y'])
})

test('at the bound the input waits, and goes on when a record has left', async () => {
  const started: string[] = []
  await using driver = opened(
    (value) => {
      started.push(value)
      return value === 'z' ? Promise.resolve(value) : never()
    },
    { maxRecords: 2, timeout: '10s', onError: 'skip' },
  )
  await driver.input('in').pipe(['x', 'y', 'z'].map((value) => ({ key: value, value })))
  expect(started).toEqual(['x', 'y'])
  await driver.commit()
  await driver.crash()
  await driver.advance('10s')
  expect(started.slice(-1)).toEqual(['z'])
  expect(shown(driver)).toEqual(['z:z'])
})

test('a changed key is repartitioned where the order is that of the key', async () => {
  const stores = (order: 'key' | 'none') =>
    topology('t', (t) => {
      t.stream('in', TEXT)
        .selectKey((value) => value, { key: string() })
        .mapAsync(async (value) => value, { order, store: 'calls', value: string() })
        .groupByKey()
        .count({ store: 'n' })
    })
  const running = async (order: 'key' | 'none') => {
    await using driver = new TopologyTestDriver(stores(order), { partitions: 3 })
    for (const key of ['a', 'b', 'c', 'd', 'e']) await driver.input('in').pipe({ key, value: 'same' })
    return driver.store('n').get('same')
  }
  expect([await running('key'), await running('none')]).toEqual([5, 5])
})

test('a full join behind it holds its results back, and loses none', async () => {
  const program = topology('t', (t) => {
    const rows = t.table('rows', TEXT)
    t.stream('in', TEXT)
      .mapAsync(async (value) => `${value}!`, { store: 'calls', value: string() })
      .join(rows, (value, row) => `${value}${row}`, { buffer: { timeout: '1h', maxRecords: 1 }, store: 'waiting', value: json<string>() })
      .to('out', TEXT)
  })
  await using driver = new TopologyTestDriver(program)
  await driver.input('in').pipe(['a', 'b', 'c'].map((key) => ({ key, value: 'x' })))
  await driver.commit()
  await driver.crash()
  expect(driver.counters('waiting').get('parked')).toBe(1)
  await driver.input('rows').pipe(['c', 'b', 'a'].map((key) => ({ key, value: '1' })))
  expect(shown(driver).sort()).toEqual(['a:x!1', 'b:x!1', 'c:x!1'])
})
