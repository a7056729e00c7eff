// Stateless operators one by one: what passes, in what order, and what is refused.
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { headersFromText } from '../../src/base/record.ts'
import { alone, text } from './harness.ts'

const refusal = (run: () => void): MillraceError => {
  try {
    run()
  } catch (error) {
    if (error instanceof MillraceError) return error
  }
  throw new Error('nothing was refused')
}

describe('streams', () => {
  test('filter and filterNot share what there is, null values too', () => {
    const seen: unknown[] = []
    const fn = (value: unknown, key: unknown): unknown => {
      seen.push([value, key])
      return value
    }
    const yes = alone({ kind: 'filter', fn })
    const no = alone({ kind: 'filterNot', fn })
    for (const it of [yes, no]) {
      it.push(0, 'k', 'v', 3)
      it.push(0, null, null, 4)
    }
    expect(yes.out).toEqual([['k', 'v', 3, undefined]])
    expect(no.out).toEqual([[null, null, 4, undefined]])
    expect(seen.slice(0, 2)).toEqual([
      ['v', 'k'],
      [null, null],
    ])
  })

  test('what a callback leaves undefined is null', () => {
    const mapped = alone({ kind: 'mapValues', fn: () => undefined })
    mapped.push(0, 'k', 'v', 1)
    const rekeyed = alone({ kind: 'selectKey', fn: () => undefined })
    rekeyed.push(0, 'k', 'v', 1)
    const pairs = alone({ kind: 'map', fn: () => [undefined] })
    pairs.push(0, 'k', 'v', 1)
    expect([...mapped.out, ...rekeyed.out, ...pairs.out]).toEqual([
      ['k', null, 1, undefined],
      [null, 'v', 1, undefined],
      [null, null, 1, undefined],
    ])
  })

  test.each([undefined, null, 'ab', 7, {}, ['a', 'b', 'c']])('map refuses %j', (result) => {
    const it = alone({ kind: 'map', fn: () => result }, { name: 'rename' })
    const error = refusal(() => it.push(0, 'k', 'v', 1))
    expect([error.code, error.disposition]).toEqual(['STREAM_CALLBACK', 'park'])
    expect(error.message).toContain('rename')
  })

  test('flatMap and flatMapValues take any iterable but text', () => {
    const pairs = alone({
      kind: 'flatMap',
      fn: () =>
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
    })
    pairs.push(0, 'k', 'v', 5)
    expect(pairs.out).toEqual([
      ['a', 1, 5, undefined],
      ['b', 2, 5, undefined],
    ])
    const values = alone({ kind: 'flatMapValues', fn: () => new Set([1, undefined]) })
    values.push(0, 'k', 'v', 5)
    expect(values.out).toEqual([
      ['k', 1, 5, undefined],
      ['k', null, 5, undefined],
    ])
    for (const kind of ['flatMap', 'flatMapValues'] as const) {
      const it = alone({ kind, fn: () => 'text' })
      expect(refusal(() => it.push(0, 'k', 'v', 1)).code).toBe('STREAM_CALLBACK')
    }
  })

  test('a generator that throws half way puts nothing out', () => {
    const it = alone({
      kind: 'flatMapValues',
      *fn() {
        yield 1
        throw new Error('half way')
      },
    })
    expect(() => it.push(0, 'k', 'v', 1)).toThrow('half way')
    expect(it.out).toEqual([])
  })

  test('peek passes on what it saw; merge has an input a parent; a table becomes a stream of new values', () => {
    const seen: unknown[] = []
    const look = alone({ kind: 'peek', fn: (value: unknown, key: unknown) => seen.push(value, key) })
    look.push(0, 'k', 'v', 1)
    expect([seen, look.out]).toEqual([['v', 'k'], [['k', 'v', 1, undefined]]])
    const merge = alone({ kind: 'merge' }, { inputs: 3 })
    expect(merge.instance.inputs).toHaveLength(3)
    const news = alone({ kind: 'toStream' }, { inputs: 1 })
    news.push(0, 'k', 'new', 1, 'old')
    expect(news.out).toEqual([['k', 'new', 1, undefined]])
  })

  test('split: the first that accepts, then the default, then nowhere', () => {
    const predicates = [(v: string) => v.includes('a'), (v: string) => v.includes('b')]
    const it = alone({ kind: 'split', predicates, hasDefault: true })
    for (const value of ['ab', 'b', 'c']) it.push(0, 'k', value, 1)
    expect(it.outTo.map((records) => records.map((record) => record[1]))).toEqual([['ab'], ['b'], ['c']])
    const bare = alone({ kind: 'split', predicates, hasDefault: false })
    bare.push(0, 'k', 'c', 1)
    expect(bare.outTo.flat()).toEqual([])
  })
})

