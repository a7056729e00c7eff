// Answers that hold for a while: asked for once in that time, however many want to know. A failure is not kept.
import type { Clock } from './ports.ts'

interface Known<T> {
  readonly answer: Promise<T>
  readonly untilMs: number
}

/** `ask`, but at most once in `forMs` of each name. The names are few. */
export function remembered<T>(clock: Clock, forMs: number, ask: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const all = new Map<string, Known<T>>()
  return (name) => {
    const nowMs = clock.monotonic()
    const known = all.get(name)
    if (known !== undefined && nowMs < known.untilMs) return known.answer
    const asked: Known<T> = { answer: ask(name), untilMs: nowMs + forMs }
    all.set(name, asked)
    asked.answer.catch(() => {
      if (all.get(name) === asked) all.delete(name)
    })
    return asked.answer
  }
}
