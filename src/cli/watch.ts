// When files change: by looking, since what editors, containers and network disks tell about changes differs too much.
import { statSync } from 'node:fs'
import type { World } from '../base/ports.ts'

const LOOK_MS = 200

/** Differs when one of the files does. */
export function signatureOf(files: readonly string[]): string {
  return files
    .map((file) => {
      const found = statSync(file, { throwIfNoEntry: false })
      return found === undefined ? 'absent' : `${found.mtimeMs} ${found.size} ${found.ino}`
    })
    .join('\n')
}

/** Resolves when the files are others than `seen`, and are not being written: for two looks they were the same. Never, once aborted. */
export async function untilChanged(files: readonly string[], seen: string, world: World, signal: AbortSignal): Promise<string> {
  for (let before = seen; ; ) {
    await world.timers.sleep(LOOK_MS)
    if (signal.aborted) return await new Promise(() => {})
    const now = signatureOf(files)
    if (now !== seen && now === before) return now
    before = now
  }
}
