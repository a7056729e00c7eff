// Talks to a schema registry: the HTTP interface that Confluent's has, and Karapace, Apicurio and Redpanda too. Knows no Avro.
//
// Invariants
// 1. A schema that an id names never changes: what was read once is not asked for again.
// 2. What may pass (no connection, 429, 5xx) is tried a few times, then told as STREAM_REGISTRY with the disposition `retry`; what a person
//    must mend has `stop`.
// 3. Errors are one line; they name the registry and the subject or id, never the credentials.
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Timers, Web } from '../base/ports.ts'
import type { Secret } from '../base/secret.ts'

export type RegistryAuth = { readonly username: string; readonly password: Secret } | { readonly token: Secret }

export interface RegistryAt {
  /** Without a slash at its end, and without credentials. */
  readonly url: string
  readonly auth: RegistryAuth | null
  readonly web: Web
  readonly timers: Timers
}

/** A schema as the registry keeps it, and what it refers to: each before what refers to it. */
export interface KeptSchema {
  readonly text: string
  readonly references: readonly string[]
}

/** Why an id cannot be read, for the dead letter. */
export interface Unreadable {
  readonly reason: string
}

interface Answer {
  readonly status: number
  /** The registry's own code, such as 40403; the status where it gives none. */
  readonly code: number
  readonly body: Readonly<Record<string, unknown>>
}

/** GET /schemas/ids/{id}. Twice when it is not there: nodes of a registry learn of a new schema one after the other. */
export async function schemaById(at: RegistryAt, id: number): Promise<KeptSchema | Unreadable> {
  const ask = (): Promise<Answer> => request(at, 'GET', `/schemas/ids/${id}`)
  let answer = await ask()
  if (answer.status === 404) {
    await at.timers.sleep(LIMITS.registryRetryMs)
    answer = await ask()
  }
  if (answer.status === 404) return { reason: `the schema registry ${at.url} has no schema ${id}` }
  if (answer.status !== 200) throw refused(at, `schema ${id}`, answer)
  const { schema, schemaType = 'AVRO' } = answer.body
  if (schemaType !== 'AVRO') return { reason: `schema ${id} is ${String(schemaType).slice(0, 20)}, not Avro` }
  if (typeof schema !== 'string') throw odd(at, `schema ${id}`)
  return { text: schema, references: await referencesOf(at, answer.body, new Set()) }
}

async function referencesOf(at: RegistryAt, body: Answer['body'], seen: Set<string>): Promise<string[]> {
  const texts: string[] = []
  const references = Array.isArray(body.references) ? (body.references as readonly Record<string, unknown>[]) : []
  for (const { subject, version } of references) {
    const path = `/subjects/${encodeURIComponent(String(subject))}/versions/${encodeURIComponent(String(version))}`
    if (seen.has(path)) continue
    seen.add(path)
    if (seen.size > LIMITS.registryReferencesMax)
      throw new MillraceError('STREAM_REGISTRY', `a schema has more than ${LIMITS.registryReferencesMax} references`)
    const what = `version ${String(version)} of ${String(subject)}`
    const answer = await request(at, 'GET', path)
    if (answer.status !== 200) throw refused(at, what, answer)
    if (typeof answer.body.schema !== 'string') throw odd(at, what)
    texts.push(...(await referencesOf(at, answer.body, seen)), answer.body.schema)
  }
  return texts
}

/** Registers the schema under the subject, or finds it there; its id. */
export async function idOf(at: RegistryAt, subject: string, schema: string, register: boolean): Promise<number> {
  const path = `/subjects/${encodeURIComponent(subject)}`
  const answer = await request(at, 'POST', register ? `${path}/versions` : path, JSON.stringify({ schema }))
  if (answer.status === 200) {
    const { id } = answer.body
    if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 32) return id as number
    throw odd(at, `subject ${subject}`)
  }
  if (answer.status === 404 && !register)
    throw new MillraceError(
      'STREAM_REGISTRY',
      `the schema registry ${at.url} does not have this schema under subject ${subject}: register it there, or leave out register: false`,
    )
  throw refused(at, `subject ${subject}`, answer)
}

async function request(at: RegistryAt, method: 'GET' | 'POST', path: string, body?: string): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      const { status, text } = await at.web({
        method,
        url: `${at.url}${path}`,
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json, application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/vnd.schemaregistry.v1+json' }),
          ...(at.auth === null ? {} : { authorization: authorization(at.auth) }),
        },
        ...(body === undefined ? {} : { body }),
        timeoutMs: LIMITS.registryTimeoutMs,
        answerBytesMax: LIMITS.registryAnswerBytesMax,
      })
      const answer = answered(status, text)
      const passing = status === 429 || status >= 500
      if (!passing) return answer
      if (tries >= LIMITS.registryTries) throw refused(at, path, answer)
    } catch (error) {
      if (error instanceof MillraceError) throw error
      if (tries >= LIMITS.registryTries)
        throw new MillraceError('STREAM_REGISTRY', `the schema registry ${at.url} does not answer: start it, or mend its url`, {
          cause: new Error(explain(error)),
          disposition: 'retry',
        })
    }
    await at.timers.sleep(LIMITS.registryRetryMs * tries)
  }
}

function answered(status: number, text: string): Answer {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = null
  }
  const fields = typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Answer['body']) : {}
  return { status, code: Number.isInteger(fields.error_code) ? (fields.error_code as number) : status, body: fields }
}

function authorization(auth: RegistryAuth): string {
  if ('token' in auth) return `Bearer ${auth.token.reveal()}`
  return `Basic ${Buffer.from(`${auth.username}:${auth.password.reveal()}`, 'utf8').toString('base64')}`
}

function refused(at: RegistryAt, what: string, { status, code, body }: Answer): MillraceError {
  const said = typeof body.message === 'string' ? `: ${body.message.replaceAll(/\s+/g, ' ').slice(0, 300)}` : ''
  const registry = `the schema registry ${at.url}`
  const stop = (message: string): MillraceError => new MillraceError('STREAM_REGISTRY', message)
  if (status === 401)
    return stop(
      at.auth === null
        ? `${registry} asks for credentials (${what}): give auth: {username, password} or {token}`
        : `${registry} does not accept the credentials (${what}): mend auth`,
    )
  if (status === 403) return stop(`${registry} does not allow this (${what}): give the user of auth the right to it`)
  if (status === 409)
    return stop(
      `${registry} refuses the schema of ${what}, it is not compatible with what is there: change the schema, or the subject's compatibility${said}`,
    )
  if (status === 422) return stop(`${registry} takes the schema of ${what} for invalid (${code})${said}: mend the schema`)
  if (status >= 300 && status < 400) return stop(`${registry} sends elsewhere (${status}): name the address that it sends to as url`)
  if (status === 429 || status >= 500)
    return new MillraceError('STREAM_REGISTRY', `${registry} is in trouble (${code}, ${what})${said}: look at its log`, {
      disposition: 'retry',
    })
  return stop(`${registry} answers ${code} (${what})${said}: is its url that of a schema registry?`)
}

function odd(at: RegistryAt, what: string): MillraceError {
  return new MillraceError(
    'STREAM_REGISTRY',
    `the schema registry ${at.url} answers what is none (${what}): is its url that of a schema registry?`,
  )
}
