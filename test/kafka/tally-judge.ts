// What the outputs of tally.ts must be, from its input as it stands in the topic, both as the Java client reads them.
//
// 1. The outputs of a key are its events in the order of the input, numbered 1, 2, 3 ...: nothing lost, doubled or out of order.
// 2. The outputs of a group are numbered 1, 2, 3 ...; each of its events is there once; those of one input partition keep their order.
import { type JavaRecord, readAllCommitted } from './java-reader.ts'
import type { Tally, TallyEvent } from './tally.ts'

export interface Verdict {
  readonly events: number
  readonly wrong: readonly string[]
}

/** `beside` says what else is wrong, from the input. */
export async function judge(
  brokers: string,
  prefix: string,
  beside: (events: readonly JavaRecord[]) => readonly string[] = () => [],
): Promise<Verdict> {
  const names = ['events', 'keys', 'groups'].map((name) => prefix + name)
  const [events = [], keys = [], groups = []] = await readAllCommitted(brokers, names)
  return { events: events.length, wrong: [...differences(events, keys, groups), ...beside(events)] }
}

const keyOf = (record: JavaRecord): string => String(record.key)
const parse = <T>(record: JavaRecord): T => JSON.parse(String(record.value)) as T

/** Other fleets are watched by this process meanwhile: no copies, or it would stand still for seconds. */
function listed<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const list = lists.get(key) ?? []
  if (list.length === 0) lists.set(key, list)
  return list
}

export function differences(events: readonly JavaRecord[], keys: readonly JavaRecord[], groups: readonly JavaRecord[]): string[] {
  const ofKey = new Map<string, number[]>()
  const ofGroup = new Map<string, number>()
  /** Where each event stands in the input: more than once when the load's writer was in doubt. */
  const places = new Map<number, JavaRecord[]>()
  for (const record of events) {
    const { id, group } = parse<TallyEvent>(record)
    listed(ofKey, keyOf(record)).push(id)
    ofGroup.set(group, (ofGroup.get(group) ?? 0) + 1)
    listed(places, id).push(record)
  }
  const found: string[] = []
  const seen = new Map<string, number>()
  const next = (key: string, n: number): void => {
    const expected = (seen.get(key) ?? 0) + 1
    if (n !== expected) found.push(`${key}: number ${n} where ${expected} must come`)
    seen.set(key, n)
  }
  for (const record of keys) {
    const { n, id } = parse<Tally>(record)
    next(keyOf(record), n)
    const expected = ofKey.get(keyOf(record))?.[n - 1]
    if (id !== expected) found.push(`${keyOf(record)}: number ${n} is event ${id}, not ${expected}`)
  }
  for (const [key, ids] of ofKey) if (seen.get(key) !== ids.length) found.push(`${key}: ${seen.get(key) ?? 0} of ${ids.length}`)
  seen.clear()
  const last = new Map<string, number>()
  for (const record of groups) {
    const { n, id } = parse<Tally>(record)
    next(keyOf(record), n)
    const place = places.get(id)?.shift()
    if (place === undefined) {
      found.push(`${keyOf(record)}: event ${id} twice`)
      continue
    }
    const line = `${keyOf(record)} from partition ${place.partition}`
    if ((last.get(line) ?? -1) > place.offset) found.push(`${line}: offset ${place.offset} behind ${last.get(line)}`)
    last.set(line, place.offset)
  }
  for (const [group, n] of ofGroup) if (seen.get(group) !== n) found.push(`${group}: ${seen.get(group) ?? 0} of ${n}`)
  for (const [id, left] of places) if (left.length > 0) found.push(`event ${id} is in no group`)
  return found
}
