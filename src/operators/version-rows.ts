// The versions of a versioned table in two stores: each key's newest ones under the key's own bytes, older ones in chunks beside.
//
//   first store    key                    { next, versions }, the latest version first
//   second store   META                   the greatest timestamp written
//                  CHUNK  until, key      { next, versions }: older ones; `until` is when the first of them stopped to hold
//                  GONE   time, key       nothing: the key's latest version is an absence since then
//
// Invariants (as Kafka Streams' versioned stores, but for 3)
// 1. What is older than the greatest timestamp less the retention is not taken. The latest version never expires; what held longer ago than
//    the retention is answered only if it is the latest.
// 2. Timestamps fall strictly along a row and on into its `next`. A row is split when it is over ROW_BYTES_MAX, so a busy key costs no more.
// 3. An absence is a version too, also where there was no row: what is older and comes later is not the latest. It is forgotten with the
//    retention.
import { MillraceError } from '../base/errors.ts'
import { META, readTime, rowInner, rowKey, writeTime } from '../serde/window-rows.ts'
import type { StoreView } from './operator.ts'
import { readVersions, type Version, versionAt, writeVersions } from './user-stores/versions.ts'
import { expire, NOTHING } from './window-store.ts'

export const VERSIONS_CLOCK: Buffer = Buffer.of(META)
const CHUNK = 1
const GONE = 2
const ROW_BYTES_MAX = 16_384
const NONE = -1

interface VersionRow {
  /** The chunk with older versions, by its `until`. */
  readonly next: number
  readonly versions: readonly Version[]
}

const EMPTY_ROW: VersionRow = { next: NONE, versions: [] }

/** What is read of both stores. */
export type VersionBytes = Pick<StoreView, 'getBytes'>

export class VersionReads {
  readonly #heads: VersionBytes
  readonly #older: VersionBytes
  readonly #retentionMs: number

  constructor(heads: VersionBytes, older: VersionBytes, retentionMs: number) {
    this.#heads = heads
    this.#older = older
    this.#retentionMs = retentionMs
  }

  latest(key: Buffer): Version | undefined {
    return this.read(key, NONE)?.versions[0]
  }

