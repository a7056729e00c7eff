// A row by its key, answered without the router: what is asked for thousands of times a second and needs nothing of it.
//
// Invariants
// 1. It takes a path in which nothing is to be decoded, without a query, that no other process has passed on. All else is the router's.
// 2. It answers as the router's way would, byte for byte but for the date: the same guard, once; the same bounds, headers and count.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Peer } from '../assignment/peers.ts'
import { LIMITS } from '../base/limits.ts'
import type { Answer, Answering, Ask, Text } from './asks.ts'
import { FORWARDED } from './forward.ts'
import type { Guard } from './guard.ts'
import { Refusal } from './refusal.ts'

/** What the listener has for it. */
export interface Way {
  readonly guard: Guard
  readonly send: (response: ServerResponse, status: number, text: string) => void
  readonly refuse: (request: IncomingMessage, response: ServerResponse, error: unknown) => void
}

export interface LaneOptions {
  readonly ask: Answering
  readonly elsewhere: (owner: Peer, url: string) => Promise<Text>
  /** Questions that wait, of the router's with these. */
  readonly waiting: { asks: number }
}

/** False: the router is to answer; nothing has been done. */
export type Lane = (request: IncomingMessage, response: ServerResponse) => boolean

const ROW = /^\/stores\/([A-Za-z0-9._-]+)\/([A-Za-z0-9._~-]+)$/
const NO_QUERY: Ask['query'] = {}

export function laneOf({ guard, send, refuse }: Way, { ask, elsewhere, waiting }: LaneOptions): Lane {
  return (request, response) => {
    const { url = '' } = request
    if (request.method !== 'GET' || request.headers[FORWARDED] !== undefined) return false
    const [, store, key] = ROW.exec(url) ?? []
    if (store === undefined || key === undefined) return false
    const give = ({ status, text }: Text): void => {
      waiting.asks--
      send(response, status, text)
    }
    const fail = (error: unknown): void => {
      waiting.asks--
      refuse(request, response, error)
    }
    const take = (answer: Answer): void => {
      if ('text' in answer) give(answer)
      else if ('owner' in answer) elsewhere(answer.owner, url).then(give, fail)
      else fail(new Refusal('NOT_READY')) // one row has one owner
    }
    waiting.asks++
    try {
      guard(request)
      if (waiting.asks > LIMITS.asksWaitingMax) throw new Refusal('NOT_READY')
      const answer = ask({ name: 'row', store, key, query: NO_QUERY, forwarded: false, body: undefined }, null)
      if (answer instanceof Promise) answer.then(take, fail)
      else take(answer)
    } catch (error) {
      fail(error)
    }
    return true
  }
}
