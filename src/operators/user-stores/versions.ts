// The versions of a key in one row, the latest first: what a versioned store keeps under the key's own bytes. Pure.
//
// Layout: of each version float64 timestamp, int32 length (-1: there was no row from then on), value.
//
// Invariants
// 1. Timestamps fall strictly.
// 2. `put` leaves out what no read within the retention can ask for: versions whose successor is not younger than `bound`, and the
//    absence at the end when nothing older may come any more.
import type { ScanRange } from '../../state/store.ts'

/** The store's own row: the greatest timestamp written. Keys of users lie beside it under their own bytes, so that they can be fetched
 *  ahead; this one is refused. */
export const VERSIONED_OWN: Buffer = Buffer.from('\u00ff\u00ffmillrace time', 'latin1')

/** Where the rows are. */
export const VERSIONED_ROWS: ScanRange = { from: null, to: VERSIONED_OWN, toExclusive: true }

export interface Version {
  readonly timestamp: number
  /** Null: absent from then on. */
  readonly value: Buffer | null
}

const HEAD_BYTES = 12

export function readVersions(bytes: Buffer): Version[] {
  const versions: Version[] = []
  for (let at = 0; at < bytes.length; ) {
    const timestamp = bytes.readDoubleBE(at)
    const length = bytes.readInt32BE(at + 8)
    const from = at + HEAD_BYTES
    versions.push({ timestamp, value: length < 0 ? null : bytes.subarray(from, from + length) })
    at = from + Math.max(0, length)
  }
  return versions
}

/** Null: nothing is left to keep. */
export function writeVersions(versions: readonly Version[]): Buffer | null {
  if (versions.length === 0) return null
  return Buffer.concat(
    versions.flatMap(({ timestamp, value }) => {
      const head = Buffer.allocUnsafe(HEAD_BYTES)
      head.writeDoubleBE(timestamp, 0)
      head.writeInt32BE(value === null ? -1 : value.length, 8)
      return value === null ? [head] : [head, value]
    }),
  )
}

/** The version that held at that time. */
export function versionAt(versions: readonly Version[], asOf: number): Version | undefined {
  return versions.find(({ timestamp }) => timestamp <= asOf)
}

/** With one more; `bound`: the oldest time that may still be asked for or written. */
export function putVersion(versions: readonly Version[], version: Version, bound: number): readonly Version[] {
  const after = versions.filter(({ timestamp }) => timestamp > version.timestamp)
  const before = versions.filter(({ timestamp }) => timestamp < version.timestamp)
  const all = [...after, version, ...before]
  const kept = all.filter((_, i) => i === 0 || (all[i - 1] as Version).timestamp > bound)
  const last = kept.at(-1)
  return last !== undefined && last.value === null && last.timestamp <= bound ? kept.slice(0, -1) : kept
}

/** The value of the latest version of a row; null: absent. */
export function latestVersion(bytes: Buffer): Buffer | null {
  return readVersions(bytes)[0]?.value ?? null
}
