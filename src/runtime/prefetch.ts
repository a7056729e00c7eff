// Reads the rows that the coming records of a task will ask for into the caches of its stores: one getMany a store. A row that is not
// foreseen here is read when it is asked for.
//
// 1. A failure of what was begun ahead is thrown by the `rows` that follows, once.
import type { Overlay } from '../state/overlay.ts'
import type { InputQueue } from './input-queue.ts'
import { TIMESTAMP_MAX } from './letting-go.ts'

export class Prefetch {
  readonly #queues: readonly InputQueue[]
  #ahead: Promise<void> | null = null

  /** `queues` may grow. */
  constructor(queues: readonly InputQueue[]) {
    this.#queues = queues
  }

  /** Until those of the coming batch are there. */
  async rows(records: number): Promise<void> {
    const ahead = this.#ahead
    this.#ahead = null
    if (ahead !== null) await ahead
    await prefetchRows(this.#queues, records)
  }

  /** Begins to read them while another task runs. */
  ahead(records: number): void {
    if (this.#ahead !== null) return
    const ahead = prefetchRows(this.#queues, records)
    this.#ahead = ahead
    ahead.then(
      () => {
        if (this.#ahead === ahead) this.#ahead = null // more may come until the batch begins
      },
      () => {}, // kept for `rows`
    )
  }

  /** Until what was begun is there: a write meanwhile would make it worthless. */
  async begun(): Promise<void> {
    await this.#ahead?.catch(() => {})
  }
}

async function prefetchRows(queues: readonly InputQueue[], records: number): Promise<void> {
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
