// What tells a damaged store from a sound one, and how an error is named. Reads files; never writes, never opens LevelDB.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { ignoreMissing } from './directory.ts'
import type { CheckpointRow } from './framing.ts'

/** Lies in a store's directory from the first error on, so that no later process takes it for sound. */
export const DAMAGED_MARK = 'DAMAGED'

/** LevelDB says this, and only in its LOG, when it throws away acknowledged writes at an open (R7). */
const DROPPED = /^.*(?:dropping \d+ bytes|\(ignoring error\)|Ignoring error ).*$/m
/** Faults of the machine, not of the store: rebuilding would fail the same way. */
const SURROUNDINGS = /permission denied|too many open files|no space left|read-only file system|cannot allocate|quota exceeded/i

/** The telling line of LevelDB's LOG of this session and the one before, or null. */
export async function droppedWrites(path: string): Promise<string | null> {
  for (const name of ['LOG', 'LOG.old']) {
    const text = await readFile(join(path, name), 'latin1').catch(ignoreMissing)
    const line = text === null ? null : DROPPED.exec(text)
    if (line !== null) return `LevelDB dropped writes, its ${name} says: ${line[0].trim().slice(0, 300)}`
  }
  return null
}

/** Why a store with this checkpoint row must not be used, or null (R7, R8). `row` undefined: there is none; null: it is damaged. */
export function checkpointFault(row: CheckpointRow | null | undefined, hasData: boolean, bootId: string): string | null {
  if (row === undefined) return hasData ? 'it has data but no checkpoint' : null
  if (row === null) return 'its checkpoint has a wrong checksum'
  if (!row.clean && row.bootId !== bootId) return 'it was not closed cleanly and the machine was started anew since'
  return null
}

export type OpenFault = { readonly kind: 'locked' | 'surroundings' | 'damaged'; readonly text: string }

/** What an error of LevelDB's open means. */
export function openFault(error: unknown): OpenFault {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause ?? (error as { code?: string; message?: string })
  const text = `${cause.code ?? 'error'} ${cause.message ?? String(error)}`.replaceAll(/\s*\n\s*/g, ' ')
  if (cause.code === 'LEVEL_LOCKED') return { kind: 'locked', text }
  return { kind: SURROUNDINGS.test(text) ? 'surroundings' : 'damaged', text }
}

export function lockedError(path: string, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_STATE_LOCKED', `store ${path} is in use: stop the other process, or name another state directory`, {
    cause,
  })
}

/** A worker that was given its task is about to let go of it. */
export function stillOpenError(path: string): MillraceError {
  return new MillraceError('STREAM_STATE_LOCKED', `store ${path} is still open in another worker of this process`, { disposition: 'retry' })
}

export function damagedError(name: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_STORE_DAMAGED', `store ${name}: ${what}; it is set aside and restored from its changelog`, { cause })
}

export function closedError(name: string): MillraceError {
  return new MillraceError('STREAM_CLOSED', `store ${name} is closed: open it again from its provider`)
}
