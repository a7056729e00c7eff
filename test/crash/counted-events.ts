// The input of counting.ts, written into the embedded log itself while no process owns it, and what its outputs must be.
//
// 1. What `write` has written is durable and known: nothing is in doubt, so every output can be foretold.
import { join } from 'node:path'
import { NO_HEADERS } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import type { Log } from '../../src/log/log.ts'
import type { CountedEvent } from './counting.ts'

const PARTITIONS = 4
const KEYS = 200
const GROUPS = 20
const world = systemWorld()

export type Counts = Readonly<Record<'counts' | 'group-counts', readonly { readonly key: string; readonly value: number | null }[]>>

/** Opens the embedded log of a state directory that no process owns. */
async function withLog<T>(stateDir: string, use: (log: Log) => Promise<T>): Promise<T> {
  const log = await openEmbeddedLog({ dir: join(stateDir, 'log'), world })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

/** Records, internal ones too, that the application has not committed yet. */
export function backlogOf(stateDir: string, applicationId: string, inputs: readonly string[]): Promise<number> {
  return withLog(stateDir, async (log) => {
    const infos = await log.topics(await log.topicNames())
    const all = [...infos.values()].flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
    )
    const [ends, committed] = [await log.offsets(all, 'latest'), await log.committed(applicationId, all)]
    return all.reduce((sum, { topic }, i) => {
      const at = committed[i]?.offset ?? (inputs.includes(topic) ? 0 : null) // an output or a changelog: nobody reads it
      return at === null ? sum : sum + (ends[i] as number) - at
    }, 0)
  })
}

export class CountedEvents {
  written = 0
  readonly #stateDir: string
  readonly #totals = { counts: new Map<string, number>(), 'group-counts': new Map<string, number>() }

  constructor(stateDir: string) {
    this.#stateDir = stateDir
  }

  write(events: number): Promise<void> {
    return withLog(this.#stateDir, async (log) => {
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

  backlog(): Promise<number> {
    return backlogOf(this.#stateDir, 'counting', ['events'])
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
