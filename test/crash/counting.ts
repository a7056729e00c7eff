// Counts each event once by its own key and once by its group: for every key the outputs must be 1, 2, 3, ... n. A record lost is a
// number missing at the end, a record or an output doubled is a number too many; how the partitions interleave does not matter.
import { json, string, topology } from 'millrace'

export interface CountedEvent {
  group: string
}

export default topology('counting', (t) => {
  const events = t.stream('events', { key: string(), value: json<CountedEvent>() })
  events.groupByKey().count({ store: 'by-key' }).toStream().to('counts', { key: string(), value: json<number>() })
  events
    .groupBy((event) => event.group, { key: string() })
    .count({ store: 'by-group' })
    .toStream()
    .to('group-counts', { key: string(), value: json<number>() })
})