  /** The version that held at that time. */
  at(key: Buffer, asOf: number): Version | undefined {
    let row = this.read(key, NONE)
    const latest = row?.versions[0]
    if (latest === undefined || latest.timestamp <= asOf) return latest
    if (asOf < this.observed() - this.#retentionMs) return undefined
    while (row !== null) {
      const found = versionAt(row.versions, asOf)
      if (found !== undefined || row.next === NONE) return found
      row = this.read(key, row.next)
    }
    return undefined
  }

  /** Those that held at some time between, the latest first; an absence has no value. */
  between(key: Buffer, from: number, to: number): Version[] {
    const found: Version[] = []
    const low = Math.max(from, this.observed() - this.#retentionMs)
    let isLatest = true
    for (let row = this.read(key, NONE); row !== null; row = row.next === NONE ? null : this.read(key, row.next)) {
      for (const version of row.versions) {
        if (version.timestamp <= to && (isLatest || to >= low)) found.push(version)
        if (version.timestamp <= low) return found
        isLatest = false
      }
    }
    return found
  }

  observed(): number {
    const clock = this.#older.getBytes(VERSIONS_CLOCK)
    return clock === null ? -1 : readTime(clock.value, 0)
  }

  read(key: Buffer, at: number): VersionRow | null {
    const row = at === NONE ? this.#heads.getBytes(key) : this.#older.getBytes(rowKey(CHUNK, at, key))
    return row === null ? null : decodeRow(row.value)
  }
}

export class VersionRows extends VersionReads {
  readonly #heads: StoreView
  readonly #older: StoreView
  readonly #retentionMs: number

  constructor(heads: StoreView, older: StoreView, retentionMs: number) {
    super(heads, older, retentionMs)
    this.#heads = heads
    this.#older = older
    this.#retentionMs = retentionMs
  }

  put(key: Buffer, value: Buffer | null, timestamp: number): 'latest' | 'older' | 'late' {
    const before = this.observed()
    if (timestamp < before - this.#retentionMs) return 'late'
    if (timestamp > before) this.#observe(timestamp)
    const bound = Math.max(before, timestamp) - this.#retentionMs
    const head = this.read(key, NONE) ?? EMPTY_ROW
    const latest = head.versions[0]
    let at = NONE
    let row = head
    while (row.next !== NONE && timestamp < (row.versions.at(-1)?.timestamp ?? NONE)) {
      const older = this.read(key, row.next)
      if (older === null) {
        row = { ...row, next: NONE } // expired
        break
      }
      at = row.next
      row = older
    }
    this.#write(key, at, trimmed(row.next, withVersion(row.versions, { timestamp, value }), bound))
    const isLatest = latest === undefined || timestamp >= latest.timestamp
    if (isLatest && value === null) this.#older.putBytes(rowKey(GONE, timestamp, key), NOTHING, timestamp)
    this.#expire(bound, timestamp)
    return isLatest ? 'latest' : 'older'
  }

  #observe(timestamp: number): void {
    const clock = Buffer.allocUnsafe(8)
    writeTime(clock, timestamp, 0)
    this.#older.putBytes(VERSIONS_CLOCK, clock, timestamp)
  }

  #expire(bound: number, timestamp: number): void {
    expire(this.#older, CHUNK, bound + 1, 1, timestamp)
    expire(this.#older, GONE, bound + 1, 1, timestamp, (row) => {
      const key = rowInner(row)
      const latest = this.latest(key)
      if (latest?.value === null && latest.timestamp === readTime(row, 1)) this.#heads.putBytes(key, null, timestamp)
    })
  }

  #write(key: Buffer, at: number, row: VersionRow): void {
    const { versions } = row
    const bytes = encodeRow(row)
    if (bytes.length > ROW_BYTES_MAX && versions.length > 1) {
      const half = versions.length >> 1
      const next = (versions[half - 1] as Version).timestamp
      this.#write(key, next, { next: row.next, versions: versions.slice(half) })
      this.#write(key, at, { next, versions: versions.slice(0, half) })
      return
    }
    const timestamp = versions[0]?.timestamp ?? 0
    if (at === NONE) this.#heads.putBytes(key, bytes, timestamp)
    else this.#older.putBytes(rowKey(CHUNK, at, key), bytes, timestamp)
  }
}

/** The value of the latest version in a row of the first store; null: absent. */
export function latestOfRow(bytes: Buffer): Buffer | null {
  return decodeRow(bytes).versions[0]?.value ?? null
}

function withVersion(versions: readonly Version[], version: Version): readonly Version[] {
  const younger = versions.filter(({ timestamp }) => timestamp > version.timestamp)
  const older = versions.filter(({ timestamp }) => timestamp < version.timestamp)
  return [...younger, version, ...older]
}

/** Without what no read can ask for any more: versions whose successor is not younger than `bound`. */
function trimmed(next: number, versions: readonly Version[], bound: number): VersionRow {
  const kept = versions.filter((_, i) => i === 0 || (versions[i - 1] as Version).timestamp > bound)
  return { next: kept.length < versions.length ? NONE : next, versions: kept }
}

function encodeRow({ next, versions }: VersionRow): Buffer {
  const head = Buffer.allocUnsafe(8)
  head.writeDoubleBE(next, 0)
  return Buffer.concat([head, writeVersions(versions) ?? NOTHING])
}

function decodeRow(bytes: Buffer): VersionRow {
  if (bytes.length < 8) {
    throw new MillraceError('STREAM_STORE_DAMAGED', `${bytes.length} bytes are no row of a versioned table; the store needs to be restored`)
  }
  return { next: bytes.readDoubleBE(0), versions: readVersions(bytes.subarray(8)) }
}
