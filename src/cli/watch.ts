// When files change: by looking, since what editors, containers and network disks tell about changes differs too much.
import { statSync } from 'node:fs'
import type { World } from '../base/ports.ts'

const LOOK_MS = 200

/** Files, and what each was like when it was looked at: the text differs when the file does. */
export type Seen = ReadonlyMap<string, string>

export function signatureOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false })
  return found === undefined ? 'absent' : `${found.mtimeMs} ${found.size} ${found.ino}`
}

/** The same files as they are now. */
export function lookAgain(seen: Seen): Seen {
  return new Map([...seen.keys()].map((file) => [file, signatureOf(file)]))
}

/** Resolves when files are others than they were seen, and are not being written: for two looks they were the same. Never, once aborted. */
export async function untilChanged(seen: Seen, world: World, signal: AbortSignal): Promise<void> {
  const first = textOf(seen)
  for (let before = first; ; ) {
    await world.timers.sleep(LOOK_MS)
    if (signal.aborted) return await new Promise(() => {})
    const now = textOf(lookAgain(seen))
    if (now !== first && now === before) return
    before = now
  }
}

const textOf = (seen: Seen): string => [...seen.values()].join('\n')
