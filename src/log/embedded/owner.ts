// Whose directory it is. The lock that counts is LevelDB's own (the kernel drops it with the process, however it died, so it
// never sticks); `owner.json` beside it is there to say who holds it, and to turn a second process away before LevelDB touches
// a file.
//
// Invariants
// 1. `owner.json` alone turns away only a process that is certain: same boot, pid alive, same start time. A recycled pid or a
//    file left by a killed process never does.
// 2. It is written by rename, so it is always whole.
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../../base/errors.ts'

export interface ProcessIdentity {
  readonly pid: number
  /** Of the kernel, as long as it runs; null where there is none to ask. */
  readonly bootId: string | null
  /** In clock ticks since boot; null where there is none to ask. */
  readonly startTime: string | null
}

const FILE = 'owner.json'

export function thisProcess(bootId?: string): ProcessIdentity {
  return { pid: process.pid, bootId: bootId ?? readBootId(), startTime: startTimeOf(process.pid) }
}

/** Throws STREAM_STATE_LOCKED when the directory certainly belongs to a live process. */
export function refuseWhenOwned(dir: string, self: ProcessIdentity): void {
  const owner = readOwner(dir)
  // of itself LevelDB knows best: a file that a failed close left behind must not keep this process out
  if (owner === null || owner.pid === self.pid) return
  if (owner.bootId === null || owner.bootId !== self.bootId || owner.startTime === null) return
  if (startTimeOf(owner.pid) === owner.startTime) throw locked(dir)
}

/** The error for a directory that another process has; names its pid as far as the file tells. */
export function locked(dir: string, cause?: unknown): MillraceError {
  const pid = readOwner(dir)?.pid
  const who = pid === undefined ? 'another process' : `process ${pid}`
  return new MillraceError('STREAM_STATE_LOCKED', `${dir} is in use by ${who}; stop it first, or use another state directory`, { cause })
}

/** Only while LevelDB's lock is held. */
export function writeOwner(dir: string, self: ProcessIdentity): void {
  const next = join(dir, `${FILE}.new`)
  writeFileSync(next, `${JSON.stringify(self)}\n`, { mode: 0o600 })
  chmodSync(next, 0o600)
  renameSync(next, join(dir, FILE))
}

/** Only while LevelDB's lock is held. */
export function removeOwner(dir: string): void {
  rmSync(join(dir, FILE), { force: true })
}

function readOwner(dir: string): ProcessIdentity | null {
  try {
    const { pid, bootId, startTime } = JSON.parse(readFileSync(join(dir, FILE), 'utf8')) as Partial<ProcessIdentity>
    if (typeof pid !== 'number') return null
    return { pid, bootId: typeof bootId === 'string' ? bootId : null, startTime: typeof startTime === 'string' ? startTime : null }
  } catch {
    // none, or unreadable: LevelDB's lock decides
    return null
  }
}

function readBootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}

/** Null when there is no such process, or no way to know. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // the name in brackets may hold anything, so fields are counted behind it; the start time is field 22, the state field 3
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}
