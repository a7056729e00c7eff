// Durations as users write them: '500ms', '5m', or a number of milliseconds.
import { MillraceError } from './errors.ts'

export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds, a whole number >= 0. Throws STREAM_USAGE naming `what`. */
export function durationMs(duration: Duration | string, what: string): number {
  if (typeof duration === 'number') {
    if (Number.isSafeInteger(duration) && duration >= 0) return duration
  } else if (typeof duration === 'string') {
    const match = /^(\d+)(ms|s|m|h|d)$/.exec(duration)
    if (match !== null) {
      const ms = Number(match[1]) * (UNIT_MS[match[2] as string] as number)
      if (Number.isSafeInteger(ms)) return ms
    }
  }
  throw new MillraceError(
    'STREAM_USAGE',
    `${what}: ${JSON.stringify(duration)} is no duration; write '500ms', '30s', '5m', '1h', '7d' or a number of ms`,
  )
}
