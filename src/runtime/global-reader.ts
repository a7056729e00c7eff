// Keeps the global tables of one process up to date: reads their topics to the end before anything is processed, and goes on reading.
//
// Invariants
// 1. `start` resolves when each table has all that was committed in its topic when it was called.
// 2. What went wrong is tried again, with growing pauses; a damaged store ends it (`onFatal`): the next start builds it anew.
import { explain, MillraceError } from '../base/errors.ts'
import { whenThere } from '../base/not-yet.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { partitionName, type TopicPartition } from '../base/record.ts'
import type { Chunk, Log, Reader } from '../log/log.ts'
import type { StoreProvider } from '../state/store.ts'
import type { PlanGlobal } from '../topology/plan-types.ts'
import { checkpointFits } from '../state/restore.ts'
import { backoffMs } from './backoff.ts'
import { missedDeletes, upToDate } from './missed-deletes.ts'
import { closeGlobals, emptied, type GlobalTable, type GlobalTables, openGlobals } from './global-tables.ts'

export interface GlobalReaderOptions {
  readonly specs: readonly PlanGlobal[]
  readonly log: Log
  readonly provider: StoreProvider
  readonly world: World
  readonly partitionsOf: (topic: string) => number
  readonly stopping: () => boolean
  readonly onFatal: (error: unknown) => void
}

export class GlobalReader {
  tables: GlobalTables = []
  readonly #o: GlobalReaderOptions
  #reader: Reader | null = null
  #closing = false
  #running: Promise<void> = Promise.resolve()

  constructor(options: GlobalReaderOptions) {
    this.#o = options
  }

  async start(): Promise<void> {
    const { specs, log, provider, world } = this.#o
    if (specs.length === 0) return
    const tables: GlobalTable[] = [...(await openGlobals(specs, provider, world))]
    this.tables = tables
    const ends = new Map<string, number>()
    const from: (TopicPartition & { offset: number })[] = []
    const askedAtMs = world.clock.now()
    for (const [i, opened] of tables.entries()) {
      const at = this.#partitionsOf(opened)
      const earliest = await log.offsets(at, 'earliest')
      const latest = await log.offsets(at, 'latest')
      const unfit = await this.#unfitness(opened, earliest, latest)
      const table = unfit === null ? opened : await emptied(opened, provider, world, unfit)
      tables[i] = table
      for (const { topic, partition } of at) {
        from.push({ topic, partition, offset: Math.max(table.position(partition), earliest[partition] as number) })
        ends.set(partitionName(topic, partition), latest[partition] as number)
      }
    }
    const reader = log.reader()
    this.#reader = reader
    reader.assign(from)
    for (const { topic, partition, offset } of from)
      if (offset >= (ends.get(partitionName(topic, partition)) as number)) ends.delete(partitionName(topic, partition))
    while (ends.size > 0) {
      if (this.#o.stopping()) throw new MillraceError('STREAM_CLOSED', 'closed while reading the global tables')
      await this.#step(reader, LIMITS.fetchWaitMs, ends)
    }
    for (const table of tables) {
      const all = this.#partitionsOf(table).map(({ partition }) => partition)
      await table.caughtUp(all, askedAtMs)
    }
    this.#running = this.#loop(reader)
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#reader?.wake()
    await this.#running
    await this.#reader?.close()
    await closeGlobals(this.tables)
  }

  #partitionsOf({ spec }: GlobalTable): TopicPartition[] {
    return Array.from({ length: this.#o.partitionsOf(spec.topic) }, (_, partition) => ({ topic: spec.topic, partition }))
  }

  /** Why what a table holds can't be brought up to date. */
  async #unfitness(table: GlobalTable, earliest: readonly number[], latest: readonly number[]) {
    const { log, world } = this.#o
    for (const at of this.#partitionsOf(table)) {
      const checkpoint = table.checkpointOf(at.partition)
      const end = latest[at.partition] as number
      if (checkpoint.changelogOffset < 0) continue
      if (!checkpointFits(checkpoint, earliest[at.partition] as number, end))
        return { reason: `${partitionName(at.topic, at.partition)} was cut`, keep: true }
      const missed = await missedDeletes(log, world, at.topic, checkpoint, end)
      if (missed !== null) return { reason: missed, keep: false }
    }
    return null
  }

  async #step(reader: Reader, waitMs: number, ends: Map<string, number> | null): Promise<void> {
    for (const chunk of await reader.poll(waitMs)) {
      for (const table of this.tables) {
        if (table.spec.topic !== chunk.topic) continue
        if (ends === null) await this.#refuseMissed(table, chunk)
        await whenThere(() => table.accept(chunk))
      }
      const name = partitionName(chunk.topic, chunk.partition)
      if (ends !== null && chunk.position >= (ends.get(name) ?? Number.POSITIVE_INFINITY)) ends.delete(name)
    }
    for (const table of this.tables) await table.apply()
  }

  /** What stands idle is up to date still: else it would count as old when something comes. */
  async #lookAtIdle(): Promise<void> {
    const { log, world } = this.#o
    for (const table of this.tables) {
      const askedAtMs = world.clock.now()
      const all = this.#partitionsOf(table).map((changelog) => ({ changelog, position: table.position(changelog.partition) }))
      const idle = await upToDate(log, all)
      await table.caughtUp(
        idle.map(({ changelog }) => changelog.partition),
        askedAtMs,
      )
    }
  }

  /** After a very long standstill, while it ran: the next start reads the table anew. */
  async #refuseMissed(table: GlobalTable, { topic, partition, endOffset }: Chunk): Promise<void> {
    const { log, world } = this.#o
    const missed = await missedDeletes(log, world, topic, table.checkpointOf(partition), endOffset)
    if (missed !== null)
      throw new MillraceError('STREAM_STORE_DAMAGED', `store ${table.spec.store.name}: ${missed}`, { disposition: 'stop' })
  }

  async #loop(reader: Reader): Promise<void> {
    const { world, onFatal } = this.#o
    let lookedAtMs = world.clock.monotonic()
    for (let failures = 0; !this.#closing; ) {
      try {
        await this.#step(reader, LIMITS.fetchWaitMs, null)
        if (world.clock.monotonic() - lookedAtMs >= LIMITS.caughtUpLookMs) {
          lookedAtMs = world.clock.monotonic()
          await this.#lookAtIdle()
        }
        await world.timers.turn()
        failures = 0
      } catch (error) {
        failures++
        const damaged = this.tables.some(({ store }) => store.damaged !== null)
        if (damaged || (error instanceof MillraceError && error.disposition === 'stop')) return onFatal(error)
        world.logger.warn({ reason: explain(error), failures }, 'global tables are not up to date, trying again')
        await world.timers.sleep(backoffMs(failures))
      }
    }
  }
}
