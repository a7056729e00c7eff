// avro(): Avro's binary form through avsc. Without a registry: whoever reads must know the schema that wrote.
//
// Invariants
// 1. `avro(schema)` reads and writes plain binary, without a header.
// 2. `avro(schema, {writer})` reads plain binary of the writer's schema, and what it wrote itself. It cannot write the writer's
//    schema (a field may have no place there), and plain binary of its own would be read wrong: so it writes Avro's single-object
//    encoding, whose header names the schema. It reads that header for both schemas.
// 3. A long that is not within 2^53 - 2 of 0 is refused on both ways; within, it is exact (avro-exact.ts).
// 4. Counts are checked before avsc believes them (avro-bounds.ts), and a map's key `__proto__` is refused: avsc builds maps by assignment.
// 5. avsc's messages quote values; they never leave this file.
import { createRequire } from 'node:module'
import type { Type } from 'avsc'
import { asBuffer } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { avroBounds } from './avro-bounds.ts'
import { exactTypes } from './avro-exact.ts'
import { singleObjectHeader } from './avro-fingerprint.ts'
import { kindOf, refuseBytes } from './refuse.ts'
import type { Serde } from './serde.ts'

/** An Avro schema: an object, a list (a union), a primitive's name, or the schema as JSON text. */
export type AvroSchema = string | object

export interface AvroOptions {
  /** The schema that wrote what is read; resolved to the reader's (defaults, promotions, fields left out). */
  readonly writer?: AvroSchema
}

type Avsc = typeof import('avsc')
let avsc: Avsc | undefined

/** avsc takes 20 ms to load; programs without Avro do not pay them. */
function load(): Avsc {
  avsc ??= createRequire(import.meta.url)('avsc') as Avsc
  return avsc
}

/** A schema as avsc's type. Throws STREAM_USAGE. For registries too: `names` are types that it may refer to; its own are added. */
export function avroType(schema: AvroSchema, names: Record<string, Type> = {}): Type {
  try {
    const parsed = typeof schema === 'string' && /^\s*[[{"]/.test(schema) ? (JSON.parse(schema) as AvroSchema) : schema
    const exact = exactTypes(load())
    // A primitive comes as 'long' and as {type: 'long', logicalType: ...}.
    const typeHook = (part: unknown): Type | undefined => exact.get(typeof part === 'string' ? part : (part as { type?: unknown }).type)
    return load().Type.forSchema(parsed as Parameters<Avsc['Type']['forSchema']>[0], {
      omitRecordMethods: true,
      typeHook,
      registry: names,
    })
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', 'avro(): the schema is not valid', { cause: error })
  }
}

const PROTO_KEY = Buffer.from('\x12__proto__')

/** Reads plain binary of `writer` as `reader`. Throws STREAM_USAGE when no such value could be read. For registries too. */
export function avroReader(reader: Type, writer: Type, serde: string): (bytes: Buffer) => unknown {
  const schema = writer.schema()
  const bounds = avroBounds(schema)
  const maps = JSON.stringify(schema).includes('"type":"map"')
  let resolver: ReturnType<Type['createResolver']> | undefined
  if (!reader.equals(writer)) {
    try {
      resolver = reader.createResolver(writer)
    } catch (error) {
      throw new MillraceError('STREAM_USAGE', `${serde}: the schema cannot read what the writer's schema writes`, { cause: error })
    }
  }
  return (bytes) => {
    if (maps && bytes.includes(PROTO_KEY)) throw refuseBytes(serde, 'the bytes hold a key "__proto__"')
    try {
      bounds?.(bytes)
      return reader.fromBuffer(bytes, resolver)
    } catch {
      throw refuseBytes(serde, `the ${bytes.length} bytes are not of the schema`)
    }
  }
}

/** Writes plain binary. For registries too. */
export function avroWriter(type: Type, serde: string): (value: unknown) => Buffer {
  const maps = JSON.stringify(type.schema()).includes('"type":"map"')
  return (value) => {
    let bytes: Buffer
    try {
      bytes = type.toBuffer(value)
    } catch {
      throw explainInvalid(type, value, serde)
    }
    if (maps && bytes.includes(PROTO_KEY)) throw refuseBytes(serde, 'the value holds a key "__proto__"')
    return bytes
  }
}

function explainInvalid(type: Type, value: unknown, serde: string): MillraceError {
  let found: string | undefined
  const errorHook = (path: string[], inner: unknown, expected: Type): void => {
    found ??= `${path.length === 0 ? '' : `${path.join('.')}: `}expected ${expected.branchName ?? expected.typeName}, got ${kindOf(inner)}`
  }
  try {
    type.isValid(value, { errorHook })
  } catch {
    // A getter or a type of the user's throws; there is no better word for it than the one below.
  }
  return refuseBytes(serde, found ?? 'the value is not of the schema')
}

/** The JSON form that the Avro specification gives: unions wrapped by their branch, bytes as text of one byte a character. */
export function avroJson<T>(type: Type, serde: string): Required<Pick<Serde<T>, 'toJson' | 'fromJson'>> {
  return {
    toJson(value) {
      try {
        return JSON.parse(type.toString(value)) as unknown
      } catch {
        throw explainInvalid(type, value, serde)
      }
    },
    fromJson(json) {
      try {
        return type.fromString(JSON.stringify(json)) as T
      } catch {
        throw refuseBytes(serde, 'the JSON is not of the schema (unions are written as {"branch": value})')
      }
    },
  }
}

const known = new WeakMap<object, Serde<any>>()

function build(schema: AvroSchema, options: AvroOptions): Serde<any> {
  const type = avroType(schema)
  const name = `avro:${type.branchName ?? type.typeName}`
  const write = avroWriter(type, name)
  const read = avroReader(type, type, name)
  const json = avroJson<unknown>(type, name)
  if (options.writer === undefined)
    return Object.freeze({ name, encode: write, decode: (bytes: Uint8Array) => read(asBuffer(bytes)), ...json })

  const writer = avroType(options.writer)
  const readWritten = avroReader(type, writer, name)
  const header = singleObjectHeader(JSON.stringify(type.schema()))
  const writerHeader = singleObjectHeader(JSON.stringify(writer.schema()))
  const begins = (bytes: Buffer, with_: Buffer): boolean =>
    bytes.length >= with_.length && bytes.compare(with_, 0, with_.length, 0, with_.length) === 0
  return Object.freeze({
    name,
    encode: (value: unknown) => Buffer.concat([header, write(value)]),
    decode(bytes: Uint8Array): unknown {
      const buffer = asBuffer(bytes)
      if (begins(buffer, header)) return read(buffer.subarray(header.length))
      return readWritten(begins(buffer, writerHeader) ? buffer.subarray(writerHeader.length) : buffer)
    },
    ...json,
  })
}

/**
 * Avro. Plain binary of the schema; with `writer`, what another schema wrote is read as this one. One schema object gives one serde.
 *
 *     const product = avro<Product>({ type: 'record', name: 'com.shop.Product', fields: [{ name: 'price', type: 'double' }] })
 */
export function avro<T = unknown>(schema: AvroSchema, options: AvroOptions = {}): Serde<T> {
  if (typeof schema !== 'object' || options.writer !== undefined) return build(schema, options)
  let serde = known.get(schema)
  if (serde === undefined) {
    serde = build(schema, options)
    known.set(schema, serde)
  }
  return serde
}
