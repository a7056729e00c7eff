// What crosses between threads comes out as it went in: rows, errors, options.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { threadOptions } from '../../../src/app/threads/threads.ts'
import { errorOf, errorWords } from '../../../src/base/crossing.ts'
import { type Entry, packEntries, unpackEntries } from '../../../src/app/threads/words.ts'
import { explain, MillraceError } from '../../../src/base/errors.ts'
import { Secret } from '../../../src/base/secret.ts'
import { type ProcessorOptions, resolveConfig } from '../../../src/config.ts'

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const row = fc.option(fc.record({ value: bytes, timestamp: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }) }), { nil: undefined })

test('property: rows, whatever their bytes, and none where there is none', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(bytes, row), { maxLength: 20 }), (entries) => {
      const packed = structuredClone(packEntries(entries))
      expect(unpackEntries(packed)).toEqual(entries satisfies Entry[])
    }),
  )
})

test('a packed row has a buffer of its own: it can be handed over, and takes no pool along', () => {
  const packed = packEntries([[Buffer.from('key'), { value: Buffer.from('value'), timestamp: 1 }]])
  expect(packed.buffer.byteLength).toBe(packed.byteLength)
  const moved = structuredClone(packed, { transfer: [packed.buffer] })
  expect(packed.byteLength).toBe(0)
  expect(unpackEntries(moved)).toEqual([[Buffer.from('key'), { value: Buffer.from('value'), timestamp: 1 }]])
})

describe('errors', () => {
  const cross = (error: unknown): Error => errorOf(structuredClone(errorWords(error)))
  test('ours keep their code, their disposition and their causes', () => {
    const cause = new TypeError('of the user', { cause: 'a text' })
    const error = new MillraceError('STREAM_BROKER', 'a broker', { disposition: 'stop', cause })
    const there = cross(error) as MillraceError
    expect(there).toBeInstanceOf(MillraceError)
    expect(there).toMatchObject({ code: 'STREAM_BROKER', disposition: 'stop', message: 'a broker', stack: error.stack })
    expect(there.cause).toMatchObject({ name: 'TypeError', message: 'of the user' })
    expect(explain(there)).toBe(explain(error))
  })
  test('what is no error is told as text', () => expect(cross(17).message).toBe('17'))
  test('a cause that goes round in a circle ends', () => {
    const error = new Error('round')
    error.cause = error
    expect(explain(cross(error))).toBe('round')
  })
})

test('a thread gets the options that the processor has, secrets too', () => {
  const given: ProcessorOptions = {
    applicationId: 'shop',
    brokers: ['a:1', 'b:2'],
    stateDir: '/tmp/shop',
    guarantee: 'at_least_once',
    commitInterval: '2s',
    workers: 3,
    module: import.meta.url,
    tls: { ca: 'PEM', servername: 'x' },
    sasl: { mechanism: 'PLAIN', username: 'u', password: new Secret('hunter2') },
    server: { port: 0 },
    onError: { callback: 'fail', blockKey: { maxRecords: 7 } },
    maxIdle: -1,
    offsetReset: 'latest',
  }
  const config = resolveConfig('other', given)
  const there = resolveConfig('other', structuredClone(threadOptions(config)))
  expect(there).toEqual({ ...config, workers: 1, module: null, server: null })
  expect(there.sasl?.password?.reveal()).toBe('hunter2')
})
