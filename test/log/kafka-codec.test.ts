// The batch codec and the read_committed filter, without a broker: what is encoded is decoded, whatever the bytes and times; and
// the filter takes what the Java client takes, in the histories that the package's own filter gets wrong.
import { compressionsAlgorithms, NetworkError, ProtocolError, ResponseError, TimeoutError } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RecordColumns, recordColumns } from '../../src/base/columns.ts'
import type { Headers, LogRecord } from '../../src/base/record.ts'
import { type AbortedTransaction, CorruptBatch, RecordCursor } from '../../src/log/kafka/decode.ts'
import { BATCH_HEADER_BYTES, BatchBuilder, checksum, recordSize } from '../../src/log/kafka/encode.ts'
import { failure, judge, namesOf } from '../../src/log/kafka/errors.ts'
import { endOfBatches } from '../../src/log/kafka/fetch.ts'

type Plain = Omit<LogRecord, 'offset'>

const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b))
const nullable = fc.option(bytes, { nil: null })
const headers: fc.Arbitrary<Headers> = fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), nullable), { maxLength: 4 })
const time = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 41 }),
  fc.maxSafeInteger().map((n) => n % 2 ** 50),
  fc.integer({ min: 0, max: 100 }),
)
const record: fc.Arbitrary<Plain> = fc.record({ timestamp: time, key: nullable, value: nullable, headers })
const compression = fc.constantFrom('none' as const, 'lz4' as const, 'zstd' as const)

interface BatchOptions {
  readonly baseOffset: number
  readonly producerId?: bigint
  readonly transactional?: boolean
  readonly compression?: 'none' | 'lz4' | 'zstd'
}

function batch(records: readonly Plain[], options: BatchOptions): Buffer {
  const builder = new BatchBuilder(64)
  for (const r of records) builder.append(r.timestamp, r.key, r.value, r.headers)
  const encoded = Buffer.from(builder.finish(options.producerId ?? 7n, 0, 0, options.transactional ?? false, options.compression ?? 'none'))
  encoded.writeBigInt64BE(BigInt(options.baseOffset), 0)
  return encoded
}

function text(...values: string[]): Plain[] {
  return values.map((value) => ({ timestamp: 1, key: null, value: Buffer.from(value), headers: [] }))
}

/** Sets attribute bits of an encoded batch, and makes the checksum right again. */
function attribute(encoded: Buffer, bits: number): Buffer {
  encoded.writeInt16BE(encoded.readInt16BE(21) | bits, 21)
  return sign(encoded)
}

function sign(encoded: Buffer): Buffer {
  encoded.writeUInt32BE(checksum(encoded.subarray(21)), 17)
  return encoded
}

function marker(commit: boolean, baseOffset: number, producerId: bigint): Buffer {
  const key = Buffer.from([0, 0, 0, commit ? 1 : 0])
  return attribute(
    batch([{ timestamp: 1, key, value: Buffer.alloc(6), headers: [] }], { baseOffset, producerId, transactional: true }),
    0x20,
  )
}

/** A batch that compaction has emptied keeps its offsets. */
function emptied(encoded: Buffer): Buffer {
  const header = Buffer.from(encoded.subarray(0, BATCH_HEADER_BYTES))
  header.writeInt32BE(BATCH_HEADER_BYTES - 12, 8)
  header.writeInt32BE(0, 57)
  return sign(header)
}

function read(
  buffer: Buffer,
  from = 0,
  aborted: readonly AbortedTransaction[] | null = [],
  slice = 1_000,
): { records: LogRecord[]; position: number } {
  const cursor = new RecordCursor(buffer, 0, buffer.length, from, aborted)
  const records: LogRecord[] = []
  for (let last = -1; !cursor.done || last !== cursor.position; ) {
    last = cursor.position
    records.push(...cursor.take(slice))
  }
  // In columns they are the same, to the byte that counts for back-pressure.
  const rows = records.map(({ headers: _, ...row }) => row)
  expect(readColumns(buffer, from, aborted, slice)).toEqual({ rows, position: cursor.position, bytes: cursor.bytes })
  return { records, position: cursor.position }
}

type Row = Omit<LogRecord, 'headers'>

/** What stands in the columns now, as objects. */
function rowsOf({ count, bytes: b, offsets, timestamps, keyAts, keyLengths, valueAts, valueLengths }: RecordColumns): Row[] {
  const cut = (at: number, length: number): Buffer | null => (length < 0 ? null : b.subarray(at, at + length))
  return Array.from({ length: count }, (_, i) => ({
    offset: offsets[i] as number,
    timestamp: timestamps[i] as number,
    key: cut(keyAts[i] as number, keyLengths[i] as number),
    value: cut(valueAts[i] as number, valueLengths[i] as number),
  }))
}

function readColumns(
  buffer: Buffer,
  from = 0,
  aborted: readonly AbortedTransaction[] | null = [],
  slice = 1_000,
): { rows: Row[]; position: number; bytes: number } {
  const cursor = new RecordCursor(buffer, 0, buffer.length, from, aborted)
  const columns = recordColumns(slice)
  const rows: Row[] = []
  for (let last = -1; !cursor.done || last !== cursor.position; ) {
    last = cursor.position
    cursor.takeColumns(columns)
    rows.push(...rowsOf(columns))
  }
  return { rows, position: cursor.position, bytes: cursor.bytes }
}

const valuesOf = (found: { records: LogRecord[] }): string[] => found.records.map((r) => r.value?.toString() ?? '')

describe('a record batch', () => {
  it('reads back as it was written, in slices of any size, from any offset', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(record, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }),
        compression,
        fc.integer({ min: 1, max: 7 }),
        fc.nat(20),
        fc.integer({ min: 0, max: 2 ** 40 }),
        (batches, codec, slice, skip, base) => {
          let next = base
          const wanted: LogRecord[] = []
          const buffer = Buffer.concat(
            batches.map((records) => {
              const encoded = batch(records, { baseOffset: next, compression: codec })
              for (const r of records) wanted.push({ offset: next++, ...r })
              return encoded
            }),
          )
          const from = base + Math.min(skip, wanted.length)
          const found = read(buffer, from, [], slice)
          expect(found.records).toEqual(wanted.filter((r) => r.offset >= from))
          expect(found.position).toBe(next)
          expect(endOfBatches(buffer, 0, buffer.length, from)).toBe(next)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('keeps times 40 years apart in one batch exact', () => {
    const times = [Date.UTC(1986, 0), Date.UTC(2026, 0, 1, 0, 0, 0, 123), 0, Date.UTC(1986, 0) + 2 ** 31, 2 ** 50, 1]
    const found = read(
      batch(
        times.map((timestamp) => ({ timestamp, key: null, value: null, headers: [] })),
        { baseOffset: 0 },
      ),
    )
    expect(found.records.map((r) => r.timestamp)).toEqual(times)
  })

  it('is never larger than its records were counted', () => {
    fc.assert(
      fc.property(record, ({ timestamp, key, value, headers: with_ }) => {
        const builder = new BatchBuilder()
        builder.append(0, null, null, [])
        const before = builder.size
        builder.append(timestamp, key, value, with_)
        expect(builder.size - before).toBeLessThanOrEqual(recordSize(key, value, with_))
      }),
    )
  })

  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`packed with ${codec} is read`, () => {
      const plain = batch(text('a', 'b', 'c'), { baseOffset: 5 })
      const packed = compressionsAlgorithms[codec].compressSync(plain.subarray(BATCH_HEADER_BYTES)) as Buffer
      const encoded = Buffer.concat([plain.subarray(0, BATCH_HEADER_BYTES), packed])
      encoded.writeInt32BE(encoded.length - 12, 8)
      expect(valuesOf(read(attribute(encoded, compressionsAlgorithms[codec].bitmask), 5))).toEqual(['a', 'b', 'c'])
    })
  }

  it('that the broker stamped has the time of the broker', () => {
    const encoded = batch(text('a', 'b'), { baseOffset: 0 })
    encoded.writeBigInt64BE(1_700_000_000_000n, 35)
    expect(read(attribute(encoded, 0x08)).records.map((r) => r.timestamp)).toEqual([1_700_000_000_000, 1_700_000_000_000])
  })

  it('that was cut off is left for the next fetch', () => {
    const whole = batch(text('a'), { baseOffset: 0 })
    const cut = batch(text('b'), { baseOffset: 1 })
    for (const length of [1, BATCH_HEADER_BYTES - 1, BATCH_HEADER_BYTES, cut.length - 1]) {
      const buffer = Buffer.concat([whole, cut.subarray(0, length)])
      expect(read(buffer)).toMatchObject({ records: [{ offset: 0 }], position: 1 })
      expect(endOfBatches(buffer, 0, buffer.length, 0)).toBe(1)
    }
  })

  it('with one flipped bit behind the checksum is refused', () => {
    const encoded = batch(text('value one', 'value two'), { baseOffset: 0 })
    fc.assert(
      fc.property(fc.integer({ min: 21, max: encoded.length - 1 }), fc.nat(7), (at, bit) => {
        const damaged = Buffer.from(encoded)
        damaged[at] = (damaged[at] as number) ^ (1 << bit)
        expect(() => read(damaged)).toThrow(CorruptBatch)
        expect(() => readColumns(damaged)).toThrow(CorruptBatch)
      }),
    )
  })

  it('is read by records and by columns in turns', () => {
    const batches = [batch(text('a', 'b', 'c', 'd'), { baseOffset: 0 }), batch(text('e', 'f'), { baseOffset: 4, compression: 'lz4' })]
    const buffer = Buffer.concat([...batches, batch(text('g', 'h'), { baseOffset: 6 })])
    const cursor = new RecordCursor(buffer, 0, buffer.length, 0, [])
    const columns = recordColumns(2)
    const values: (string | undefined)[] = []
    while (!cursor.done) {
      values.push(...cursor.take(1).map((r) => r.value?.toString()))
      cursor.takeColumns(columns)
      values.push(...rowsOf(columns).map((r) => r.value?.toString()))
    }
    expect(values).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    expect(cursor.position).toBe(8)
  })

  it('whose record ends before its parts do is refused in columns', () => {
    const encoded = batch([{ timestamp: 1, key: Buffer.from('key'), value: Buffer.from('value'), headers: [] }], { baseOffset: 0 })
    const lengths = [BATCH_HEADER_BYTES, BATCH_HEADER_BYTES + 4, BATCH_HEADER_BYTES + 8] // of the record, its key, its value
    for (const at of lengths) {
      const damaged = Buffer.from(encoded)
      damaged[at] = at === BATCH_HEADER_BYTES ? 4 : 120
      expect(() => readColumns(sign(damaged))).toThrow(/longer than it says/)
    }
  })

  it('does not pin the response that it came in', () => {
    const encoded = batch(text('a'), { baseOffset: 0 })
    const response = Buffer.concat([encoded, Buffer.alloc(1_000_000)])
    const value = new RecordCursor(response, 0, encoded.length, 0, []).take(1)[0]?.value as Buffer
    expect(value.buffer).not.toBe(response.buffer)
    expect(value.buffer.byteLength).toBeLessThan(100_000)
  })
})

