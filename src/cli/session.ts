// What `try` needs of a session (testing/session.ts has the real one; tests drive the command with others).
import type { Headers } from '../base/record.ts'
import type { AnySerde } from '../serde/serde.ts'

export interface SessionInput {
  readonly topic: string | RegExp
  readonly key: AnySerde
  readonly value: AnySerde
}

export interface SessionRecord {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp?: number
  readonly partition?: number
  readonly headers?: Headers
}

export interface SessionOutput {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: Headers
}

export interface Session {
  inputs(): readonly SessionInput[]
  outputSerdes(topic: string): { readonly key: AnySerde; readonly value: AnySerde } | null
  pipe(record: SessionRecord): Promise<void>
  advance(ms: number): Promise<void>
  commit(): Promise<void>
  crash(): Promise<void>
  reset(): Promise<void>
  /** A last barrier first. */
  close(): Promise<void>
  /** Committed outputs that were not taken yet, in the order written; also after `close`. */
  take(): readonly SessionOutput[]
}
