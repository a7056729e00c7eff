// The input of counting.ts, written into the embedded log itself while no process owns it, and what its outputs must be.
//
// 1. What `write` has written is durable and known: nothing is in doubt, so every output can be foretold.
import { NO_HEADERS } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { progressOf, withEmbeddedLog } from '../support/embedded.ts'
import type { CountedEvent } from './counting.ts'

const PARTITIONS = 4
const KEYS = 200
const GROUPS = 20
const world = systemWorld()

export type Counts = Readonly<Record<'counts' | 'group-counts', readonly { readonly key: string; readonly value: number | null }[]>>

export class CountedEvents {
  written = 0
  readonly #stateDir: string
  readonly #totals = { counts: new Map<string, number>(), 'group-counts': new Map<string, number>() }

  constructor(stateDir: string) {
    this.#stateDir = stateDir
  }

  write(events: number): Promise<void> {
    return withEmbeddedLog(this.#stateDir, async (log) => {
      await log.createTopics([{ name: 'events', partitions: PARTITIONS, kind: 'plain' }])
      const writer = log.writer({ transactionalId: 'counted', guarantee: 'exactly_once' })
      await writer.init()
      for (let i = 0; i < events; i++) {
        const [key, group] = [world.random.below(KEYS), `g${world.random.below(GROUPS)}`]
        for (const [counts, name] of [
          [this.#totals.counts, `k${key}`],
          [this.#totals['group-counts'], group],
        ] as const)
          counts.set(name, (counts.get(name) ?? 0) + 1)
        const value: CountedEvent = { group }
        writer.append('events', key % PARTITIONS, 0, Buffer.from(`k${key}`), Buffer.from(JSON.stringify(value)), NO_HEADERS)
      }
      writer.seal()
      await writer.flush()
      await writer.commit(null, 'counted', [])
      this.written += events
    })
  }

  /** Records, internal ones too, that the application has not committed yet. */
  async backlog(): Promise<number> {
    return (await progressOf(this.#stateDir, 'counting', ['events'])).backlog
  }

  /** Every number that is missing or too many, in words. */
  wrong(counts: Counts): string[] {
    const found: string[] = []
    for (const topic of ['counts', 'group-counts'] as const) {
      const last = new Map<string, number>()
      for (const { key, value } of counts[topic]) {
        if (value !== (last.get(key) ?? 0) + 1) found.push(`${topic} ${key}: ${value} after ${last.get(key) ?? 0}`)
        last.set(key, value ?? 0)
      }
      for (const [key, n] of this.#totals[topic]) if (last.get(key) !== n) found.push(`${topic} ${key}: ${last.get(key)} of ${n}`)
    }
    return found
  }
}