describe('sinks', () => {
  test('a fixed topic; null key and value are null bytes, and the partition is left to the key', () => {
    const it = alone({ kind: 'sink', topic: 'out', partition: null })
    it.push(0, 'k', 'v', 1)
    it.push(0, null, null, 2)
    expect(it.sent).toEqual([
      { topic: 'out', partition: null, key: Buffer.from('k'), value: Buffer.from('v'), timestamp: 1 },
      { topic: 'out', partition: null, key: null, value: null, timestamp: 2 },
    ])
  })

  test('a topic function gets value, key and record; what is no name is that record’s fault', () => {
    const seen: unknown[] = []
    const it = alone({
      kind: 'sink',
      topic: (value: string, key: string, record: { timestamp: number; headers: Record<string, string>; offset: number }) => {
        seen.push([value, key, record.timestamp, record.headers.trace, record.offset])
        return value
      },
      partition: null,
    })
    it.context.headers = headersFromText({ trace: 't1' })
    it.push(0, 'k', 'a-topic', 9)
    expect(seen).toEqual([['a-topic', 'k', 9, 't1', 0]])
    expect(it.sent[0]?.topic).toBe('a-topic')
    for (const bad of ['', '..', 'a b', null])
      expect(refusal(() => it.push(0, 'k', bad, 9))).toMatchObject({ code: 'STREAM_CALLBACK', disposition: 'park' })
  })

  test('a partition function gets value, key and how many there are; nothing means the key decides', () => {
    const it = alone(
      {
        kind: 'sink',
        topic: 'out',
        partition: (value: string, _key: string, partitions: number) => (value === '' ? undefined : Number(value) % partitions),
      },
      { partitionsOf: () => 4 },
    )
    it.push(0, 'k', '7', 1)
    it.push(0, 'k', '', 1)
    expect(it.sent.map((sent) => sent.partition)).toEqual([3, null])
    for (const bad of ['-1', '0.5', 'x']) expect(refusal(() => it.push(0, 'k', bad, 1)).code).toBe('STREAM_CALLBACK')
  })

  test('the input’s own bytes are used only where nobody could have changed the value', () => {
    const shouting = { ...text, encode: (value: string) => Buffer.from(`encoded ${value}`) }
    const it = alone({ kind: 'sink', topic: 'out', partition: null }, { key: shouting, value: shouting, inputs: 1 })
    const push = it.instance.inputs[0]!
    Object.assign(it.context, {
      key: 'k',
      keyBytes: Buffer.from('K'),
      keySerde: shouting,
      value: 'v',
      valueBytes: Buffer.from('V'),
      valueSerde: shouting,
    })
    push('k', 'v', 1, undefined)
    push('other', 'other', 1, undefined)
    it.context.keySerde = text
    it.context.valueSerde = text
    push('k', 'v', 1, undefined)
    const changed = { n: 1 }
    Object.assign(it.context, { value: changed, valueSerde: shouting })
    push('k', changed, 1, undefined)
    expect(it.sent.map((sent) => [sent.key?.toString(), sent.value?.toString()])).toEqual([
      ['K', 'V'],
      ['encoded other', 'encoded other'],
      ['encoded k', 'encoded v'],
      ['encoded k', 'encoded [object Object]'],
    ])
  })

  test('what a serde can’t write is named', () => {
    const broken = {
      ...text,
      encode: () => {
        throw new Error('too blue')
      },
    }
    const it = alone({ kind: 'sink', topic: 'out', partition: null }, { name: 'to-out', value: broken })
    const error = refusal(() => it.push(0, 'k', 'v', 1))
    expect([error.code, error.message, (error.cause as Error).message]).toEqual([
      'STREAM_SERDE',
      "to-out: a value can't be written by the serde string",
      'too blue',
    ])
  })

  test('a repartition drops and counts null keys, unless a left join wants them', () => {
    const fields = { kind: 'repartitionSink', topic: 'r', key: text, value: text } as const
    const it = alone(fields)
    it.push(0, null, 'v', 1)
    it.push(0, 'k', null, 2)
    expect(it.count('dropped')).toBe(1)
    expect(it.sent).toEqual([{ topic: 'r', partition: null, key: Buffer.from('k'), value: null, timestamp: 2 }])
    const relaxed = alone({ ...fields, keepsNullKeys: true })
    relaxed.push(0, null, 'v', 1)
    expect([relaxed.count('dropped'), relaxed.sent.length]).toEqual([0, 1])
  })
})
