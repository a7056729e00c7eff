// What is wrong with what readers of the stores were told, from the input as it stands in the topic and from committed offsets.
//
// 1. The rows of a partition are those after some event of it: none further than that, none behind. So a range is of one epoch or of none.
// 2. What was shown was committed, at the latest a moment later. What was committed long ago is shown.
import type { JavaRecord } from './java-reader.ts'
import type { Tally } from './tally.ts'

/** An instance hears of the end of an epoch a moment before the offsets are to be seen; a busy broker takes its time with the markers. */
export const SEEN_MS = 3_000
/** What was committed so long ago is in the stores of whoever answers. */
export const APPLIED_MS = 15_000

export interface Glimpse {
  readonly atMs: number
  readonly by: string
  readonly rows: readonly (readonly [key: string, Pick<Tally, 'n' | 'id'>])[]
  readonly whole: boolean
  /** A key that has no row, it was said. */
  readonly none?: string
}

/** Committed offsets of the input, by partition, as they were at some time between the question and the answer. */
export interface Sample {
  readonly askedMs: number
  readonly atMs: number
  readonly offsets: readonly number[]
}

export function glimpseDifferences(
  events: readonly JavaRecord[],
  seen: readonly Glimpse[],
  samples: readonly Sample[],
  seenMs = SEEN_MS,
): string[] {
  const ofKey = new Map<string, { readonly partition: number; readonly offsets: number[]; readonly ids: number[] }>()
  for (const event of events) {
    const key = String(event.key)
    const of = ofKey.get(key) ?? { partition: event.partition, offsets: [], ids: [] }
    ofKey.set(key, of)
    of.offsets.push(event.offset)
    of.ids.push((JSON.parse(String(event.value)) as { id: number }).id)
  }
  const found: string[] = []
  for (const { atMs, by, rows, whole, none } of seen) {
    const told = new Map(rows)
    /** By partition: the last event that the answer knows of. */
    const ends = new Map<number, number>()
    for (const [key, { n, id }] of told) {
      const of = ofKey.get(key)
      if (of === undefined || of.ids[n - 1] !== id) found.push(`${by}: ${key} is number ${n} with event ${id}, not ${of?.ids[n - 1]}`)
      else ends.set(of.partition, Math.max(ends.get(of.partition) ?? -1, of.offsets[n - 1] as number))
    }
    const after = samples.find((sample) => sample.askedMs >= atMs + seenMs)
    for (const [partition, end] of ends)
      if (after !== undefined && (after.offsets[partition] as number) <= end)
        found.push(`${by}: partition ${partition} is shown up to ${end}, ${after.offsets[partition]} was committed ${seenMs} ms later`)
    const before = samples.findLast((sample) => sample.atMs <= atMs - APPLIED_MS)
    for (const [key, of] of ofKey) {
      const end = ends.get(of.partition) ?? -1
      const n = told.get(key)?.n ?? 0
      const known = whole ? countUpTo(of.offsets, end) : 0
      if (whole && n !== known) found.push(`${by}: ${key} is number ${n} beside others up to ${end}, of which it has ${known}`)
      if (
        n === 0 &&
        (whole || none === key) &&
        before !== undefined &&
        (of.offsets[0] as number) < (before.offsets[of.partition] as number)
      )
        found.push(`${by}: ${key} has no row, and ${of.offsets[0]} of ${of.partition} was committed ${APPLIED_MS} ms before`)
    }
  }
  return found
}

/** How many of the ascending offsets there are up to `end`: by halves, since this is asked for each key of each answer. */
function countUpTo(offsets: readonly number[], end: number): number {
  let from = 0
  for (let to = offsets.length; from < to; ) {
    const middle = (from + to) >> 1
    if ((offsets[middle] as number) <= end) from = middle + 1
    else to = middle
  }
  return from
}
