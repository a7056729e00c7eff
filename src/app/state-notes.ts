// Small notes in the state directory: names and what each was, kept from one run to the next.
//
// Invariant: a note is there whole, old or new; one that can't be read is refused by its name, never taken for an empty one.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { MillraceError } from '../base/errors.ts'

/** Empty when it was never written. `about`: what goes on as it is when the file is deleted, for the error. */
export function readNotes(file: string, about: string): ReadonlyMap<string, string> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, string>))
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', `${file} is damaged: delete it to go on with the ${about}`, { cause: error })
  }
}

/** Writes nothing when there is nothing to note. */
export function writeNotes(file: string, notes: Iterable<readonly [string, string]>): void {
  const all = Object.fromEntries(notes)
  if (Object.keys(all).length === 0) return
  writeFileSync(`${file}.new`, `${JSON.stringify(all, null, 1)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}
