// Reads the rows that the coming records of a task will ask for into the caches of its stores: one getMany a store. A row that is not
// foreseen here is read when it is asked for.
import type { Overlay } from '../state/overlay.ts'
import type { InputQueue } from './input-queue.ts'
import { TIMESTAMP_MAX } from './letting-go.ts'

export async function prefetchRows(queues: readonly InputQueue[], records: number): Promise<void> {
  const wanted = new Map<Overlay, Buffer[]>()
  const want = (overlay: Overlay, keys: Buffer[]): void => {
    const list = wanted.get(overlay)
    wanted.set(overlay, list === undefined ? keys : list.concat(keys))
  }
  for (const queue of queues) {
    const overlays = queue.entries.flatMap((entry) => entry.reads)
    const ahead = queue.entries.flatMap((entry) => entry.ahead)
    if ((overlays.length === 0 && ahead.length === 0) || queue.records === 0) continue
    const coming = queue.upcoming(records)
    if (coming.length === 0) continue
    const keys = coming.map(({ key }) => key as Buffer)
    for (const overlay of overlays) want(overlay, keys)
    for (const { overlay, rows } of ahead)
      want(
        overlay,
        coming.flatMap(({ key, timestamp }) => rows(key as Buffer, Math.min(Math.max(0, timestamp), TIMESTAMP_MAX))),
      )
  }
  if (wanted.size > 0) await Promise.all([...wanted].map(([overlay, keys]) => overlay.prefetch(keys)))
}
