// What the stores of a processor share: the view below them, when they may be used, how a range becomes an iterator.
import { MillraceError } from '../../base/errors.ts'
import type { RecordContext, Site, StoreView } from '../operator.ts'
import type { Life } from '../processor-life.ts'

/** What a store that is only read needs of its place. */
export interface ReadSite {
  readonly life: Life
  key(key: unknown): Buffer
  /** One end of a range: null is an open one. */
  bound(key: unknown): Buffer | null
}

export interface StoreSite extends ReadSite {
  readonly view: StoreView
  readonly context: RecordContext
  /** Refuses in a store that is only read. What is refused is the record's fault and changes nothing, so it may be caught. */
  write(fn: () => void): void
  /** Calls a function of ours on the wall clock; not where the store is only read. */
  every(intervalMs: number, run: (timestamp: number) => void): void
}

export function storeSite(
  view: StoreView,
  life: Life,
  { context, services }: Pick<Site, 'context' | 'services'>,
  readOnly: boolean,
): StoreSite {
  return {
    view,
    context,
    ...readSite(view.name, life, (key) => view.encodeKey(key)),
    write(fn) {
      life.check('a write')
      if (readOnly) throw new MillraceError('STREAM_CALLBACK', `${life.node} only reads the store ${view.name}, it may not write it`)
      fn()
    },
    every(intervalMs, run) {
      if (!readOnly) services.schedule(life.node, intervalMs, 'wall', run, false)
    },
  }
}

export function readSite(store: string, life: Life, encode: (key: unknown) => Buffer): ReadSite {
  const key = (value: unknown): Buffer => {
    if (value !== null && value !== undefined) return encode(value)
    throw new MillraceError('STREAM_CALLBACK', `store ${store}: a key must not be ${value === null ? 'null' : 'undefined'}`)
  }
  return { life, key, bound: (value) => (value === null || value === undefined ? null : key(value)) }
}

/** A time of a window, session or version. */
export function checkTime(store: string, what: string, time: number): number {
  if (Number.isSafeInteger(time) && time >= 0) return time
  throw new MillraceError('STREAM_CALLBACK', `store ${store}: ${what} must be an epoch time in ms, not ${String(time)}`)
}

/** The rows of a range, mapped one by one as they are asked for; what maps to null is left out. */
export function lazily<R, T>(life: Life, what: string, open: () => IterableIterator<R>, map: (row: R) => T | null): IterableIterator<T> {
  const rows = life.within(what, open)
  const next = (): IteratorResult<T, undefined> => {
    for (;;) {
      const row = life.within(what, () => rows.next())
      if (row.done === true) return { done: true, value: undefined }
      const mapped = life.within(what, () => map(row.value))
      if (mapped !== null) return { done: false, value: mapped }
    }
  }
  const iterator: IterableIterator<T> = {
    next,
    return() {
      rows.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.iterator]: () => iterator,
  }
  return iterator
}
