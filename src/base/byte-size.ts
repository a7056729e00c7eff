// Sizes as users write them: '10MiB', '512KiB', or a number of bytes.
import { MillraceError } from './errors.ts'

export type ByteSize = number | `${number}${'KiB' | 'MiB' | 'GiB'}`

const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Bytes, a whole number >= 0. Throws STREAM_USAGE naming `what`. */
export function sizeBytes(size: unknown, what: string): number {
  if (typeof size === 'number') {
    if (Number.isSafeInteger(size) && size >= 0) return size
  } else if (typeof size === 'string') {
    const match = /^(\d+)(KiB|MiB|GiB)$/.exec(size)
    if (match !== null) {
      const bytes = Number(match[1]) * (UNIT_BYTES[match[2] as string] as number)
      if (Number.isSafeInteger(bytes)) return bytes
    }
  }
  throw new MillraceError(
    'STREAM_USAGE',
    `${what}: ${JSON.stringify(size)} is no size; write '512KiB', '10MiB', '1GiB' or a number of bytes`,
  )
}
