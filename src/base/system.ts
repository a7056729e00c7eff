// The real clock, timers and randomness. The only file that names `Date.now`, `setTimeout`, `performance`, `crypto` (tidy test) and `fetch`.
import { randomBytes, randomInt } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { type Logger, silent, type Web, type World } from './ports.ts'

export function systemWorld(logger: Logger = silent): World {
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after(afterMs, run) {
        const timer = setTimeout(run, afterMs)
        return () => clearTimeout(timer)
      },
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      turn: () => new Promise((resolve) => setImmediate(resolve)),
    },
    random: { below: (bound) => randomInt(bound), hex: (bytes) => randomBytes(bytes).toString('hex') },
    logger,
  }
}

/** HTTP as it is. */
export const systemWeb: Web = async ({ method, url, headers, body, timeoutMs, answerBytesMax }) => {
  const answer = await fetch(url, {
    method,
    headers,
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { body }),
  })
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of answer.body ?? []) {
    bytes += part.length
    if (bytes > answerBytesMax) throw new RangeError(`the answer is longer than ${answerBytesMax} bytes`)
    parts.push(part)
  }
  return { status: answer.status, text: Buffer.concat(parts).toString('utf8') }
}