describe('the read_committed filter', () => {
  const A = 100n
  const B = 200n
  const of = (producerId: bigint, baseOffset: number, ...values: string[]): Buffer =>
    batch(text(...values), { baseOffset, producerId, transactional: true })

  it('drops two aborted transactions of one producer and keeps the one between', () => {
    const log = Buffer.concat([
      of(A, 10, 'x', 'x'),
      marker(false, 12, A),
      of(A, 13, 'kept'),
      marker(true, 14, A),
      of(A, 15, 'x'),
      marker(false, 16, A),
    ])
    const aborted = [
      { producerId: A, firstOffset: 15 },
      { producerId: A, firstOffset: 10 },
    ]
    expect(read(log, 10, aborted)).toMatchObject({ position: 17, records: [{ offset: 13 }] })
  })

  it('drops a transaction whose abort marker is not in this answer', () => {
    expect(read(of(A, 10, 'x', 'x'), 10, [{ producerId: A, firstOffset: 10 }])).toEqual({ records: [], position: 12 })
  })

  it('keeps what was committed before an abort that wrote nothing here', () => {
    const log = Buffer.concat([of(A, 10, 'x'), marker(false, 11, A), of(A, 12, 'kept'), marker(true, 13, A), marker(false, 14, A)])
    expect(valuesOf(read(log, 10, [{ producerId: A, firstOffset: 10 }]))).toEqual(['kept'])
  })

  it('tells producers apart, and leaves plain batches alone', () => {
    const plain = batch(text('plain'), { baseOffset: 12, producerId: A })
    const log = Buffer.concat([of(A, 10, 'x'), of(B, 11, 'kept'), plain, marker(false, 13, A), marker(true, 14, B)])
    expect(valuesOf(read(log, 10, [{ producerId: A, firstOffset: 10 }]))).toEqual(['kept', 'plain'])
  })

  it('passes control batches and batches that compaction has emptied', () => {
    const log = Buffer.concat([emptied(of(A, 10, 'gone', 'gone')), emptied(marker(false, 12, A)), of(B, 13, 'kept'), marker(true, 14, B)])
    expect(read(log, 10, [{ producerId: A, firstOffset: 10 }])).toMatchObject({ records: [{ offset: 13 }], position: 15 })
  })

  it('is off for an uncommitted reader, markers aside', () => {
    expect(valuesOf(read(Buffer.concat([of(A, 10, 'open'), marker(false, 11, A)]), 10, null))).toEqual(['open'])
  })

  it('agrees with a plain model, wherever the answer is cut', () => {
    const step = fc.record({
      producer: fc.nat(2),
      end: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.boolean() }),
      count: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(29), (steps, cutAt) => {
        const open = new Map<number, { first: number; values: string[] }>()
        const done: { producerId: bigint; firstOffset: number; last: number }[] = []
        const batches: { bytes: Buffer; first: number }[] = []
        const fate = new Map<string, boolean>()
        let next = 0
        for (const { producer, end, count } of [...steps, ...[0, 1, 2].map((producer) => ({ producer, end: true, count: 1 }))]) {
          const id = BigInt(producer)
          if (end === null) {
            const values = Array.from({ length: count }, (_, i) => `${producer}@${next + i}`)
            batches.push({ bytes: of(id, next, ...values), first: next })
            const transaction = open.get(producer) ?? { first: next, values: [] }
            transaction.values.push(...values)
            open.set(producer, transaction)
            next += count
          } else {
            const transaction = open.get(producer)
            for (const value of transaction?.values ?? []) fate.set(value, end)
            if (transaction !== undefined && !end) done.push({ producerId: id, firstOffset: transaction.first, last: next })
            open.delete(producer)
            batches.push({ bytes: marker(end, next, id), first: next })
            next++
          }
        }
        const from = batches[Math.min(cutAt, batches.length - 1)]?.first ?? 0
        const log = Buffer.concat(batches.filter((b) => b.first >= from).map((b) => b.bytes))
        const aborted = done.filter((a) => a.last >= from) // what a broker lists: those that end behind the start of the answer
        const wanted = [...fate].filter(([value, kept]) => kept && Number(value.split('@')[1]) >= from).map(([value]) => value)
        expect(valuesOf(read(log, from, aborted)).sort()).toEqual(wanted.sort())
      }),
      { numRuns: 300 },
    )
  })
})

