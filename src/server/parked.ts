// `GET /parked`: the records that wait in operators of this process, as their topics have them.
//
// 1. What is committed, of the tasks that are here; not of one epoch, since it is looked at and not worked with.
// 2. Bounded as dead letters are: in number, in bytes, and each record for itself.
import { LIMITS } from '../base/limits.ts'
import { whenThere } from '../base/not-yet.ts'
import { jsonText, shown, type TopicSerdes } from '../control/serdes.ts'
import { shownSerdes } from '../control/topic-serdes.ts'
import { type Waiting, waitingIn } from '../runtime/waiting.ts'
import { pairWritings, prepareSerdes } from '../topology/prepare.ts'
import { type Answering, answered } from './asks.ts'
import { fieldsOf, limitOf } from './fields.ts'
import { boundedLine, type Lines, linesOf } from './lines.ts'
import type { Served } from './served.ts'

export function parkedOf(served: Served, bare: boolean): Answering {
  return async ({ query }) => {
    const { limit } = fieldsOf(query, ['limit'])
    const lines = linesOf(limitOf(limit, LIMITS.lettersShownMax))
    await gather(served, bare, lines)
    return answered(lines.text('records'))
  }
}

async function gather(served: Served, bare: boolean, lines: Lines): Promise<void> {
  const { plan } = served
  const known = new Map<string, TopicSerdes | null>()
  const serdesOf = async (topic: string): Promise<TopicSerdes | null> => {
    const found = known.get(topic)
    if (found !== undefined) return found
    const serdes = shownSerdes(plan, topic)
    if (serdes !== null) await prepareSerdes(pairWritings(topic, serdes))
    known.set(topic, serdes)
    return serdes
  }
  for await (const record of waitingIn(served, plan, served.sized())) {
    const serdes = await serdesOf(record.topic)
    const line = await whenThere(() => jsonText(shownRecord(record, serdes)))
    if (!lines.add(boundedLine(line, bare))) return
  }
}

function shownRecord({ operator, task, topic, partition, offset, ...record }: Waiting, serdes: TopicSerdes | null): object {
  const { key, value, timestamp, parkedAtMs } = record
  const from = { topic, partition, offset }
  return { operator, task, from, key: shown(key, serdes?.key), value: shown(value, serdes?.value), timestamp, parkedAtMs }
}
