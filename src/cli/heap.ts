// Keeps V8 from spending memory that it does not need: left alone it lets the young generation grow to 128 MiB and the old one to a
// multiple of what lives in it. For the process of the binary only; whoever embeds the library decides for his own.
//
// 1. One that stops the young generation of every thread at once is not set where there are several: they grow at their own times.
// 2. A flag that the user has given for the same thing is left alone.
import v8 from 'node:v8'
import type { World } from '../base/ports.ts'

/** How much the old generation may grow over what lives before it is collected. */
const GROWING_PERCENT = 60
/** Both halves of the young generation. It grows by doubling, from 1 MiB, as long as there is use for it. */
const YOUNG_BYTES_MAX = 32 * 1024 * 1024
const LOOK_MS = 50
/** A process that has not grown by then has no need to. */
const LOOKS_MAX = 20 * 60 * 10

export function boundHeap(
  world: World,
  workers: number,
  given: string = `${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS ?? ''}`,
): () => void {
  if (!/heap-growing-percent|optimize-for-size/.test(given)) v8.setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`)
  if (workers > 1 || /semi-space|optimize-for-size/.test(given)) return () => {}
  let cancel = (): void => {}
  let looks = 0
  const look = (): void => {
    const bytes = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0
    // The largest size cannot be set any more once a process runs, but that it stops growing can.
    if (bytes >= YOUNG_BYTES_MAX) v8.setFlagsFromString('--semi-space-growth-factor=1')
    else if (looks++ < LOOKS_MAX) cancel = world.timers.after(LOOK_MS, look)
  }
  look()
  return () => cancel()
}
