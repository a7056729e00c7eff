// What a processor will want of the machine, looked at when it starts: better a warning now than a store that is set aside later.
import { readFileSync, statfsSync } from 'node:fs'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'

export interface Resources {
  readonly diskFreeBytes: number
  /** Null: not known on this system. */
  readonly openFilesMax: number | null
}

export function resourcesOf(stateDir: string): Resources {
  const { bavail, bsize } = statfsSync(stateDir)
  return { diskFreeBytes: bavail * bsize, openFilesMax: openFilesMax() }
}

export function warnOfScarce({ diskFreeBytes, openFilesMax }: Resources, stateDir: string, world: World): void {
  if (diskFreeBytes < LIMITS.diskFreeBytesMin)
    world.logger.warn(
      { stateDir, diskFreeBytes },
      'the disk of the state directory is almost full: a store that cannot be written ends the process',
    )
  if (openFilesMax !== null && openFilesMax < LIMITS.openFilesMin)
    world.logger.warn(
      { openFilesMax, wanted: LIMITS.openFilesMin },
      'few files may be open at once (ulimit -n): each store of each task needs some',
    )
}

function openFilesMax(): number | null {
  try {
    const found = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return found === undefined ? null : found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found)
  } catch {
    return null
  }
}
