// Three topologies in a chain, one in each process (LEVELS_LEVEL says which): each numbers the events of its keys and passes each event on
// once. The one in the middle gives them other keys. So an event that is lost or doubled at any level shows in its output.
import { json, string, topology } from 'millrace'

export const LEVELS = [1, 2, 3] as const
export type Level = (typeof LEVELS)[number]

export interface Passed {
  readonly id: number
  readonly n: number
}

export const topicOf = (prefix: string, level: number): string => `${prefix}level-${level}`

/** Reads the topic of its own level, writes that of the next. */
export const levelOf = (prefix: string, level: Level) =>
  topology(`${prefix}levels-${level}`, (t) => {
    const next = (before: Passed, { id }: Passed): Passed => ({ id, n: before.n + 1 })
    const none = (): Passed => ({ id: -1, n: 0 })
    const events = t.stream(topicOf(prefix, level), { key: string(), value: json<Passed>() })
    const grouped = level === 2 ? events.groupBy(({ id }) => `g${id % 101}`, { key: string() }) : events.groupByKey()
    grouped
      .aggregate(none, next, { store: 'numbers', value: json<Passed>() })
      .toStream()
      .to(topicOf(prefix, level + 1), { key: string(), value: json<Passed>() })
  })

export default levelOf(process.env.LEVELS_PREFIX ?? '', Number(process.env.LEVELS_LEVEL ?? 1) as Level)
