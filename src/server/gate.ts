// So many at once, the others in line: what each of them holds in memory is bounded, and so is their sum.
//
// 1. The line is kept in order. Its length is bounded by whoever lets in (front.ts).
// 2. Whoever has left does not get a turn.
import { Refusal } from './refusal.ts'

export type Gate = <T>(gone: AbortSignal | null, run: () => Promise<T>) => Promise<T>

export function gateOf(atOnce: number): Gate {
  const line: (() => void)[] = []
  let free = atOnce
  return async (gone, run) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => line.push(resolve))
    try {
      if (gone?.aborted === true) throw new Refusal('NOT_READY') // nobody hears it
      return await run()
    } finally {
      const next = line.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