describe('names of what was thrown', () => {
  it("finds the broker's word in the package's errors", () => {
    expect(namesOf(new ResponseError(0, 11, { '/a': [47, null], '/b': [3, null] }, {}))).toEqual([
      'INVALID_PRODUCER_EPOCH',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    expect(namesOf(new ProtocolError(51))).toEqual(['CONCURRENT_TRANSACTIONS'])
    expect(namesOf(new NetworkError('Connection closed'))).toEqual(['NETWORK'])
    expect(namesOf(new TimeoutError('Request timed out'))).toEqual(['TIMEOUT'])
  })

  it('calls a code that the package cannot name, and anything else, unclassified', () => {
    let thrown: unknown
    try {
      throw new ResponseError(0, 11, { '/': [131, null] }, {})
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(TypeError)
    for (const error of [thrown, undefined, null, 'text', new Error('x')]) expect(namesOf(error)).toEqual(['UNCLASSIFIED'])
    expect(failure('end', 'EndTxn', thrown).code).toBe('STREAM_DOUBT')
  })

  it('lets the gravest of several answers count', () => {
    const mixed = new ResponseError(0, 11, { '/a': [45, null], '/b': [47, null] }, {})
    expect(judge('produce', mixed)).toMatchObject({ outcome: 'fenced', name: 'INVALID_PRODUCER_EPOCH' })
    expect(failure('produce', 'Produce to t-0', mixed)).toMatchObject({ code: 'STREAM_FENCED', disposition: 'rewind' })
    expect(failure('produce', 'Produce to t-0', new ProtocolError(10))).toMatchObject({
      code: 'STREAM_RECORD_TOO_LARGE',
      disposition: 'stop',
    })
    expect(failure('end', 'EndTxn of w', new NetworkError('gone')).code).toBe('STREAM_DOUBT')
    expect(failure('fetch', 'Fetch', new NetworkError('gone'))).toMatchObject({ code: 'STREAM_BROKER_UNREACHABLE', disposition: 'retry' })
  })
})
