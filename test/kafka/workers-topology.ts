// A topology whose records say how it is to fail: the same in each thread that imports it.
import { existsSync, writeFileSync } from 'node:fs'
import { json, string, type Topology, topology } from 'millrace'

export interface Poison {
  readonly how?: 'throw' | 'later' | 'reject' | 'exit' | 'hang' | 'stall'
}

/** Longer than the session of the processes that it is for. */
const STALL_MS = 10_000

const fail: Readonly<Record<NonNullable<Poison['how']>, () => void>> = {
  throw() {
    throw new RangeError('thrown by a callback')
  },
  later: () => void setTimeout(() => fail.throw(), 10),
  reject: () => void Promise.reject(new RangeError('rejected by a callback')),
  exit: () => process.exit(7),
  hang() {
    for (;;);
  },
  // Once: whoever reads the record again goes on. The mark is a file, since threads share no variables.
  stall() {
    const mark = process.env.POISON_MARK as string
    if (existsSync(mark)) return
    writeFileSync(mark, '')
    for (const end = Date.now() + STALL_MS; Date.now() < end; );
  },
}

export const failingOn = (topic: string): Topology =>
  topology('failing', (t) => {
    t.stream(topic, { key: string(), value: json<Poison>() })
      .peek(({ how }) => {
        if (how !== undefined) fail[how]()
      })
      .groupByKey()
      .count({ store: 'eaten' })
  })

/** Threads have the environment of the process that starts them. */
export default failingOn(process.env.POISON_TOPIC ?? 'poison')
