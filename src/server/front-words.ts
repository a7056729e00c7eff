// What a front in a thread of its own and the processor's thread say to each other.
//
// 1. Arrays rather than objects where there is one for each request: half the time to clone. Rows by their keys, of which there are thousands
//    a second, have none of their own at all: they go over in one text, their answers in another.
import type { ErrorWords, LogLine } from '../base/crossing.ts'
import type { Peer } from '../assignment/peers.ts'
import type { Answer, Ask } from './asks.ts'
import type { Refusal, RefusalCode } from './refusal.ts'

/** How the front's thread begins. */
export interface FrontData {
  readonly port: number
  readonly host: string
  /** Secrets are classes: they cross as text. */
  readonly token: string | null
  readonly advertise: string | null
  readonly self: string | null
}

/** Rows by their keys, and nothing else that is asked of them: 'store/key' each, a line each. Their ids go up by one from the first. */
export interface RowAsks {
  readonly first: number
  readonly lines: string
}

/** What was answered at once to some of them that follow each other: where each text ends behind the one before. */
export interface RowAnswers {
  readonly first: number
  /** Or NO_ROW, or ELSEWHERE: it is among the other answers, or will be. */
  readonly lengths: readonly number[]
  readonly texts: string
}

export const NO_ROW = -1
export const ELSEWHERE = -2

/** A query without fields is null. */
export type AskWords = readonly [
  id: number,
  name: Ask['name'],
  store: string,
  key: string,
  query: Ask['query'] | null,
  forwarded: boolean,
  body: unknown,
]

export type AnswerWords =
  | readonly [id: number, text: string, status: number, type: string | null]
  | readonly [
      id: number,
      other: { readonly owner: Peer } | { readonly owners: readonly Peer[] } | RefusalWords | { readonly error: ErrorWords },
    ]

interface RefusalWords {
  readonly refusal: RefusalCode
  readonly progress: Refusal['progress']
}

/** What the front says. After `asks` it waits for `answers`, the next ones come together. */
export type FrontSaid =
  | {
      readonly kind: 'asks'
      readonly asks: readonly AskWords[]
      readonly rows: RowAsks | null
      readonly answered: readonly (readonly [status: number, count: number])[]
    }
  /** Whoever asked has left. */
  | { readonly kind: 'gone'; readonly id: number }
  | { readonly kind: 'listens'; readonly port: number }
  | { readonly kind: 'failed'; readonly error: ErrorWords }
  | { readonly kind: 'closed' }
  | LogLine

/** What it is told. `more`: it may ask on. */
export type FrontTold =
  | { readonly kind: 'answers'; readonly answers: readonly AnswerWords[]; readonly rows: RowAnswers | null; readonly more: boolean }
  | { readonly kind: 'close' }

const NO_QUERY: Ask['query'] = {}

/** Null: more is asked than a row by its key, or it is no line. */
export function rowLine({ name, store, key, query, forwarded, body }: Ask): string | null {
  if (name !== 'row' || forwarded || body !== undefined || store.includes('/')) return null
  for (const _ in query) return null
  const line = `${store}/${key}`
  return line.includes('\n') ? null : line
}

export function rowOfLine(line: string): Ask {
  const end = line.indexOf('/')
  return { name: 'row', store: line.slice(0, end), key: line.slice(end + 1), query: NO_QUERY, forwarded: false, body: undefined }
}

export function askWords(id: number, { name, store, key, query, forwarded, body }: Ask): AskWords {
  let fields: Ask['query'] | null = null
  for (const _ in query) {
    fields = query
    break
  }
  return [id, name, store, key, fields, forwarded, body]
}

export function askOf([, name, store, key, query, forwarded, body]: AskWords): Ask {
  return { name, store, key, query: query ?? NO_QUERY, forwarded, body }
}

export function answerWords(id: number, answer: Answer): AnswerWords {
  return 'text' in answer ? [id, answer.text, answer.status, answer.type] : [id, answer]
}
