// registry().avro() against a registry over HTTP: bytes, evolution, what is asked for and how often, and each refusal.
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { explain, MillraceError } from '../../src/base/errors.ts'
import { NotYet, whenThere } from '../../src/base/not-yet.ts'
import { type RegistryOptions, registry } from '../../src/serde/registry.ts'
import type { Serde } from '../../src/serde/serde.ts'
import { startRegistry, type TestRegistry, wireBytes } from '../support/schema-registry.ts'
import { refusal } from './refusal.ts'

interface Order {
  id: string
  cents: number
  note: string | null
}
const record = (...fields: readonly object[]) => ({ type: 'record', name: 'Order', namespace: 'com.shop', fields })
const ID = { name: 'id', type: 'string' }
const CENTS = { name: 'cents', type: 'long' }
const NOTE = { name: 'note', type: ['null', 'string'], default: null }
const ORDER = record(ID, CENTS, NOTE)
const OLD = record(ID, { name: 'cents', type: 'int' }, { name: 'gone', type: 'double' })

let server: TestRegistry
beforeEach(async () => {
  server = await startRegistry()
})
afterEach(() => server.close())

const schemas = (options: Partial<RegistryOptions> = {}) => registry({ url: server.url, ...options })
const failure = async (run: () => unknown): Promise<MillraceError> => {
  try {
    await run()
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    return error as MillraceError
  }
  throw new Error('nothing was refused')
}
const read = <T>(serde: Serde<T>, bytes: Uint8Array): Promise<T> => whenThere(() => serde.decode(bytes))

describe('the wire format', () => {
  test('is a 0, the id, plain Avro', async () => {
    server.register('others-value', '"string"')
    const serde = schemas().avro<Order>(ORDER)
    await serde.prepare?.('orders', 'value')
    const value = { id: 'a', cents: 900, note: null }
    const bytes = Buffer.from(serde.encode(value))
    expect(bytes).toEqual(wireBytes(2, ORDER, value))
    expect(bytes.subarray(0, 5).toString('hex')).toBe('0000000002')
    expect(serde.decode(bytes)).toEqual(value)
    expect(server.asked).toEqual(['POST /subjects/orders-value/versions'])
    expect(JSON.parse(server.subjects.get('orders-value')?.[0]?.schema as string)).toEqual(ORDER)
  })
  test('any value and any order of writers: read as the reader says', async () => {
    const ids = [server.register('in-value', OLD), server.register('in-value', ORDER)]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ old: fc.boolean(), id: fc.string(), cents: fc.integer(), note: fc.option(fc.string()) })),
        async (rows) => {
          const serde = schemas().avro<Order>(ORDER)
          for (const { old, id, cents, note } of rows) {
            const bytes = old
              ? wireBytes(ids[0] as number, OLD, { id, cents, gone: 1.5 })
              : wireBytes(ids[1] as number, ORDER, { id, cents, note })
            expect(await read(serde, bytes)).toEqual({ id, cents, note: old ? null : note })
          }
        },
      ),
      { numRuns: 30 },
    )
  })
  test('a schema by references', async () => {
    const MONEY = { type: 'record', name: 'com.shop.Money', fields: [CENTS] }
    const LINE = { type: 'record', name: 'com.shop.Line', fields: [{ name: 'price', type: 'com.shop.Money' }] }
    server.register('money', MONEY)
    server.register('line', LINE, [{ name: 'com.shop.Money', subject: 'money', version: 1 }])
    const basket = { type: 'record', name: 'com.shop.Basket', fields: [{ name: 'line', type: 'com.shop.Line' }] }
    const id = server.register('baskets-value', basket, [{ name: 'com.shop.Line', subject: 'line', version: 1 }])
    const whole = { ...basket, fields: [{ name: 'line', type: { ...LINE, fields: [{ name: 'price', type: MONEY }] } }] }
    expect(await read(schemas().avro(whole), wireBytes(id, whole, { line: { price: { cents: 5 } } }))).toEqual({
      line: { price: { cents: 5 } },
    })
  })
  test('a primitive, as text and as a name', async () => {
    for (const schema of ['string', '"string"', { type: 'string' }]) {
      const serde = schemas().avro<string>(schema)
      await serde.prepare?.(`t${JSON.stringify(schema).length}`, 'key')
      expect(serde.decode(serde.encode('ü'))).toBe('ü')
    }
  })
})

