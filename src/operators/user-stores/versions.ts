// Versions of a key in one row, the latest first. Pure.
//
// Layout: of each version float64 timestamp, int32 length (-1: there was no row from then on), value.
//
// Invariant: timestamps fall strictly.
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
