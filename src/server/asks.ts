// What a request asks for once the front has let it in, and what is answered: plain data, so that the two ends may be in two threads.
// The front (front.ts) knows sockets, hosts and tokens; the desk (desk.ts) knows the processor.
//
// 1. A path has at most a store and a key in it.
import type { Peer } from '../assignment/peers.ts'
import { LIMITS } from '../base/limits.ts'
import { ACTS } from './guard.ts'

export interface Path {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly bodyBytesMax?: number
  /** Whoever asks may leave before it is answered, and then it is not worth going on. */
  readonly long?: true
}

const get = (path: string): Path => ({ method: 'GET', path })
/** It may wait in line. */
const range = (path: string): Path => ({ ...get(path), long: true })

export const PATHS = {
  health: get('/health'),
  ready: get('/health/ready'),
  metrics: get('/metrics'),
  topology: get('/topology'),
  openApi: get('/openapi.json'),
  stores: get('/stores'),
  rows: range('/stores/:store'),
  row: get('/stores/:store/:key'),
  windows: range('/windows/:store'),
  windowsOfKey: range('/windows/:store/:key'),
  versions: get('/versions/:store/:key'),
  parked: get('/parked'),
  letters: { ...get('/dead-letters'), long: true },
  ...act(ACTS[0]),
  ...act(ACTS[1]),
} as const satisfies Readonly<Record<string, Path>>

function act<A extends string>(name: A): Record<A, Path> {
  return { [name]: { method: 'POST', path: `/dead-letters/${name}`, bodyBytesMax: LIMITS.letterAskBytesMax } } as Record<A, Path>
}

/** `live`: what /events shows, asked for by the front. */
export type AskName = keyof typeof PATHS | 'live'

export interface Ask {
  readonly name: AskName
  /** '' where the path has none. */
  readonly store: string
  readonly key: string
  readonly query: Readonly<Record<string, unknown>>
  /** By another process, that takes this one for the owner of the key. */
  readonly forwarded: boolean
  readonly body: unknown
}

/** The type of an answer that has none is JSON's. */
export interface Text {
  readonly status: number
  readonly text: string
  readonly type: string | null
}

/** What another process has answered to the same question. */
export interface Forwarded {
  readonly status: number
  readonly text: string
}

/** Or who has the key; or who has some of the rows: the question comes again, with their answers as its body. */
export type Answer = Text | { readonly owner: Peer } | { readonly owners: readonly Peer[] }

/** As the body of a question may be: nothing deep, of which a clone could overflow the stack of the thread that reads it. */
export function isFlat(body: unknown): boolean {
  const isPlain = (value: unknown): boolean => typeof value !== 'object' || value === null
  return isPlain(body) || Object.values(body as object).every((of) => (Array.isArray(of) ? of.every(isPlain) : isPlain(of)))
}

export const answered = (text: string, status = 200, type: string | null = null): Text => ({ status, text, type })

/** A refusal is thrown. `gone`: aborted when whoever asked has left; null: it will be answered all the same. */
export type Answering = (ask: Ask, gone: AbortSignal | null) => Answer | Promise<Answer>
