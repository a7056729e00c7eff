// Many events through three topologies in a chain, each run by members that come, are stopped and are killed meanwhile: at each level each
// event is there once, whoever had its task.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Processor, startProcessorWith } from '../support/processor.ts'
import { load } from '../support/run-worker.ts'
import { backlog } from './caught-up.ts'
import { SHORT, sleep } from './fleet.ts'
import { type JavaRecord, readAllCommitted } from './java-reader.ts'
import { LEVELS, type Level, levelOf, type Passed, topicOf } from './levels.ts'
import { open, world } from './running.ts'

const PARTITIONS = 4
const KEYS = 500
const PORTION = 10_000
const QUIET_MS = 1_500
const LIMIT_MS = 240_000
const LATE = /^millrace: not closed within .* s; what was not committed is done again/m

export interface BulkOptions {
  readonly brokers: string
  readonly prefix: string
  readonly events: number
  /** How often at each level a member comes and the oldest goes: stopped and killed by turns. */
  readonly changes: number
  /** One a level. */
  readonly commitIntervals: readonly [string, string, string]
}

export interface BulkOutcome {
  readonly wrong: readonly string[]
  /** Of each level. */
  readonly passed: readonly number[]
  readonly tookMs: number
}

export async function runBulk(options: BulkOptions, tell: (text: string) => void): Promise<BulkOutcome> {
  const { brokers, prefix, events, changes, commitIntervals } = options
  const base = mkdtempSync(join(tmpdir(), 'millrace-bulk-'))
  const log = await open(brokers)
  const all = new Set<Processor>()
  let members = 0
  const start = (level: Level): Processor => {
    const env = { LEVELS_PREFIX: prefix, LEVELS_LEVEL: String(level), FAULTY_LIMITS: JSON.stringify(SHORT) }
    const words = [
      '--brokers',
      brokers,
      '--state-dir',
      join(base, `m${members++}`),
      '--commit-interval',
      commitIntervals[level - 1] as string,
    ]
    const processor = startProcessorWith(
      { imports: [join(import.meta.dirname, 'faulty.ts')], env },
      join(import.meta.dirname, 'levels.ts'),
      ...words,
    )
    all.add(processor)
    void processor.ended.then(() => all.delete(processor))
    return processor
  }
  try {
    await log.createTopics([1, 2, 3, 4].map((level) => ({ name: topicOf(prefix, level), partitions: PARTITIONS, kind: 'plain' as const })))
    const began = world.clock.monotonic()
    const living = new Map(LEVELS.map((level) => [level, [start(level)]]))
    await Promise.all([...living.values()].flat().map(({ ready }) => ready))
    const loaded = (async () => {
      for (let id = 0; id < events; id += PORTION) {
        const portion = Array.from({ length: Math.min(PORTION, events - id) }, (_, i) => {
          const value: Passed = { id: id + i, n: 0 }
          return {
            topic: topicOf(prefix, 1),
            key: Buffer.from(`k${(id + i) % KEYS}`),
            value: Buffer.from(JSON.stringify(value)),
            timestamp: 0,
          }
        })
        await load(log, portion, PARTITIONS)
      }
    })()
    loaded.catch(() => {})
    for (let change = 0; change < changes; change++) {
      for (const [level, of] of living) {
        const comes = start(level)
        of.push(comes)
        await comes.ready
        const goes = of.shift() as Processor
        if (change % 2 === 1) await goes.kill()
        else if ((await goes.stop()).code !== 0) {
          // Right behind a join it may have no time to commit on a busy machine; the records count all the same.
          if (!LATE.test(goes.said())) throw new Error(`a member of level ${level} did not stop in order\n${goes.said()}`)
          tell(`${prefix}a member of level ${level} was not closed in time`)
        }
      }
    }
    await loaded
    const deadline = world.clock.monotonic() + LIMIT_MS
    for (let quietSince: number | null = null; ; await sleep(100)) {
      let left = 0
      for (const level of LEVELS) left += await backlog(log, levelOf(prefix, level), `${prefix}levels-${level}`)
      const now = world.clock.monotonic()
      if (left > 0) quietSince = null
      else quietSince ??= now
      if (quietSince !== null && now - quietSince > QUIET_MS) break
      if (now > deadline) throw new Error(`${left} records are left\n${[...all].map((of) => of.said().slice(-1_500)).join('\n---\n')}`)
    }
    const tookMs = world.clock.monotonic() - began
    const levels = await readAllCommitted(
      brokers,
      [1, 2, 3, 4].map((level) => topicOf(prefix, level)),
    )
    const wrong = levels.slice(1).flatMap((records, i) => differences(levels[0] as JavaRecord[], records, i + 1))
    const passed = levels.map((records) => records.length)
    tell(`${prefix}${passed.join(' -> ')} events, ${members} members came, ${Math.round(tookMs / 1_000)} s`)
    return { wrong, passed, tookMs }
  } finally {
    await Promise.all([...all].map((processor) => processor.kill()))
    await log.close()
    rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

const idOf = (record: JavaRecord): number => (JSON.parse(String(record.value)) as Passed).id

/** Each event of the input once, and each key's numbers 1, 2, 3 ... */
export function differences(input: readonly JavaRecord[], output: readonly JavaRecord[], level: number): string[] {
  const found: string[] = []
  const left = new Map<number, number>()
  for (const record of input) left.set(idOf(record), (left.get(idOf(record)) ?? 0) + 1)
  const last = new Map<string, number>()
  for (const record of output) {
    const { id, n } = JSON.parse(String(record.value)) as Passed
    const key = String(record.key)
    const expected = (last.get(key) ?? 0) + 1
    if (n !== expected) found.push(`level ${level}, ${key}: number ${n} where ${expected} must come`)
    last.set(key, n)
    left.set(id, (left.get(id) ?? 0) - 1)
  }
  for (const [id, n] of left) if (n !== 0) found.push(`level ${level}: event ${id} ${n > 0 ? 'is lost' : 'is there twice'}`)
  return found
}
