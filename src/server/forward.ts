// Queries of a key that lives on another instance, passed on to the one that has it. How the two know each other: a proof over the process
// that is meant, the time and the path, keyed by the token that all instances share. The token itself never crosses.
//
// Invariants
// 1. A request that was passed on is never passed on again: who does not have the key says so.
// 2. An answer that does not prove to come from the process that was asked, too long, too late, or of a status that no query has, is
//    OWNER_UNREACHABLE: somebody else may have the port by now.
// 3. A loopback address is good on its own machine only.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http'
import { hostname } from 'node:os'
import type { Peer } from '../assignment/peers.ts'
import { isLoopback, splitAddress } from '../base/address.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Secret } from '../base/secret.ts'
import type { Forwarded } from './asks.ts'
import { Refusal } from './refusal.ts'

/** On the request: `<epoch ms>.<proof>`. */
export const FORWARDED = 'millrace-forwarded'
/** On the answer: a proof that the process which was meant has given it. */
export const ANSWERED = 'millrace-answered'

export interface Forwarder {
  /** The owner's answer to the same query. Throws OWNER_UNREACHABLE. */
  ask(peer: Peer, path: string): Promise<Forwarded>
  close(): void
}

/** What an owner may say of a key. */
const STATUSES: readonly number[] = [200, 400, 403, 404, 503]
/** A row is answered whole, however long it is; JSON may take six bytes for one. */
const ANSWER_BYTES_MAX = 8 * LIMITS.recordBytesMax

export interface ForwardOptions {
  readonly token: Secret | null
  readonly world: World
}

export function openForwarder({ token, world }: ForwardOptions): Forwarder {
  const agent = new Agent({ keepAlive: true, maxSockets: LIMITS.forwardSocketsMax, timeout: LIMITS.forwardWaitMs })
  const once = (peer: Peer, path: string): Promise<Forwarded> =>
    new Promise((resolve, reject) => {
      const stamp = String(world.clock.now())
      const { host, port } = splitAddress(peer.address)
      const headers = { host: peer.address, [FORWARDED]: `${stamp}.${proofOf(token, peer.host, 'ask', stamp, path)}` }
      const asked = httpRequest({ agent, host, port, path, headers })
      const cancel = world.timers.after(LIMITS.forwardWaitMs, () => asked.destroy(new Error('no answer in time')))
      asked.on('close', cancel)
      asked.on('error', (cause) => reject(new Unreached(asked.reusedSocket, cause)))
      asked.on('response', (answer) => {
        const fail = (): void => {
          asked.destroy()
          reject(new Unreached(false))
        }
        if (!isProof(answer.headers[ANSWERED], proofOf(token, peer.host, 'answer', stamp, path)) || !isQueryAnswer(answer)) return fail()
        const parts: Buffer[] = []
        let bytes = 0
        answer.on('data', (part: Buffer) => {
          bytes += part.length
          parts.push(part)
          if (bytes > ANSWER_BYTES_MAX) fail()
        })
        answer.on('error', fail)
        answer.on('aborted', fail)
        answer.on('end', () => resolve({ status: answer.statusCode as number, text: Buffer.concat(parts).toString('utf8') }))
      })
      asked.end()
    })
  return {
    async ask(peer, path) {
      if (isLoopback(splitAddress(peer.address).host) && peer.machine !== hostname()) throw new Refusal('OWNER_UNREACHABLE')
      try {
        return await once(peer, path).catch((error: unknown) => {
          // The other end may close a connection that has waited for its next request.
          if (error instanceof Unreached && error.onReused) return once(peer, path)
          throw error
        })
      } catch (error) {
        world.logger.debug({ owner: peer.address, reason: String((error as Error).cause ?? error) }, 'the owner of a key does not answer')
        throw new Refusal('OWNER_UNREACHABLE')
      }
    },
    close: () => agent.destroy(),
  }
}

class Unreached extends Error {
  readonly onReused: boolean

  constructor(onReused: boolean, cause?: unknown) {
    super('unreached', { cause })
    this.onReused = onReused
  }
}

function isQueryAnswer({ statusCode = 0, headers }: IncomingMessage): boolean {
  return STATUSES.includes(statusCode) && headers['content-type']?.startsWith('application/json') === true
}

/** Whether a request was passed on by an instance that has the same token, to this very process, just now. */
export function isForward({ headers, url }: IncomingMessage, self: string, token: Secret | null, nowMs: number): boolean {
  const [, stamp, proof] = /^(\d{1,16})\.([0-9a-f]{64})$/.exec(String(headers[FORWARDED])) ?? []
  if (stamp === undefined || Math.abs(nowMs - Number(stamp)) > LIMITS.forwardAgeMsMax) return false
  return isProof(proof, proofOf(token, self, 'ask', stamp, url ?? ''))
}

/** For the answer to such a request. */
export function answerProof({ headers, url }: IncomingMessage, self: string, token: Secret | null): string {
  return proofOf(token, self, 'answer', String(headers[FORWARDED]).split('.')[0] as string, url ?? '')
}

function proofOf(token: Secret | null, host: string, what: 'ask' | 'answer', stamp: string, path: string): string {
  return createHmac('sha256', token?.reveal() ?? '')
    .update([what, host, stamp, path].join('\n'))
    .digest('hex')
}

function isProof(given: unknown, wanted: string): boolean {
  const bytes = Buffer.from(typeof given === 'string' ? given : '')
  return bytes.length === wanted.length && timingSafeEqual(bytes, Buffer.from(wanted))
}
