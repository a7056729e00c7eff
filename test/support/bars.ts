// What the merge tier must reach, by row of docs/reliability.md, and what of it has really run: each test says how many cases it has done
// after they have held, and in the end the sums are printed (tell-bars.ts). Nothing is counted at any other time.
//
// 1. A test says what it has done, never what it was to do.
import { appendFileSync } from 'node:fs'

/** The file that the processes of one run tell their numbers in. */
export const RAN = 'MILLRACE_RAN'

export interface Bar {
  readonly row: string
  readonly what: string
  readonly bar: number
}

export const BARS: readonly Bar[] = [
  { row: '2', what: 'tapes', bar: 20_000 },
  { row: '4', what: 'kills of a processor', bar: 300 },
  { row: '8', what: 'frozen processors', bar: 20 },
  { row: '12', what: 'full disks', bar: 50 },
  { row: '13', what: 'flipped bits of a store', bar: 300 },
  { row: '14', what: 'write-ahead logs without their end', bar: 50 },
  { row: '15', what: 'damaged entries of the embedded log', bar: 50_000 },
  { row: '16, policies', what: 'histories of operators that throw', bar: 20_000 },
  { row: '16, blockKey', what: 'histories of keys that wait', bar: 20_000 },
  { row: '18, calls as in the model', what: 'histories', bar: 10_000 },
  { row: '18, calls that share', what: 'histories', bar: 10_000 },
  { row: '21', what: 'histories in two orders', bar: 20_000 },
  { row: '21, catalog', what: 'histories', bar: 4_000 },
  { row: '21, dedupe', what: 'histories', bar: 20_000 },
  { row: '22', what: 'histories of records that wait', bar: 20_000 },
  { row: '22, holdUntil', what: 'histories', bar: 20_000 },
  { row: '24', what: 'stops of a processor', bar: 50 },
]

/** One line of that file: cases of a row, or a property with its number and how many it has done. */
export type Ran =
  | { readonly row: string; readonly ran: number }
  | { readonly property: string; readonly asked: number; readonly ran: number; readonly ms: number }

export function note(ran: Ran): void {
  const file = process.env[RAN]
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(ran)}\n`)
}

export function ran(row: string, cases: number): void {
  note({ row, ran: cases })
}

/** The lines to print. */
export function told(lines: readonly Ran[]): string[] {
  const done = (row: string): number => lines.reduce((sum, line) => sum + ('row' in line && line.row === row ? line.ran : 0), 0)
  const rows = BARS.flatMap(({ row, what, bar }) => {
    const cases = done(row)
    if (!lines.some((line) => 'row' in line)) return [] // a run of files that have no bar
    return [`row ${row}: ${cases} of ${bar} ${what}${cases < bar ? ', SHORT OF ITS BAR' : ''}`]
  })
  const cut = lines.flatMap((line) =>
    'property' in line && line.ran < line.asked
      ? [`  ${line.property}: ${line.ran} of ${line.asked} in ${Math.round(line.ms / 1000)} s`]
      : [],
  )
  return [...rows, ...(cut.length === 0 ? [] : ['properties that had no time for all of their cases:', ...cut.sort()])]
}
