// What the house takes from the outside: time, randomness, timers, a logger. Everything else gets them from here, so that a
// simulator can own them (house rule 6). `base/system.ts` has the real ones and is the only file that may name the globals.

export interface Clock {
  /** Wall clock, epoch ms. May jump. */
  now(): number
  /** Never goes back, ms. For measuring and for intervals. */
  monotonic(): number
}

export interface Timers {
  /** Calls `run` once, `afterMs` from now; the answer cancels it. */
  after(afterMs: number, run: () => void): () => void
  sleep(ms: number): Promise<void>
  /** Resolves after pending I/O had its turn; what a busy loop awaits so that sockets and timers are served. */
  turn(): Promise<void>
}

export interface Random {
  /** A whole number, 0 <= n < bound. */
  below(bound: number): number
  /** `bytes` random bytes as lower-case hex. */
  hex(bytes: number): string
}

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** One request over HTTP. */
export interface WebRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
  readonly answerBytesMax: number
}

/** Rejects when there is no answer in time, or one that is too long. Follows no redirect. */
export type Web = (request: WebRequest) => Promise<{ readonly status: number; readonly text: string }>

export interface World {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly logger: Logger
}

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }
