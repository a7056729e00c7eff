// A schema registry for tests: an HTTP server on the loopback that answers as Confluent's public interface says (subjects, versions,
// schemas by id, compatibility, basic authentication, error codes). Backward compatibility is judged by avsc.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import avsc from 'avsc'

interface Reference {
  readonly name: string
  readonly subject: string
  readonly version: number
}
interface Version {
  readonly id: number
  readonly schema: string
  readonly references: readonly Reference[]
}

export interface TestRegistry {
  readonly url: string
  /** `METHOD /path`, in the order that they came. */
  readonly asked: string[]
  readonly subjects: Map<string, Version[]>
  /** Answers to give instead, first one first: a status and a body. */
  readonly instead: { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }[]
  /** Answers 503 to so many requests of paths that begin so. */
  fail(prefix: string, times: number): void
  /** As a producer of another making would. */
  register(subject: string, schema: object | string, references?: readonly Reference[], schemaType?: string): number
  compatibility(subject: string, level: 'NONE' | 'BACKWARD'): void
  close(): Promise<void>
}

class Refused extends Error {
  readonly status: number
  readonly code: number

  constructor(status: number, code: number, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface TestRegistryOptions {
  readonly user?: { readonly username: string; readonly password: string }
  readonly token?: string
  /** The user may read and nothing else. */
  readonly readOnly?: boolean
}

export async function startRegistry({ user, token, readOnly = false }: TestRegistryOptions = {}): Promise<TestRegistry> {
  const subjects = new Map<string, Version[]>()
  const schemas: { schema: string; references: readonly Reference[]; schemaType: string }[] = []
  const levels = new Map<string, string>()
  const asked: string[] = []
  const instead: TestRegistry['instead'] = []
  const failing = { prefix: '', times: 0 }
  const expected = user === undefined ? token && `Bearer ${token}` : `Basic ${btoa(`${user.username}:${user.password}`)}`

  const typeOf = (schema: string, references: readonly Reference[] = [], registry: Record<string, avsc.Type> = {}): avsc.Type => {
    for (const { subject, version } of references) {
      const referred = subjects.get(subject)?.[version - 1]
      if (referred === undefined) throw new Refused(422, 42201, `no version ${version} of ${subject}`)
      typeOf(referred.schema, referred.references, registry)
    }
    return avsc.Type.forSchema(JSON.parse(schema) as avsc.Schema, { registry })
  }
  const checked = (schema: string, references: readonly Reference[]): avsc.Type => {
    try {
      return typeOf(schema, references)
    } catch (error) {
      throw new Refused(422, 42201, `Invalid schema: ${(error as Error).message}`)
    }
  }
  const add = (subject: string, schema: string, references: readonly Reference[], schemaType = 'AVRO'): number => {
    const versions = subjects.get(subject) ?? []
    const same = versions.find((version) => version.schema === schema)
    if (same !== undefined) return same.id
    if (schemaType === 'AVRO') {
      const reader = checked(schema, references)
      const latest = versions.at(-1)
      if (latest !== undefined && (levels.get(subject) ?? 'BACKWARD') === 'BACKWARD') {
        try {
          reader.createResolver(typeOf(latest.schema, latest.references))
        } catch (error) {
          throw new Refused(409, 409, `Schema being registered is incompatible with an earlier schema\n ${(error as Error).message}`)
        }
      }
    }
    let id = schemas.findIndex((known) => known.schema === schema && known.schemaType === schemaType) + 1
    if (id === 0) id = schemas.push({ schema, references, schemaType })
    subjects.set(subject, [...versions, { id, schema, references }])
    return id
  }
  const versionsOf = (subject: string): Version[] => {
    const versions = subjects.get(subject)
    if (versions === undefined) throw new Refused(404, 40401, `Subject '${subject}' not found.`)
    return versions
  }
  const answer = (method: string, path: readonly string[], body: { schema: string; references?: Reference[] }): unknown => {
    const [root, subject = '', what, version] = path
    if (readOnly && method === 'POST') throw new Refused(403, 40301, 'User is denied operation Write on this subject')
    if (root === 'subjects' && path.length === 1) return [...subjects.keys()]
    if (root === 'subjects' && what === 'versions' && method === 'POST')
      return { id: add(subject, JSON.stringify(JSON.parse(body.schema)), body.references ?? []) }
    if (root === 'subjects' && what === undefined && method === 'POST') {
      const at = versionsOf(subject).findIndex(({ schema }) => schema === JSON.stringify(JSON.parse(body.schema)))
      if (at < 0) throw new Refused(404, 40403, 'Schema not found')
      return { subject, version: at + 1, ...versionsOf(subject)[at] }
    }
    if (root === 'subjects' && what === 'versions') {
      if (version === undefined) return versionsOf(subject).map((_, i) => i + 1)
      const found = versionsOf(subject).at(version === 'latest' ? -1 : Number(version) - 1)
      if (found === undefined) throw new Refused(404, 40402, `Version ${version} not found.`)
      return { subject, version, ...found }
    }
    if (root === 'schemas' && subject === 'ids') {
      const known = schemas[Number(what) - 1]
      if (known === undefined) throw new Refused(404, 40403, 'Schema not found')
      const { schema, schemaType, references } = known
      return { schema, ...(schemaType === 'AVRO' ? {} : { schemaType }), ...(references.length === 0 ? {} : { references }) }
    }
    throw new Refused(404, 404, 'HTTP 404 Not Found')
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const path = (request.url ?? '').split('/').slice(1).map(decodeURIComponent)
    asked.push(`${request.method} ${request.url}`)
    const send = (status: number, body: unknown, headers: object = {}): void => {
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json', ...headers })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    }
    if (failing.times > 0 && request.url?.startsWith(failing.prefix) === true) {
      failing.times--
      return send(503, '')
    }
    const first = instead.shift()
    if (first !== undefined) return send(first.status, first.body, first.headers)
    if (expected !== undefined && request.headers.authorization !== expected) return send(401, { error_code: 401, message: 'Unauthorized' })
    try {
      send(200, answer(request.method as string, path, parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString('utf8'))))
    } catch (error) {
      if (!(error instanceof Refused)) return send(500, { error_code: 50001, message: String(error) })
      send(error.status, { error_code: error.code, message: error.message })
    }
  }
  const server: Server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    subjects,
    instead,
    register: (subject, schema, references = [], schemaType) =>
      add(subject, typeof schema === 'string' ? schema : JSON.stringify(schema), references, schemaType),
    fail: (prefix, times) => void Object.assign(failing, { prefix, times }),
    compatibility: (subject, level) => void levels.set(subject, level),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** What a producer of another making writes. */
export function wireBytes(id: number, schema: object, value: unknown): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt32BE(id, 1)
  return Buffer.concat([header, avsc.Type.forSchema(schema as avsc.Schema).toBuffer(value)])
}
