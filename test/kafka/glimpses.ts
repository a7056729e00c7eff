// Readers of all instances while faults strike: ranges and single keys over HTTP, keys over the control socket, several times a second; and
// what is wrong with what they were told. A range is of one epoch and of a committed one, or it is refused by name.
//
// 1. Only the input, as the Java client reads it, and committed offsets say what an answer should have been.
// 2. A connection that fails is no fault: processes die here. Any answer but 200, 404 and a 503 with its code is.
import { Admin } from '@platformatic/kafka'
import { MillraceError } from '../../src/base/errors.ts'
import { connectControl } from '../../src/control/client.ts'
import { type Glimpse, glimpseDifferences, type Sample, SEEN_MS } from './glimpse-judge.ts'
import type { JavaRecord } from './java-reader.ts'
import { world } from './running.ts'
import type { Tally } from './tally.ts'

const EACH_MS = 250
const SAMPLE_MS = 250
const TIMEOUT_MS = 5_000
export interface Glimpses {
  /** Asks this instance until `stop` or until it is gone. */
  watch(name: string, port: number, stateDir: string, gone: Promise<unknown>): void
  stop(): Promise<void>
  counts(): GlimpseCounts
  wrong(events: readonly JavaRecord[]): string[]
}

export interface GlimpseCounts {
  ranges: number
  rows: number
  control: number
  refused: number
  failed: number
  /** Looks at the committed offsets. */
  samples: number
}

export interface GlimpsesOptions {
  readonly brokers: string
  readonly groupId: string
  readonly input: string
  readonly partitions: number
  readonly keys: number
  /** How long a broker may take to show offsets whose commit it has answered: the markers of a transaction wait for a broker that is down. */
  readonly seenMs?: number
}

export function openGlimpses({ brokers, groupId, input, partitions, keys, seenMs = SEEN_MS }: GlimpsesOptions): Glimpses {
  const admin = new Admin({ clientId: 'glimpses', bootstrapBrokers: brokers.split(','), retries: 0, timeout: 2_000 })
  const samples: Sample[] = []
  const seen: Glimpse[] = []
  const refusals: string[] = []
  const counts: GlimpseCounts = { ranges: 0, rows: 0, control: 0, refused: 0, failed: 0, samples: 0 }
  const now = (): number => world.clock.monotonic()
  const loops: Promise<void>[] = []
  let stopping = false

  const sample = async (): Promise<void> => {
    while (!stopping) {
      const offsets = new Array<number>(partitions).fill(0)
      const topics = [{ name: input, partitionIndexes: [...offsets.keys()] }]
      const askedMs = now()
      // not the stable ones: those wait for the epoch that is being ended, and would hide a row shown too early
      await admin.listConsumerGroupOffsets({ groups: [{ groupId, topics }], requireStable: false }).then(
        ([group]) => {
          for (const topic of group?.topics ?? [])
            for (const { partitionIndex, committedOffset } of topic.partitions)
              offsets[partitionIndex] = Math.max(0, Number(committedOffset))
          samples.push({ askedMs, atMs: now(), offsets })
          counts.samples++
        },
        () => {},
      )
      await world.timers.sleep(SAMPLE_MS)
    }
  }
  loops.push(sample())

  const overHttp = async (by: string, port: number, path: string, take: (body: unknown, status: number) => void): Promise<void> => {
    let status: number
    let body: unknown
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(TIMEOUT_MS), keepalive: false })
      status = answer.status
      body = await answer.json()
    } catch {
      counts.failed++
      return
    }
    const code = (body as { error?: { code?: string }; code?: string }).error?.code ?? (body as { code?: string }).code
    if (status === 503 && (code === 'NOT_READY' || code === 'STORE_RESTORING')) counts.refused++
    else if (status === 502 && code === 'OWNER_UNREACHABLE') counts.refused++
    else if (status === 200 || status === 404) take(body, status)
    else refusals.push(`${by}${path}: ${status} ${JSON.stringify(body)}`)
  }

  const look = async (by: string, port: number, stateDir: string, gone: () => boolean): Promise<void> => {
    while (!stopping && !gone()) {
      const key = `k${world.random.below(keys)}`
      await overHttp(by, port, '/stores/by-key?limit=1000', (body) => {
        const { entries } = body as { entries: { key: string; value: Tally }[] }
        counts.ranges++
        seen.push({ atMs: now(), by, rows: entries.map((entry) => [entry.key, entry.value]), whole: true })
      })
      await overHttp(by, port, `/stores/by-key/${key}`, (body, status) => {
        const rows: Glimpse['rows'] = status === 404 ? [] : [[key, (body as { value: Tally }).value]]
        counts.rows++
        seen.push({ atMs: now(), by, rows, whole: false, ...(status === 404 ? { none: key } : {}) })
      })
      await throughControl(by, stateDir, key)
      await world.timers.sleep(EACH_MS)
    }
  }

  const throughControl = async (by: string, stateDir: string, key: string): Promise<void> => {
    const client = await connectControl(stateDir).catch(() => null)
    if (client === null) return
    const late = world.timers.after(TIMEOUT_MS, () => client.close())
    try {
      const row = await client.query('by-key', key)
      counts.control++
      if (row !== null) seen.push({ atMs: now(), by: `${by} (control)`, rows: [[key, row.value as Tally]], whole: false })
    } catch (error) {
      if (error instanceof MillraceError && error.code !== 'STREAM_INTERNAL') counts.refused++
      else refusals.push(`${by} (control): ${error}`)
    } finally {
      late()
      client.close()
    }
  }

  return {
    watch(name, port, stateDir, gone) {
      let over = false
      void gone.then(() => {
        over = true
      })
      loops.push(look(name, port, stateDir, () => over))
    },
    async stop() {
      if (stopping) return
      await world.timers.sleep(seenMs + 4 * SAMPLE_MS) // the last answers, too, have a sample behind them
      stopping = true
      await Promise.all(loops)
      await admin.close()
    },
    counts: () => counts,
    wrong: (events) => [...refusals, ...glimpseDifferences(events, seen, samples, seenMs)],
  }
}
