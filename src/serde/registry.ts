// registry(): Avro in the wire format of Confluent's schema registry: a byte 0, the id of the schema that wrote it (int32, big-endian),
// plain Avro binary. Reads what any schema of the registry wrote, as its own schema; writes its own.
//
// Invariants
// 1. Nothing here waits: `decode` of an id that is not known yet throws a NotYet whose `need` reads it, and the record is processed again.
// 2. `prepare` gives a topic's subject this schema, once. An id names one schema wherever it is registered, so any of its ids may be written.
// 3. An id that the registry does not have, and a schema that cannot be read as this one, are faults of the record: it can be parked.
// 4. One registry reads an id once for all its serdes.
// 5. Credentials are Secrets from the start and leave this room only in a header.
import type { Type } from 'avsc'
import { asBuffer } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { NotYet } from '../base/not-yet.ts'
import type { Web } from '../base/ports.ts'
import { Secret } from '../base/secret.ts'
import { systemWeb, systemWorld } from '../base/system.ts'
import { type AvroSchema, avroJson, avroReader, avroType, avroWriter } from './avro.ts'
import { refuseBytes } from './refuse.ts'
import { idOf, type KeptSchema, type RegistryAt, type RegistryAuth, schemaById, type Unreadable } from './registry-client.ts'
import type { RecordHalf, Serde } from './serde.ts'

/** The subject of a topic's schema: `<topic>-value`, the record's full name, `<topic>-<full name>`, or what the function answers. */
export type SubjectStrategy =
  | 'topicName'
  | 'recordName'
  | 'topicRecordName'
  | ((topic: string, half: RecordHalf, recordName: string) => string)

export interface RegistryAvroOptions {
  /** Default: 'topicName'. */
  readonly subject?: SubjectStrategy
  /** False: the schema must be registered already. Default: true. */
  readonly register?: boolean
}

export interface RegistryOptions extends RegistryAvroOptions {
  /** http or https; without credentials in it. */
  readonly url: string
  readonly auth?: { readonly username: string; readonly password: string } | { readonly token: string }
  /** Credentials over http to another machine are meant. */
  readonly insecure?: boolean
  /** For tests: who asks. */
  readonly web?: Web
}

export interface Registry {
  /** What any schema of the registry wrote, read as this one; written as this one. */
  avro<T = unknown>(schema: AvroSchema, options?: RegistryAvroOptions): Serde<T>
}

type Kept = KeptSchema | Unreadable

/** Schemas by id, of one registry. */
interface Schemas {
  readonly at: RegistryAt
  readonly known: Map<number, Kept>
  readonly asked: Map<number, Promise<void>>
}

const MAGIC = 0
const HEADER_BYTES = 5

/**
 * A schema registry that speaks Confluent's HTTP interface.
 *
 *     const schemas = registry({ url: 'https://registry:8081', auth: { username: 'orders', password } })
 *     const order = schemas.avro<Order>({ type: 'record', name: 'com.shop.Order', fields: [...] })
 */
export function registry(options: RegistryOptions): Registry {
  const at: RegistryAt = { ...placeOf(options), web: options.web ?? systemWeb, timers: systemWorld().timers }
  const schemas: Schemas = { at, known: new Map(), asked: new Map() }
  checkAvroOptions(options)
  return Object.freeze({
    avro<T>(schema: AvroSchema, own: RegistryAvroOptions = {}): Serde<T> {
      checkAvroOptions(own)
      return registrySerde<T>(schemas, schema, {
        subject: own.subject ?? options.subject ?? 'topicName',
        register: own.register ?? options.register ?? true,
      })
    },
  })
}

function registrySerde<T>(schemas: Schemas, schema: AvroSchema, options: Required<RegistryAvroOptions>): Serde<T> {
  const type = avroType(schema)
  const recordName = type.branchName ?? type.typeName
  const name = `registry-avro:${recordName}`
  const text = schemaText(schema)
  const write = avroWriter(type, name)
  const readers = new Map<number, (bytes: Buffer) => unknown>()
  const prepared = new Map<string, Promise<void>>()
  let id: number | null = null

  const prepareSubject = async (subject: string): Promise<void> => {
    const given = await idOf(schemas.at, subject, text, options.register)
    id ??= given
    readers.set(given, avroReader(type, type, name))
  }
  return Object.freeze({
    name,
    rewrites: true,
    ...avroJson<T>(type, name),
    prepare(topic: string, half: RecordHalf): Promise<void> {
      const subject = subjectOf(options.subject, topic, half, recordName)
      let done = prepared.get(subject)
      if (done === undefined) {
        done = prepareSubject(subject)
        prepared.set(subject, done)
        done.catch(() => prepared.delete(subject)) // asked again by the next start
      }
      return done
    },
    encode(value: T): Uint8Array {
      if (id === null)
        throw new MillraceError(
          'STREAM_REGISTRY',
          `${name} has no schema id yet: outside of a running topology await its prepare(topic, 'value') first`,
        )
      const body = write(value)
      const bytes = Buffer.allocUnsafe(HEADER_BYTES + body.length)
      bytes[0] = MAGIC
      bytes.writeUInt32BE(id, 1)
      body.copy(bytes, HEADER_BYTES)
      return bytes
    },
    decode(bytes: Uint8Array): T {
      const buffer = asBuffer(bytes)
      if (buffer.length < HEADER_BYTES || buffer[0] !== MAGIC)
        throw refuseBytes(name, `the ${buffer.length} bytes do not begin with a 0 and a schema id`)
      const writer = buffer.readUInt32BE(1)
      let read = readers.get(writer)
      if (read === undefined) {
        read = readerOf(schemas, type, name, writer)
        readers.set(writer, read)
      }
      return read(buffer.subarray(HEADER_BYTES)) as T
    },
  })
}

