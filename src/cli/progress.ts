// On a terminal: one line that says how far the restore of the stores has come, gone when all tasks run; how many lines were produced.
import type { World } from '../base/ports.ts'

export interface Restoring {
  readonly ready: boolean
  readonly restored: number
  readonly restoring: { readonly task: string; readonly store: string; readonly remaining: number } | null
}

const EVERY_MS = 200

/** Until `status` says ready, or the answer is called. */
export function showProgress(stream: NodeJS.WriteStream, status: () => Restoring, world: World): () => void {
  let shown = false
  let cancel: () => void = () => {}
  const clear = (): void => {
    if (shown) stream.write('\r\x1b[K')
    shown = false
  }
  const look = (): void => {
    const { ready, restored, restoring } = status()
    clear()
    if (ready) return
    if (restoring !== null) {
      stream.write(`restoring ${restoring.store} of task ${restoring.task}: ${restored} records, ${restoring.remaining} to go`)
      shown = true
    }
    cancel = world.timers.after(EVERY_MS, look)
  }
  look()
  return () => {
    cancel()
    clear()
  }
}

export interface Counting {
  add(lines: number): void
  /** The sum stays on the terminal. */
  end(): void
}

/** How many lines are durable so far, on one line that is written over. */
export function showCount(stream: NodeJS.WriteStream, clock: World['clock']): Counting {
  let lines = 0
  let shownMs = clock.monotonic()
  const show = (end: string): boolean => stream.write(`\r\x1b[K${lines} lines written${end}`)
  return {
    add(more) {
      lines += more
      if (clock.monotonic() - shownMs < EVERY_MS) return
      shownMs = clock.monotonic()
      show('')
    },
    end: () => void show('\n'),
  }
}
