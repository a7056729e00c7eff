import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc64Avro, singleObjectHeader } from '../../src/serde/avro-fingerprint.ts'
import { avro, avroType } from '../../src/serde/index.ts'
import { refusal } from './refusal.ts'

interface Product {
  id: string
  price: number
  stock: number
  tags: string[]
  notes: Record<string, string>
  category: string | null
  image: Buffer
}

const PRODUCT = {
  type: 'record',
  name: 'Product',
  namespace: 'com.shop',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'price', type: 'double' },
    { name: 'stock', type: 'long' },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'notes', type: { type: 'map', values: 'string' } },
    { name: 'category', type: ['null', 'string'], default: null },
    { name: 'image', type: 'bytes' },
  ],
}

const products: fc.Arbitrary<Product> = fc.record({
  id: fc.string(),
  price: fc.double(),
  stock: fc.integer({ min: -9007199254740990, max: 9007199254740990 }),
  tags: fc.array(fc.string()),
  notes: fc.dictionary(fc.string(), fc.string()).map((notes) => ({ ...notes })),
  category: fc.option(fc.string()),
  image: fc.uint8Array().map((array) => Buffer.from(array)),
})
const noProto = products.filter((product) => !JSON.stringify(product).includes('__proto__'))

const sample: Product = { id: 'p1', price: 1.5, stock: 3, tags: ['a'], notes: { n: 'x' }, category: null, image: Buffer.from([255]) }
const plain = <T>(value: T): T => ({ ...value })

/** Avro's bytes of a long, from the specification, not from avsc. */
function zigzag(n: bigint): Buffer {
  const out: number[] = []
  let left = n >= 0n ? n * 2n : -n * 2n - 1n
  for (; left > 127n; left /= 128n) out.push(Number(left % 128n) + 128)
  return Buffer.from([...out, Number(left)])
}

describe('avro(schema)', () => {
  test('is plain Avro binary: the bytes of the specification', () => {
    const serde = avro<{ a: number; b: string }>({
      type: 'record',
      name: 'test',
      fields: [
        { name: 'a', type: 'long' },
        { name: 'b', type: 'string' },
      ],
    })
    expect(Buffer.from(serde.encode({ a: 27, b: 'foo' })).toString('hex')).toBe('3606666f6f')
    expect(plain(serde.decode(Buffer.from('3606666f6f', 'hex')))).toEqual({ a: 27, b: 'foo' })
  })

  test('round trips, as bytes and as JSON', () => {
    const serde = avro<Product>(PRODUCT)
    fc.assert(
      fc.property(noProto, (product) => {
        expect(plain(serde.decode(serde.encode(product)))).toEqual(product)
        const json: unknown = JSON.parse(JSON.stringify(serde.toJson?.(product)))
        expect(plain(serde.fromJson?.(json) as Product)).toEqual({ ...product, price: product.price + 0 })
      }),
    )
  })

  test('has the name of the schema, and one schema object gives one serde', () => {
    expect(avro(PRODUCT).name).toBe('avro:com.shop.Product')
    expect(avro('long').name).toBe('avro:long')
    expect(avro({ type: 'array', items: 'int' }).name).toBe('avro:array')
    expect(avro(JSON.stringify(PRODUCT)).name).toBe('avro:com.shop.Product')
    expect(avro(PRODUCT)).toBe(avro(PRODUCT))
  })

  test('JSON is that of the specification', () => {
    const serde = avro<Product>(PRODUCT)
    expect(serde.toJson?.({ ...sample, category: 'c' })).toEqual({
      id: 'p1',
      price: 1.5,
      stock: 3,
      tags: ['a'],
      notes: { n: 'x' },
      category: { string: 'c' },
      image: 'ÿ',
    })
    expect(refusal(() => serde.fromJson?.({ id: 'secret' })).explained).toBe(
      'avro:com.shop.Product: the JSON is not of the schema (unions are written as {"branch": value})',
    )
  })

  test('a value that is not of the schema is refused by field and kind, never by value', () => {
    const serde = avro<Product>(PRODUCT)
    const off = (change: object) => refusal(() => serde.encode({ ...sample, ...change } as Product))
    expect(off({ price: 'secret' })).toEqual({
      code: 'STREAM_SERDE',
      message: 'avro:com.shop.Product: price: expected double, got string',
      explained: 'avro:com.shop.Product: price: expected double, got string',
    })
    expect(off({ id: undefined }).message).toBe('avro:com.shop.Product: id: expected string, got undefined')
    expect(off({ tags: ['a', 5] }).message).toBe('avro:com.shop.Product: tags.1: expected string, got number')
    expect(off({ stock: 1.5 }).message).toBe('avro:com.shop.Product: stock: expected long, got number with a fraction')
    expect(refusal(() => serde.encode('secret' as unknown as Product)).message).toBe(
      'avro:com.shop.Product: expected com.shop.Product, got string',
    )
  })

  test('longs are exact or refused, where avsc alone gives another number', () => {
    const serde = avro<number>('long')
    const inRecord = avro<{ n: number | null; list: number[] }>({
      type: 'record',
      name: 'R',
      fields: [
        { name: 'n', type: ['null', { type: 'long' }] },
        { name: 'list', type: { type: 'array', items: 'long' } },
      ],
    })
    const largest = 2 ** 53 - 2
    const edges = fc
      .tuple(fc.constantFrom(largest, -largest, 2 ** 52, -(2 ** 52), 2 ** 51, 0), fc.integer({ min: -9, max: 9 }))
      .map(([edge, by]) => edge + by)
    fc.assert(
      fc.property(fc.oneof(edges, fc.maxSafeInteger()), (n) => {
        if (Math.abs(n) > largest) {
          expect(refusal(() => serde.encode(n)).code).toBe('STREAM_SERDE')
          expect(refusal(() => serde.decode(zigzag(BigInt(n)))).code).toBe('STREAM_SERDE')
        } else {
          expect(Buffer.from(serde.encode(n)).equals(zigzag(BigInt(n)))).toBe(true)
          expect(Object.is(serde.decode(zigzag(BigInt(n))), n + 0)).toBe(true)
          const value = { n, list: Array.from({ length: 300 }, () => n) } // more than avsc's first buffer
          expect(plain(inRecord.decode(inRecord.encode(value)))).toEqual(value)
          expect(avro<number>('double', { writer: 'long' }).decode(zigzag(BigInt(n)))).toBe(n)
          expect(avro<number>('long', { writer: 'long' }).decode(zigzag(BigInt(n)))).toBe(n)
        }
      }),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => {
        expect(avro<number>('double', { writer: 'long' }).decode(zigzag(n))).toBe(Number(n))
        if (n > 2n ** 53n || n < -(2n ** 53n)) expect(refusal(() => serde.decode(zigzag(n))).code).toBe('STREAM_SERDE')
      }),
    )
    expect(avro<number>('long', { writer: 'int' }).decode(zigzag(-5n))).toBe(-5)
    expect(refusal(() => serde.encode(2 ** 53)).code).toBe('STREAM_SERDE')
    expect(refusal(() => serde.decode(Buffer.from('ffffffffffffffffff01', 'hex'))).code).toBe('STREAM_SERDE')
    expect(refusal(() => serde.fromJson?.(JSON.parse('9007199254740993'))).code).toBe('STREAM_SERDE')
  })

  test('bytes that end too soon or go on are refused', () => {
    const serde = avro<Product>(PRODUCT)
    const whole = Buffer.from(serde.encode(sample))
    for (let length = 0; length < whole.length; length++)
      expect(refusal(() => serde.decode(whole.subarray(0, length))).message).toBe(
        `avro:com.shop.Product: the ${length} bytes are not of the schema`,
      )
    expect(refusal(() => serde.decode(Buffer.concat([whole, Buffer.alloc(1)]))).code).toBe('STREAM_SERDE')
  })

  test('a schema that is none is refused when the serde is built', () => {
    for (const schema of ['nonsense', '{', { type: 'record' }, { type: 'record', name: 'X', fields: [{ name: 'y', type: 'Z' }] }])
      expect(refusal(() => avro(schema)).code).toBe('STREAM_USAGE')
  })
})