describe('what is asked for', () => {
  test('an unknown id once, however many wait for it, for all serdes of the registry', async () => {
    const id = server.register('in-value', OLD)
    const one = schemas()
    const [a, b] = [one.avro<Order>(ORDER), one.avro<Order>(record(ID))]
    const bytes = wireBytes(id, OLD, { id: 'a', cents: 1, gone: 2 })
    expect(() => a.decode(bytes)).toThrow(NotYet)
    await Promise.all([read(a, bytes), read(a, bytes), read(b, bytes)])
    expect(server.asked).toEqual([`GET /schemas/ids/${id}`])
  })
  test('subjects by strategy, each once', async () => {
    const named = async (subject: RegistryOptions['subject']): Promise<string[]> => {
      server.asked.length = 0
      const serde = schemas(subject === undefined ? {} : { subject }).avro<Order>(ORDER)
      for (const topic of ['a', 'b', 'a']) await serde.prepare?.(topic, 'value')
      await serde.prepare?.('a', 'key')
      return server.asked.map((line) => decodeURIComponent(line.split('/')[2] as string))
    }
    expect(await named(undefined)).toEqual(['a-value', 'b-value', 'a-key'])
    expect(await named('recordName')).toEqual(['com.shop.Order'])
    expect(await named('topicRecordName')).toEqual(['a-com.shop.Order', 'b-com.shop.Order'])
    expect(await named((topic, half, name) => `${half}/${topic}/${name}`)).toEqual([
      'value/a/com.shop.Order',
      'value/b/com.shop.Order',
      'key/a/com.shop.Order',
    ])
    const odd = schemas({ subject: () => '' }).avro(ORDER)
    expect((await failure(async () => await odd.prepare?.('a', 'key'))).message).toContain('must be a name, not ""')
  })
  test('register: false looks the schema up', async () => {
    const serde = (): Serde<Order> => schemas({ register: false }).avro<Order>(ORDER)
    const unknown = await failure(async () => await serde().prepare?.('orders', 'value'))
    expect(unknown.message).toContain('does not have this schema under subject orders-value')
    expect(unknown.disposition).toBe('stop')
    const id = server.register('orders-value', ORDER)
    const found = serde()
    await found.prepare?.('orders', 'value')
    expect(Buffer.from(found.encode({ id: 'a', cents: 1, note: null })).readUInt32BE(1)).toBe(id)
    expect(server.asked.at(-1)).toBe('POST /subjects/orders-value')
  })
  test('what passes is asked again; a 404 once more', async () => {
    const id = server.register('in-value', OLD)
    const bytes = wireBytes(id, OLD, { id: 'a', cents: 1, gone: 2 })
    server.instead.push({ status: 503, body: '' }, { status: 500, body: { error_code: 50001, message: 'Error in the backend' } })
    expect(await read(schemas().avro(record(ID)), bytes)).toEqual({ id: 'a' })
    server.instead.push({ status: 404, body: { error_code: 40403, message: 'Schema not found' } })
    expect(await read(schemas().avro(record(ID)), bytes)).toEqual({ id: 'a' })
  })
  test('after a failure the next start asks again', async () => {
    const serde = schemas().avro(ORDER)
    server.instead.push({ status: 401, body: {} })
    expect((await failure(async () => await serde.prepare?.('a', 'value'))).code).toBe('STREAM_REGISTRY')
    await serde.prepare?.('a', 'value')
    expect(server.asked).toHaveLength(2)
  })
})