/** Throws a NotYet for a schema that was not read yet, STREAM_SERDE for one that nobody can read. */
function readerOf(schemas: Schemas, type: Type, name: string, id: number): (bytes: Buffer) => unknown {
  const kept = schemas.known.get(id)
  if (kept === undefined)
    throw new NotYet('STREAM_REGISTRY', `schema ${id} has not come from the schema registry yet: ask again`, () => fetchSchema(schemas, id))
  if ('reason' in kept) throw refuseBytes(name, kept.reason)
  let writer: Type
  try {
    const names: Record<string, Type> = {}
    for (const reference of kept.references) avroType(reference, names)
    writer = avroType(kept.text, names)
  } catch (error) {
    throw refuseBytes(name, `schema ${id} of the schema registry is not valid Avro`, error)
  }
  try {
    return avroReader(type, writer, name)
  } catch (error) {
    throw refuseBytes(name, `what schema ${id} wrote cannot be read as this schema`, error)
  }
}

function fetchSchema(schemas: Schemas, id: number): Promise<void> {
  if (schemas.known.has(id)) return Promise.resolve()
  let asked = schemas.asked.get(id)
  if (asked === undefined) {
    const keep = (kept: Kept): void => {
      if ('reason' in kept) forgetRefused(schemas.known)
      schemas.known.set(id, kept)
    }
    asked = schemaById(schemas.at, id)
      .then(keep)
      .finally(() => schemas.asked.delete(id))
    schemas.asked.set(id, asked)
  }
  return asked
}

/** Garbage that looks like ids must not fill the memory. */
function forgetRefused(known: Map<number, Kept>): void {
  const refused = [...known].filter(([, kept]) => 'reason' in kept)
  if (refused.length >= LIMITS.registryRefusedMax) for (const [id] of refused) known.delete(id)
}

function subjectOf(strategy: SubjectStrategy, topic: string, half: RecordHalf, recordName: string): string {
  if (strategy === 'topicName') return `${topic}-${half}`
  if (strategy === 'recordName') return recordName
  if (strategy === 'topicRecordName') return `${topic}-${recordName}`
  const subject: unknown = strategy(topic, half, recordName)
  if (typeof subject === 'string' && subject !== '') return subject
  throw new MillraceError('STREAM_USAGE', `registry: the subject of ${topic}, ${half}, must be a name, not ${JSON.stringify(subject)}`)
}

function schemaText(schema: AvroSchema): string {
  if (typeof schema !== 'string') return JSON.stringify(schema)
  return /^\s*[[{"]/.test(schema) ? schema : JSON.stringify(schema)
}

const STRATEGIES: readonly unknown[] = ['topicName', 'recordName', 'topicRecordName', undefined]

function checkAvroOptions({ subject, register }: RegistryAvroOptions): void {
  if (!STRATEGIES.includes(subject) && typeof subject !== 'function')
    throw usage(`subject must be 'topicName', 'recordName', 'topicRecordName' or a function, not ${JSON.stringify(subject)}`)
  if (register !== undefined && typeof register !== 'boolean') throw usage('register must be true or false')
}

function usage(message: string): MillraceError {
  return new MillraceError('STREAM_USAGE', `registry: ${message}`)
}

function placeOf({ url, auth, insecure = false }: RegistryOptions): { readonly url: string; readonly auth: RegistryAuth | null } {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw usage("url must be an address such as 'http://localhost:8081'")
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw usage(`url must begin with http: or https:, not ${parsed.protocol}`)
  if (parsed.username !== '' || parsed.password !== '') throw usage('credentials go into auth: {username, password}, not into the url')
  if (parsed.search !== '' || parsed.hash !== '') throw usage('url must end with its path')
  const secret = authOf(auth)
  const local = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(parsed.hostname)
  if (secret !== null && parsed.protocol === 'http:' && !local && !insecure)
    throw usage('auth over http shows the credentials to the network: use https, or insecure: true')
  return { url: `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`, auth: secret }
}

function authOf(auth: unknown): RegistryAuth | null {
  if (auth === undefined) return null
  const { username, password, token } = (typeof auth === 'object' && auth !== null ? auth : {}) as Record<string, unknown>
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
  if (isText(token) && username === undefined && password === undefined) return { token: new Secret(token) }
  if (isText(username) && isText(password) && token === undefined) return { username, password: new Secret(password) }
  throw usage('auth must be {username, password} or {token}, each a text that is not empty')
}