describe('hostile bytes', () => {
  const long = (n: number): Buffer => zigzag(BigInt(n))
  const strings = { type: 'array', items: 'string' }

  test.each([
    ['a count of 2^40 strings', strings, [long(2 ** 40)]],
    ['a count of 2^40 map entries', { type: 'map', values: 'int' }, [long(2 ** 40)]],
    ['a count of 2^40 nulls', { type: 'array', items: 'null' }, [long(2 ** 40), long(0)]],
    ['a count of 2^40 empty records', { type: 'array', items: { type: 'record', name: 'E', fields: [] } }, [long(2 ** 40), long(0)]],
    ['many blocks of nulls', { type: 'array', items: 'null' }, [...Array.from({ length: 3 }, () => long(900_000)), long(0)]],
    ['a block that says a wrong size', strings, [long(-1), long(7), long(1), Buffer.from('a'), long(0)]],
    ['a block that goes backwards', strings, [long(-1), long(-2), long(1), Buffer.from('a'), long(0)]],
    ['a text of negative length', strings, [long(1), long(-5), long(0)]],
    ['a count of 2^40 in a nested array', { type: 'array', items: strings }, [long(1), long(2 ** 40)]],
    [
      'a count of 2^40 in a union in a record',
      { type: 'record', name: 'R', fields: [{ name: 'u', type: ['null', strings] }] },
      [long(1), long(2 ** 40)],
    ],
  ])('%s', (_, schema, parts) => {
    const raw = Buffer.concat(parts)
    expect(refusal(() => avro(schema).decode(raw)).message).toBe(`${avro(schema).name}: the ${raw.length} bytes are not of the schema`)
  })

  test('blocks with a size are read', () => {
    const raw = Buffer.concat([
      long(-2),
      long(4),
      long(1),
      Buffer.from('a'),
      long(1),
      Buffer.from('b'),
      long(1),
      long(1),
      Buffer.from('c'),
      long(0),
    ])
    expect(avro(strings).decode(raw)).toEqual(['a', 'b', 'c'])
  })

  test('a list that holds itself, deeper than the stack', () => {
    const list = {
      type: 'record',
      name: 'L',
      fields: [
        { name: 'tail', type: ['null', 'L'] },
        { name: 'x', type: strings },
      ],
    }
    expect(avro(list).decode(Buffer.from('02000000', 'hex'))).toEqual({ tail: { tail: null, x: [] }, x: [] })
    expect(refusal(() => avro(list).decode(Buffer.alloc(900_000, 2))).code).toBe('STREAM_SERDE')
  })

  test('random bytes are read or refused, soon, and never change a prototype', () => {
    const serde = avro<Product>(PRODUCT)
    const whole = Buffer.from(serde.encode({ ...sample, tags: ['x', 'y', 'z'], notes: { a: 'b', c: 'd' } }))
    const flips = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 })
    const before = Reflect.ownKeys(Object.prototype)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
          flips.map((list) => {
            const copy = Buffer.from(whole)
            for (const [at, byte] of list) copy[at] = byte
            return copy
          }),
        ),
        (raw) => {
          let read: Product | undefined
          try {
            read = serde.decode(raw)
          } catch (error) {
            expect((error as { code?: string }).code).toBe('STREAM_SERDE')
          }
          if (read !== undefined) expect(serde.decode(serde.encode(read))).toEqual(read)
        },
      ),
      { numRuns: 2000 },
    )
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before)
  })

  test('a map key __proto__ is refused on both ways', () => {
    const serde = avro<Record<string, unknown>>({ type: 'map', values: 'string' })
    const raw = Buffer.concat([long(1), long(9), Buffer.from('__proto__'), long(1), Buffer.from('x'), long(0)])
    expect(refusal(() => serde.decode(raw)).message).toBe('avro:map: the bytes hold a key "__proto__"')
    expect(refusal(() => serde.encode(JSON.parse('{"__proto__":"x"}'))).message).toBe('avro:map: the value holds a key "__proto__"')
  })
})

