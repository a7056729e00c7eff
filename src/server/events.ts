// `GET /events`: what the live page shows, as server-sent events, once a second while anybody reads.
//
// 1. At most LIMITS.eventReadersMax read at a time.
// 2. Nothing is queued for a reader: while one event is on its way to it the following ones are passed over, and a reader that has not taken
//    one within LIMITS.eventLateMs is let go.
// 3. Nobody reads: nothing is gathered, no timer runs.
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { Refusal } from './refusal.ts'

/** A response, as far as it matters here. */
export interface Reader {
  /** False: it is on its way, and waits for room. */
  write(text: string): boolean
  readonly writableNeedDrain: boolean
  destroy(): unknown
  on(event: 'close', run: () => void): unknown
}

export interface Events {
  /** Refused when there are enough. */
  room(): void
  /** From now on, beginning with what is now. */
  add(reader: Reader): void
  readonly readers: number
  close(): void
}

export interface EventsOptions {
  readonly world: World
  /** The data of an event, as JSON. */
  readonly gather: () => Promise<string>
}

export function openEvents({ world, gather }: EventsOptions): Events {
  /** Since when each has not taken its last event; null: it has. */
  const readers = new Map<Reader, number | null>()
  let last: { readonly text: string; readonly atMs: number } | null = null
  let looping = false
  let closed = false
  let wake = (): void => {}

  const give = (reader: Reader, text: string, now: number): void => {
    const since = readers.get(reader) ?? null
    if (!reader.writableNeedDrain) readers.set(reader, reader.write(text) ? null : now)
    else if (since === null) readers.set(reader, now)
    else if (now - since >= LIMITS.eventLateMs) reader.destroy()
  }
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const cancel = world.timers.after(LIMITS.eventIntervalMs, resolve)
      wake = () => {
        cancel()
        resolve()
      }
    })
  const loop = async (): Promise<void> => {
    looping = true
    while (readers.size > 0 && !closed) {
      const text = await gather().then(
        (json) => `data: ${json}\n\n`,
        // What cannot be gathered now is not the end of the page; a comment keeps the connection alive.
        () => ': nothing\n\n',
      )
      if (closed) break
      last = { text, atMs: world.clock.monotonic() }
      for (const reader of [...readers.keys()]) give(reader, text, last.atMs)
      await pause()
    }
    looping = false
  }

  return {
    room() {
      if (closed) throw new Refusal('NOT_READY')
      if (readers.size >= LIMITS.eventReadersMax) throw new Refusal('TOO_MANY_READERS')
    },
    add(reader) {
      readers.set(reader, null)
      reader.on('close', () => {
        readers.delete(reader)
        if (readers.size === 0) wake()
      })
      const now = world.clock.monotonic()
      if (looping && last !== null && now - last.atMs < 2 * LIMITS.eventIntervalMs) give(reader, last.text, now)
      if (!looping) void loop()
    },
    get readers() {
      return readers.size
    },
    close() {
      closed = true
      wake()
      for (const reader of [...readers.keys()]) reader.destroy()
    },
  }
}
