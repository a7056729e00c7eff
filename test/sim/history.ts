// What a run leaves behind for the checks: plain data, from the simulator or read out of a real Kafka.
import type { LogRecord } from '../../src/base/record.ts'
import type { Guarantee } from '../../src/log/log.ts'
import type { SimCase } from './case.ts'

/** Topic -> records of committed transactions, by partition, in offset order. */
export type Topics = ReadonlyMap<string, readonly (readonly LogRecord[])[]>

/** A moment at which no transaction was being ended: what is committed belongs together. */
export interface Snapshot {
  /** Input partition -> committed position. */
  readonly committed: ReadonlyMap<string, number>
  /** Output and changelog partition -> the end of what is committed. */
  readonly ends: ReadonlyMap<string, number>
}

/** Rows of one store of one task: as a query saw them, or as they lie on a disk. */
export interface Rows {
  readonly where: string
  readonly task: string
  readonly store: string
  readonly partition: number
  /** Key and value in the text of their bytes. */
  readonly rows: ReadonlyMap<string, string>
}

export interface StoredRows extends Rows {
  readonly changelogOffset: number
}

export interface History {
  readonly case: SimCase
  readonly guarantee: Guarantee
  /** No process and no request came back after it was given up: what is written at least once is written in order. */
  readonly orderly: boolean
  readonly inputs: Topics
  readonly outputs: Topics
  readonly deadLetters: readonly LogRecord[]
  /** By store. */
  readonly changelogs: Topics
  /** All input partitions, internal ones too: where the group stands, and where they end. */
  readonly committed: ReadonlyMap<string, number>
  readonly ends: ReadonlyMap<string, number>
  readonly snapshots: readonly Snapshot[]
  /** Input partition -> every position that was ever committed. */
  readonly positions: ReadonlyMap<string, readonly number[]>
  /** What queries saw while everything went on, decoded: key -> value. */
  readonly answers: readonly Rows[]
  /** What stores held when they were opened, and in the end. */
  readonly stored: readonly StoredRows[]
  /** Standbys that held what was not committed yet. */
  readonly early?: readonly string[]
  /** Errors that no instance should give up with. */
  readonly fatal: readonly string[]
}

export const CHECKS = ['L', 'D', 'S', 'O', 'B', 'M', 'Q', 'F', 'R'] as const
export type CheckName = (typeof CHECKS)[number]

export interface Violation {
  readonly check: CheckName
  readonly what: string
}