describe('avro(schema, {writer})', () => {
  const V1 = {
    type: 'record',
    name: 'P',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'price', type: 'int' },
      { name: 'old', type: { type: 'array', items: 'string' } },
    ],
  }
  const V2 = {
    type: 'record',
    name: 'P',
    fields: [
      { name: 'price', type: 'double' },
      { name: 'id', type: 'string' },
      { name: 'currency', type: 'string', default: 'EUR' },
    ],
  }
  interface P2 {
    id: string
    price: number
    currency: string
  }
  const serde = avro<P2>(V2, { writer: V1 })
  const old = Buffer.from(avro(V1).encode({ id: 'p', price: 5, old: ['a', 'b'] }))

  test('reads what the writer wrote: promoted, defaulted, left out', () => {
    expect(plain(serde.decode(old))).toEqual({ price: 5, id: 'p', currency: 'EUR' })
  })

  test('reads what it wrote itself, without loss, so that a store may use it', () => {
    fc.assert(
      fc.property(fc.record({ id: fc.string(), price: fc.double({ noNaN: true }), currency: fc.string() }), (value) => {
        expect(plain(serde.decode(serde.encode(value)))).toEqual(value)
      }),
    )
  })

  test('writes the single-object encoding of its own schema, and reads that of the writer', () => {
    const value = { id: 'p', price: 1.5, currency: 'USD' }
    const written = Buffer.from(serde.encode(value))
    expect(written.subarray(0, 2).toString('hex')).toBe('c301')
    expect(written.subarray(10)).toEqual(avro(V2).encode(value))
    const header = singleObjectHeader(JSON.stringify(avroType(V1).schema()))
    expect(plain(serde.decode(Buffer.concat([header, old])))).toEqual({ price: 5, id: 'p', currency: 'EUR' })
  })

  test('hostile bytes of the writer are refused, also in fields that the reader leaves out', () => {
    const long = (n: number): Buffer => zigzag(BigInt(n))
    const head = Buffer.concat([long(1), Buffer.from('p'), long(5)])
    for (const tail of [long(2 ** 40), Buffer.concat([long(-1), long(-2)])])
      expect(refusal(() => serde.decode(Buffer.concat([head, tail]))).code).toBe('STREAM_SERDE')
  })

  test('a writer that the reader cannot read is refused when the serde is built', () => {
    const { code, message } = refusal(() => avro('int', { writer: 'string' }))
    expect([code, message]).toEqual(['STREAM_USAGE', "avro:int: the schema cannot read what the writer's schema writes"])
  })
})

test('fingerprints are those of the Avro specification', () => {
  // From Avro's own share/test/data/schema-tests.txt.
  expect(BigInt.asIntN(64, crc64Avro(Buffer.from('"null"')))).toBe(7195948357588979594n)
  expect(BigInt.asIntN(64, crc64Avro(Buffer.from('"boolean"')))).toBe(-6970731678124411036n)
  expect(BigInt.asIntN(64, crc64Avro(Buffer.from('"int"')))).toBe(8247732601305521295n)
  expect(singleObjectHeader('"int"').toString('hex')).toBe('c3018f5c393f1ad57572')
})