describe('refused', () => {
  const prepared = (options: Partial<RegistryOptions> = {}, schema: object = ORDER): Promise<MillraceError> =>
    failure(async () => await schemas(options).avro(schema).prepare?.('orders', 'value'))

  test('a schema that is not compatible (409)', async () => {
    server.register('orders-value', ORDER)
    const error = await prepared({}, record(ID, { name: 'must', type: 'string' }))
    expect(error.message).toMatch(
      /orders-value, it is not compatible with what is there: change the schema, or the subject's compatibility: /,
    )
    expect(error.message).not.toContain('\n')
    expect(error.disposition).toBe('stop')
    server.compatibility('orders-value', 'NONE')
    await schemas()
      .avro(record(ID, { name: 'must', type: 'string' }))
      .prepare?.('orders', 'value')
  })
  test('a schema that the registry takes for invalid (42201)', async () => {
    server.instead.push({ status: 422, body: { error_code: 42201, message: 'Invalid schema\n at line 3' } })
    expect((await prepared()).message).toMatch(
      /takes the schema of subject orders-value for invalid \(42201\): Invalid schema at line 3: mend/,
    )
  })
  test('credentials: none, wrong ones, too few rights', async () => {
    await server.close()
    server = await startRegistry({ user: { username: 'orders', password: 'right' } })
    expect((await prepared()).message).toMatch(/asks for credentials .*: give auth/)
    expect((await prepared({ auth: { username: 'orders', password: 'wrong' } })).message).toMatch(
      /does not accept the credentials .*: mend auth/,
    )
    await schemas({ auth: { username: 'orders', password: 'right' } })
      .avro(ORDER)
      .prepare?.('orders', 'value')
    await server.close()
    server = await startRegistry({ token: 'bearer', readOnly: true })
    const error = await prepared({ auth: { token: 'bearer' } })
    expect([error.message, error.disposition]).toEqual([expect.stringMatching(/does not allow this .*: give the user/), 'stop'])
  })
  test('no registry: in one line, to be tried again', async () => {
    const { url } = server
    await server.close()
    const error = await failure(async () => await registry({ url }).avro(ORDER).prepare?.('orders', 'value'))
    server = await startRegistry()
    expect(error).toMatchObject({ code: 'STREAM_REGISTRY', disposition: 'retry' })
    expect(explain(error)).toMatch(
      /^the schema registry http:\/\/127\.0\.0\.1:\d+ does not answer: start it, or mend its url: .*ECONNREFUSED/,
    )
    expect(explain(error)).not.toContain('\n')
  })
  test('something else at that address', async () => {
    server.instead.push({ status: 200, body: '<html>' }, { status: 302, body: '', headers: { location: '/x' } }, { status: 418, body: '' })
    expect((await prepared()).message).toMatch(/answers what is none \(subject orders-value\): is its url/)
    expect((await prepared()).message).toMatch(/sends elsewhere \(302\)/)
    expect((await prepared()).message).toMatch(/answers 418 \(subject orders-value\): is its url/)
  })
  test('records: an id that is not there, another kind of schema, one that cannot be resolved, garbage', async () => {
    const serde = schemas().avro<Order>(ORDER)
    const message = async (bytes: Uint8Array): Promise<string> => {
      const error = await failure(() => read(serde, bytes))
      expect([error.code, error.disposition]).toEqual(['STREAM_SERDE', 'park'])
      return error.message
    }
    expect(await message(wireBytes(77, ORDER, { id: 'a', cents: 1, note: null }))).toMatch(/has no schema 77$/)
    const proto = server.register('p-value', 'syntax = "proto3";', [], 'PROTOBUF')
    expect(await message(wireBytes(proto, record(ID), { id: 'a' }))).toMatch(/schema 1 is PROTOBUF, not Avro/)
    const other = { type: 'record', name: 'Other', fields: [{ name: 'x', type: 'int' }] }
    const id = server.register('o-value', other)
    expect(await message(wireBytes(id, other, { x: 1 }))).toMatch(/what schema 2 wrote cannot be read as this schema/)
    expect(await message(Buffer.from('{"id":"a"}'))).toMatch(/do not begin with a 0 and a schema id/)
    expect(await message(Buffer.alloc(4))).toMatch(/the 4 bytes do not begin/)
    await serde.prepare?.('orders', 'value')
    expect(await message(serde.encode({ id: 'abc', cents: 1, note: null }).subarray(0, 7))).toMatch(/bytes are not of the schema/)
  })
  test('writing before a topic is known', () => {
    expect(refusal(() => schemas().avro<Order>(ORDER).encode({ id: 'a', cents: 1, note: null })).message).toMatch(/no schema id yet/)
  })
  test('options', () => {
    const message = (options: object): string => refusal(() => registry(options as RegistryOptions)).message
    expect(message({ url: 'registry:8081' })).toMatch(/must begin with http: or https:/)
    expect(message({ url: '' })).toMatch(/must be an address/)
    expect(message({ url: 'http://a:b@host' })).toMatch(/credentials go into auth/)
    expect(message({ url: 'http://host?x=1' })).toMatch(/must end with its path/)
    expect(message({ url: 'http://host', auth: { username: 'a', password: 'b' } })).toMatch(/over http shows the credentials/)
    expect(message({ url: 'https://host', auth: { username: 'a', password: undefined } })).toMatch(/each a text that is not empty/)
    expect(message({ url: 'https://host', auth: { username: 'a', password: 'b', token: 'c' } })).toMatch(
      /\{username, password\} or \{token\}/,
    )
    expect(message({ url: 'https://host', subject: 'topic' })).toMatch(/subject must be 'topicName'/)
    expect(message({ url: 'https://host', register: 1 })).toMatch(/register must be true or false/)
    registry({ url: 'http://host', auth: { token: 'a' }, insecure: true })
    expect(refusal(() => schemas().avro({ type: 'nothing' })).code).toBe('STREAM_USAGE')
  })
  test('credentials are shown nowhere', async () => {
    const canary = 'canary-7f3a'
    const one = schemas({ auth: { username: 'orders', password: canary } })
    const serde = one.avro(ORDER)
    await server.close()
    const error = await failure(async () => await serde.prepare?.('orders', 'value'))
    server = await startRegistry({ user: { username: 'x', password: 'y' } })
    const denied = await failure(
      async () =>
        await schemas({ auth: { token: canary } })
          .avro(ORDER)
          .prepare?.('orders', 'value'),
    )
    const shown = [one, serde, error, denied].map(
      (it) => `${inspect(it, { depth: 20, showHidden: true })}${JSON.stringify(it)}${String(it)}`,
    )
    shown.push(explain(error), String(error.stack), refusal(() => registry({ url: `http://u:${canary}@h` })).explained)
    for (const text of shown) {
      expect(text).not.toContain(canary)
      expect(text).not.toContain(btoa(`orders:${canary}`))
    }
  })
})
