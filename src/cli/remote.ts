// How `query --url` gets at rows: a running process answers by HTTP, page by page. The same rows as `query` shows otherwise.
//
// 1. The token goes to that address only: no redirect is followed, and it is in no message.
// 2. A page is of one epoch; the next page may be of a later one.
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Secret } from '../base/secret.ts'
import { systemWeb } from '../base/system.ts'
import type { RowsAsk } from '../control/rows.ts'
import type { ControlHandler } from '../control/wire.ts'

export type RowsControl = Pick<ControlHandler, 'query' | 'rows'>

type Fields = Readonly<Record<string, string | number | undefined>>

interface Page {
  readonly entries: readonly unknown[]
  readonly next?: string
}

export function remoteRows(url: string, token: Secret | null): RowsControl {
  const base = baseOf(url)
  /** Null: there is no such row, or no such path. */
  const get = async (path: string, fields: Fields): Promise<unknown> => {
    const asked = new URL(`${base}${path}`)
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) asked.searchParams.set(name, String(value))
    const { status, text } = await systemWeb({
      method: 'GET',
      url: asked.href,
      headers: token === null ? {} : { authorization: `Bearer ${token.reveal()}` },
      timeoutMs: LIMITS.httpRequestTimeoutMs,
      answerBytesMax: LIMITS.lineBytesMax,
    }).catch((cause: unknown) => {
      throw new MillraceError('STREAM_CLOSED', `${base}: nobody answers there (${explain(cause)}); is it the --port of a running process?`)
    })
    if (status === 404) return null
    const answer = jsonOf(text)
    if (status !== 200) throw refused(base, status, answer)
    if (answer === null) throw new MillraceError('STREAM_USAGE', `${base}: what it answers is not of millrace`)
    return answer
  }
  const page = async (store: string, path: string, fields: Fields): Promise<Page> => {
    const answer = (await get(path, fields)) as Page | null
    if (Array.isArray(answer?.entries)) return answer as Page
    throw new MillraceError('STREAM_USAGE', `${base}: it has no store ${store} that can be asked so`)
  }

  return {
    async query(store, key) {
      const row = (await get(`/stores/${named(store)}/${named(key)}`, {})) as { readonly value: unknown } | null
      return row === null ? null : { value: row.value }
    },
    async *rows(store, ask, limit) {
      if (ask.form === 'asOf') {
        const row = (await get(`/stores/${named(store)}/${named(ask.key)}`, { asOf: ask.at })) as Version | null
        if (row !== null) yield [JSON.stringify({ value: row.value, timestamp: row.timestamp })]
        return
      }
      const { path, fields, next } = askedBy(store, ask)
      let from: string | undefined
      for (let left = limit; left > 0; ) {
        const more = from === undefined ? {} : { [next]: from }
        const found = await page(store, path, { ...fields, ...more, limit: Math.min(left, LIMITS.answerRowsMax) })
        yield found.entries.map((entry) => JSON.stringify(entry))
        left -= found.entries.length
        from = found.next
        if (from === undefined) return
      }
    },
  }
}

interface Version {
  readonly value: unknown
  readonly timestamp: number
}

/** Where a form of rows is asked for, and by which field the following page. */
function askedBy(
  store: string,
  ask: Exclude<RowsAsk, { readonly form: 'asOf' }>,
): { readonly path: string; readonly fields: Fields; readonly next: string } {
  if (ask.form === 'range') {
    const { from, to, prefix } = ask
    return { path: `/stores/${named(store)}`, fields: { from, to, prefix }, next: 'from' }
  }
  if (ask.form === 'versions') {
    const { key, from, to } = ask
    return { path: `/versions/${named(store)}/${named(key)}`, fields: { from, to }, next: 'to' }
  }
  const { key, keyFrom, keyTo, from, to } = ask
  const path = `/windows/${named(store)}${key === undefined ? '' : `/${named(key)}`}`
  return { path, fields: { keyFrom, keyTo, from, to }, next: 'cursor' }
}

/** A part of a path. */
function named(name: string): string {
  if (name !== '.' && name !== '..') return encodeURIComponent(name)
  throw new MillraceError('STREAM_USAGE', `--url: ${JSON.stringify(name)} cannot be in a URL; ask for a range that begins and ends there`)
}

/** Without a slash at its end. */
function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:'))
    throw new MillraceError('STREAM_USAGE', '--url must be such as http://127.0.0.1:8080')
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '')
    throw new MillraceError('STREAM_USAGE', '--url takes no user, query or fragment; a token comes from --token-file or MILLRACE_TOKEN')
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`
}

function refused(base: string, status: number, answer: unknown): MillraceError {
  const { code, remaining } = (answer ?? {}) as { readonly code?: unknown; readonly remaining?: unknown }
  const said = `${base}: ${status}${typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? ` ${code}` : ''}`
  if (status === 401)
    return new MillraceError('STREAM_USAGE', `${said}: it wants its token, from --token-file or MILLRACE_TOKEN`, { disposition: 'stop' })
  if (status === 400) return new MillraceError('STREAM_USAGE', `${said}: it does not take this key or limit`)
  if (typeof remaining === 'number')
    return new MillraceError('STREAM_STORE_RESTORING', `${said}: the store is being restored, ${remaining} records are left; ask again`)
  if (status === 503)
    return new MillraceError('STREAM_NOT_LOCAL', `${said}: it is not ready, or the rows are in other processes; ask again`)
  return new MillraceError('STREAM_USAGE', `${said}: it does not answer this`, { disposition: 'stop' })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
