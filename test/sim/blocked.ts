// Dead letters that keep their keys waiting, in the simulator: what fails passes when it comes back, what nobody can read is dropped. Somebody
// outside settles them, as `millrace dead-letter` would, while instances are killed and tasks move. Asked for by name.
import type { LogRecord } from '../../src/base/record.ts'
import { dropping, originOf, returning, returnTopic } from '../../src/control/letter.ts'
import { json, string, topology } from '../../src/index.ts'
import { type Fed, KEYS, listsOf, NONE, POISON, parsed, type SimCase } from './case.ts'
import { appendPlain, committedRecords, type SimPartition } from './log/partition.ts'

interface Step {
  readonly n: number
  readonly fails?: boolean
}

export const blocked: SimCase = {
  name: 'blocked',
  goesOn: true,
  guarantees: ['exactly_once', 'at_least_once'],
  holdsInput: true,
  blockKey: { maxRecords: 5 },
  inputs: ['steps'],
  outputs: ['done'],
  rising: [],
  topology: topology('blocked', (t) => {
    t.stream('steps', { key: string(), value: json<Step>() })
      .processValues<Step>(
        (context) => ({
          process(record) {
            const isReplay = record.headers !== undefined && Object.hasOwn(record.headers, '__millrace.replay.of')
            if (record.value?.fails === true && !isReplay) throw new Error('not yet')
            context.forward(record)
          },
        }),
        { value: json<Step>() },
      )
      .to('done', { key: string(), value: json<Step>() })
  }),
  poison: (fed) => parsed<Step>(fed)?.fails === true,
  feed: (chance, count) =>
    Array.from({ length: count }, (_, n): Fed => {
      const value = chance.hit(0.05) ? POISON : JSON.stringify({ n, ...(chance.hit(0.15) ? { fails: true } : {}) })
      return { topic: 'steps', key: chance.pick(KEYS), value, timestamp: 1_000 + n * 10 }
    }),
  ofPartition: () => ({ outputs: new Map(), tables: new Map() }),
  inTheEnd(partitions) {
    const done = listsOf<string>()
    for (const fed of partitions.flat()) if (parsed<Step>(fed) !== null) done.add(fed.key, fed.value)
    return { ...NONE, sequences: new Map([['done', done.map]]) }
  },
}

/** Settles the letters that are committed and were not settled; true: there were some. */
export function settleLetters(
  letters: readonly SimPartition[],
  settled: Set<string>,
  to: (topic: string, partition: number) => SimPartition,
): boolean {
  let some = false
  for (const from of letters) {
    for (const letter of committedRecords(from)) {
      const place = `${from.partition}:${letter.offset}`
      const origin = originOf(letter.headers)
      const topic = returnTopic(letter)
      if (settled.has(place) || origin === null || topic === null) continue
      settled.add(place)
      some = true
      const isRead = parsed({ topic: '', key: '', timestamp: 0, value: String(letter.value) }) !== null
      const record: LogRecord = { ...letter, offset: 0, timestamp: 0 }
      const back = isRead ? { headers: returning(origin, letter, place) } : { value: null, headers: dropping(origin) }
      appendPlain(to(topic, origin.partition), [{ ...record, ...back }])
    }
  }
  return some
}
