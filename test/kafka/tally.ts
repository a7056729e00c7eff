// Numbers the events of each key, and those of each group, and puts out with each number which event it was. So a record that is lost,
// doubled or out of its order shows in the outputs: tally-judge.ts knows what they must be. The topics' names begin with TALLY_PREFIX.
import { json, string, topology } from 'millrace'

export interface TallyEvent {
  readonly id: number
  readonly group: string
  readonly pad: string
}

export interface Tally {
  readonly n: number
  readonly id: number
  readonly pad: string
}

export const tally = (prefix: string) =>
  topology(`${prefix}tally`, (t) => {
    const next = (before: Tally, { id, pad }: TallyEvent): Tally => ({ n: before.n + 1, id, pad })
    const none = (): Tally => ({ n: 0, id: -1, pad: '' })
    const out = { key: string(), value: json<Tally>() }
    const events = t.stream(`${prefix}events`, { key: string(), value: json<TallyEvent>() })
    events.groupByKey().aggregate(none, next, { store: 'by-key', value: json<Tally>() }).toStream().to(`${prefix}keys`, out)
    events
      .groupBy(({ group }) => group, { key: string() })
      .aggregate(none, next, { store: 'by-group', value: json<Tally>() })
      .toStream()
      .to(`${prefix}groups`, out)
  })

export default tally(process.env.TALLY_PREFIX ?? '')
