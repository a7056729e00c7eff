// Checks the shape of Avro bytes before avsc reads them, for schemas with arrays or maps. avsc believes a count: four bytes that claim
// 2^31 items keep it busy for minutes, and a negative block size makes it skip backwards for ever. Builds no values.
//
// Invariants
// 1. Every count is covered by bytes that are there; items of no bytes (null, an empty record) are limited by LIMITS.recordBytesMax.
// 2. A block's size, where one is given, is the size of its items.
import { LIMITS } from '../base/limits.ts'

interface Cursor {
  readonly bytes: Buffer
  at: number
}

type Skip = (cursor: Cursor) => void

interface Shape {
  readonly skip: Skip
  /** Whether a value may take no bytes at all. */
  readonly mayBeEmpty: boolean
}

/** An Avro schema in canonical form, as avsc's `schema()` gives it. */
type Canonical = string | readonly Canonical[] | Readonly<Record<string, any>>

function readLong(cursor: Cursor): number {
  let n = 0
  for (let i = 0, unit = 1; i < 10; i++, unit *= 128) {
    const byte = cursor.bytes[cursor.at++]
    if (byte === undefined) throw new RangeError('the bytes end too soon')
    n += (byte & 0x7f) * unit
    if (byte < 0x80) return n % 2 === 0 ? n / 2 : -(n + 1) / 2
  }
  throw new RangeError('a number takes more than 10 bytes')
}

function pass(cursor: Cursor, length: number): void {
  if (length < 0) throw new RangeError('a length is negative')
  if (length > cursor.bytes.length - cursor.at) throw new RangeError('the bytes end too soon')
  cursor.at += length
}

const fixed = (length: number): Shape => ({ skip: (cursor) => pass(cursor, length), mayBeEmpty: length === 0 })
const LONG: Shape = { skip: readLong, mayBeEmpty: false }
const LENGTH_AND_BYTES: Shape = { skip: (cursor) => pass(cursor, readLong(cursor)), mayBeEmpty: false }

const PRIMITIVES: ReadonlyMap<string, Shape> = new Map([
  ['null', fixed(0)],
  ['boolean', fixed(1)],
  ['int', LONG],
  ['long', LONG],
  ['float', fixed(4)],
  ['double', fixed(8)],
  ['bytes', LENGTH_AND_BYTES],
  ['string', LENGTH_AND_BYTES],
])

function blocks(item: Skip, mayBeEmpty: boolean): Shape {
  const skip = (cursor: Cursor): void => {
    let items = 0
    for (let count = readLong(cursor); count !== 0; count = readLong(cursor)) {
      const size = count < 0 ? readLong(cursor) : -1
      const start = cursor.at
      items += Math.abs(count)
      const most = mayBeEmpty ? LIMITS.recordBytesMax : cursor.bytes.length
      if (items > most) throw new RangeError('a count is greater than the bytes that are there')
      for (let i = Math.abs(count); i > 0; i--) item(cursor)
      if (count < 0 && cursor.at - start !== size) throw new RangeError('a block has not the size that it says')
    }
  }
  return { skip, mayBeEmpty: false }
}

function compile(schema: Canonical, named: Map<string, Shape>): Shape {
  if (typeof schema === 'string') {
    const shape = PRIMITIVES.get(schema) ?? named.get(schema)
    if (shape === undefined) throw new TypeError(`unknown type ${schema}`)
    return shape
  }
  if (Array.isArray(schema)) {
    const branches = schema.map((branch: Canonical) => compile(branch, named))
    const skip = (cursor: Cursor): void => {
      const branch = branches[readLong(cursor)]
      if (branch === undefined) throw new RangeError('a union has no such branch')
      branch.skip(cursor)
    }
    return { skip, mayBeEmpty: false }
  }
  const type = schema as Readonly<Record<string, any>>
  switch (type.type) {
    case 'array': {
      const items = compile(type.items, named)
      return blocks(items.skip, items.mayBeEmpty)
    }
    case 'map': {
      const values = compile(type.values, named)
      const entry = (cursor: Cursor): void => {
        LENGTH_AND_BYTES.skip(cursor)
        values.skip(cursor)
      }
      return blocks(entry, false)
    }
    case 'fixed':
    case 'enum': {
      const shape = type.type === 'fixed' ? fixed(type.size) : LONG
      named.set(type.name, shape)
      return shape
    }
    case 'record':
    case 'error': {
      const fields: Shape[] = []
      // A record that holds itself does so in a union, an array or a map, which take bytes.
      const skip = (cursor: Cursor): void => {
        for (const field of fields) field.skip(cursor)
      }
      const shape = { skip, mayBeEmpty: true }
      named.set(type.name, shape)
      for (const field of type.fields) fields.push(compile(field.type, named))
      shape.mayBeEmpty = fields.every((field) => field.mayBeEmpty)
      return shape
    }
    default:
      return compile(type.type, named)
  }
}

const REPEATS = /"type":"(?:array|map)"/

/** A check of bytes against a schema, that throws; null: nothing repeats in it, so avsc alone is bounded. */
export function avroBounds(schema: unknown): ((bytes: Buffer) => void) | null {
  if (!REPEATS.test(JSON.stringify(schema))) return null
  const { skip } = compile(schema as Canonical, new Map())
  return (bytes) => skip({ bytes, at: 0 })
}
