// What a run leaves in the buffers of operators that let records wait, and whether each record left or waits once.
import type { History, Violation } from './history.ts'

/** What the changelog of a store says is parked: rows of the queues (their first byte is 1) hold the value as it came, which `pattern` finds. */
export function parkedIn<T>(history: History, store: string, pattern: RegExp): T[] {
  return (history.changelogs.get(store) ?? []).flatMap((records) => {
    const queued = new Map<string, string>()
    for (const { key, value } of records) {
      if (key === null || key[0] !== 1) continue
      if (value === null) queued.delete(key.toString('latin1'))
      else queued.set(key.toString('latin1'), value.toString('latin1'))
    }
    return [...queued.values()].flatMap((row) => {
      const text = pattern.exec(row)?.[0]
      return text === undefined ? [] : [JSON.parse(text) as T]
    })
  })
}

/** `times`: how often each left or waits. */
export function notOnce(what: string, all: Iterable<number>, times: ReadonlyMap<number, number>): Violation[] {
  return [...all].flatMap((n): Violation[] => {
    const of = times.get(n) ?? 0
    return of === 1 ? [] : [{ check: of === 0 ? 'L' : 'D', what: `${what} ${n} left or waits ${of} times` }]
  })
}
