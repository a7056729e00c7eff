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
import type { Log, Reader } from '../log/log.ts'
import type { StoreProvider } from '../state/store.ts'
import type { PlanGlobal } from '../topology/plan-types.ts'
import { checkpointFits } from '../state/restore.ts'
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
    for (const [i, opened] of tables.entries()) {
      const at = this.#partitionsOf(opened)
      const earliest = await log.offsets(at, 'earliest')
      const latest = await log.offsets(at, 'latest')
      const misfit = at.find(({ partition }) => {
        const position = opened.position(partition)
        return position >= 0 && !checkpointFits({ changelogOffset: position }, earliest[partition] as number, latest[partition] as number)
      })
      const table =
        misfit === undefined ? opened : await emptied(opened, provider, world, `${partitionName(misfit.topic, misfit.partition)} was cut`)
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

  async #step(reader: Reader, waitMs: number, ends: Map<string, number> | null): Promise<void> {
    for (const chunk of await reader.poll(waitMs)) {
      for (const table of this.tables) if (table.spec.topic === chunk.topic) await whenThere(() => table.accept(chunk))
      const name = partitionName(chunk.topic, chunk.partition)
      if (ends !== null && chunk.position >= (ends.get(name) ?? Number.POSITIVE_INFINITY)) ends.delete(name)
    }
    for (const table of this.tables) await table.apply()
  }

  async #loop(reader: Reader): Promise<void> {
    const { world, onFatal } = this.#o
    for (let failures = 0; !this.#closing; ) {
      try {
        await this.#step(reader, LIMITS.fetchWaitMs, null)
        await world.timers.turn()
        failures = 0
      } catch (error) {
        failures++
        const damaged = this.tables.some(({ store }) => store.damaged !== null)
        if (damaged || (error instanceof MillraceError && error.disposition === 'stop')) return onFatal(error)
        world.logger.warn({ reason: explain(error), failures }, 'global tables are not up to date, trying again')
        await world.timers.sleep(Math.min(LIMITS.rewindBackoffMs * 2 ** Math.min(failures, 10), LIMITS.rewindBackoffMaxMs))
      }
    }
  }
}
