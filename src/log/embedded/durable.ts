// Makes commits of the embedded log durable: one synced write for whatever commits are waiting, then the mark, then the answer.
//
// Invariants
// 1. Writes are one at a time, in the order asked.
// 2. After a write that failed nothing is written any more (R5): whether it is there, only the next open can tell.
// 3. Records that were committed stay in memory up to a bound, the newest ones; the rest is read back when asked for.
import { MillraceError } from '../../base/errors.ts'
import { partitionName } from '../../base/record.ts'
import { emptyPartition, moveOut, type Partition, type Run } from '../local/partition.ts'
import type { Commit, Durability, Topic } from '../local/state.ts'
import type { TopicSpec } from '../log.ts'
import { closeDatabase, type Database } from './database.ts'
import { batchKey, CATALOG_KEY, type Catalog, COMMITS_KEY, endKey, endValue, jsonValue } from './entries.ts'
import { load } from './load.ts'
import type { Mark } from './mark.ts'
import type { Recovered } from './recover.ts'
import { type Put, putsOf } from './write.ts'

type Change = Put | { readonly type: 'del'; readonly key: Buffer }

interface Waiting {
  readonly commit: Commit
  resolve(): void
  reject(error: unknown): void
}

/** What a record costs in memory beside its bytes. */
const RECORD_OVERHEAD_BYTES = 250

export class DurableCommits implements Durability {
  readonly #database: Database
  readonly #dir: string
  readonly #mark: Mark
  readonly #cacheBytesMax: number
  readonly #topicIds = new Map<string, number>()
  readonly #written = new WeakSet<Run>()
  readonly #offsetEntries = new Set<string>()
  readonly #waiting: Waiting[] = []
  readonly #loads = new Set<Promise<unknown>>()
  #catalog: Catalog
  #commit: number
  #writing: Promise<void> = Promise.resolve()
  #pumping = false
  #failed: MillraceError | null = null
  #cached: Run[] = []
  #cachedBytes = 0

  constructor(database: Database, dir: string, mark: Mark, recovered: Recovered, cacheBytesMax: number) {
    this.#cacheBytesMax = cacheBytesMax
    this.#database = database
    this.#dir = dir
    this.#mark = mark
    this.#catalog = recovered.catalog
    this.#commit = recovered.commits.commit
    for (const { entry } of recovered.offsets) this.#offsetEntries.add(entry)
  }

  /** The topics as they were found. */
  open(recovered: Recovered): Topic[] {
    return recovered.catalog.topics.map(({ id, ...spec }) => this.#topic(spec, id, recovered.ends.get(id) ?? []))
  }

  /** Clears what a deletion left behind that was cut off. */
  async clearDeleted(): Promise<void> {
    const { clearing } = this.#catalog
    if (clearing.length === 0) return
    for (const id of clearing) await this.#database.clear({ gte: batchKey(id, 0, 0), lt: batchKey(id + 1, 0, 0) })
    await this.#write([], { ...this.#catalog, clearing: this.#catalog.clearing.filter((id) => !clearing.includes(id)) })
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<readonly Topic[]> {
    const first = this.#catalog.nextId
    const created = specs.map(({ name, partitions, kind }, i) => ({ name, partitions, kind, id: first + i }))
    const puts = created.flatMap(({ id, partitions }) =>
      Array.from({ length: partitions }, (_, partition): Put => {
        const key = endKey(id, partition)
        return { type: 'put', key, value: endValue(key, 0) }
      }),
    )
    await this.#write(puts, { ...this.#catalog, nextId: first + specs.length, topics: [...this.#catalog.topics, ...created] })
    return created.map(({ id, ...spec }) => this.#topic(spec, id, []))
  }

  async deleteTopics(topics: readonly Topic[]): Promise<void> {
    const names = new Set(topics.map((topic) => topic.spec.name))
    const gone = this.#catalog.topics.filter((topic) => names.has(topic.name))
    // a load under way finds the batches gone and says so; nobody believes it about a deleted partition
    for (const topic of topics) for (const partition of topic.partitions) partition.deleted = true
    const deletions: Change[] = gone.flatMap(({ id, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ type: 'del' as const, key: endKey(id, partition) })),
    )
    await this.#exclusive(async () => {
      const entries = [...this.#offsetEntries].filter((entry) => names.has(entry.split('\0')[1] ?? ''))
      for (const entry of entries) this.#offsetEntries.delete(entry)
      for (const entry of entries) deletions.push({ type: 'del', key: Buffer.from(entry, 'latin1') })
      await this.#put(deletions, {
        ...this.#catalog,
        topics: this.#catalog.topics.filter((topic) => !names.has(topic.name)),
        clearing: [...this.#catalog.clearing, ...gone.map((topic) => topic.id)],
      })
    })
    for (const name of names) this.#topicIds.delete(name)
    await this.clearDeleted()
  }

  commit(commit: Commit): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commit, resolve, reject })
      if (this.#pumping) return
      this.#pumping = true
      void this.#exclusive(() => this.#pump())
    })
  }

  settled(runs: readonly Run[]): void {
    for (const run of runs) {
      this.#cached.push(run)
      this.#cachedBytes += run.bytes + run.records.length * RECORD_OVERHEAD_BYTES
    }
    for (let tries = this.#cached.length; tries > 0 && this.#cachedBytes > this.#cacheBytesMax; tries--) {
      const run = this.#cached.shift() as Run
      if (run.partition.deleted || moveOut(run.partition, run)) this.#cachedBytes -= run.bytes + run.records.length * RECORD_OVERHEAD_BYTES
      else this.#cached.push(run)
    }
  }

  async close(): Promise<void> {
    await this.#writing
    await Promise.all(this.#loads)
    this.#failed ??= new MillraceError('STREAM_CLOSED', `the log in ${this.#dir} is closed`)
    this.#mark.close()
    await closeDatabase(this.#database, this.#dir)
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting.splice(0)
      try {
        const disk = { topicIds: this.#topicIds, written: this.#written, offsetEntries: this.#offsetEntries }
        const commits = taken.map(({ commit }) => commit)
        const { puts, newEntries } = putsOf(disk, commits)
        for (const entry of newEntries) this.#offsetEntries.add(entry)
        await this.#put(puts, null)
        for (const { runs } of commits) for (const run of runs) this.#written.add(run)
        for (const { resolve } of taken) resolve()
      } catch (error) {
        for (const { reject } of taken) reject(error)
      }
    }
    this.#pumping = false
  }

  #write(changes: readonly Change[], catalog: Catalog): Promise<void> {
    return this.#exclusive(() => this.#put(changes, catalog))
  }

  #exclusive(write: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(write)
    this.#writing = done.catch(() => undefined)
    return done
  }

  async #put(changes: readonly Change[], catalog: Catalog | null): Promise<void> {
    if (this.#failed !== null) throw this.#failed
    const commit = this.#commit + 1
    const all: Change[] = [...changes]
    if (catalog !== null) all.push({ type: 'put', key: CATALOG_KEY, value: jsonValue(CATALOG_KEY, catalog) })
    all.push({ type: 'put', key: COMMITS_KEY, value: jsonValue(COMMITS_KEY, { commit, offsetEntries: this.#offsetEntries.size }) })
    try {
      await this.#database.batch(all, { sync: true })
      this.#mark.write(commit)
    } catch (error) {
      this.#failed = new MillraceError(
        'STREAM_LOG_DAMAGED',
        `the log in ${this.#dir} could not be written; nothing more is written until it is opened again: free space or mend the disk, then restart`,
        { cause: error },
      )
      throw this.#failed
    }
    this.#commit = commit
    if (catalog !== null) this.#catalog = catalog
  }

  #topic(spec: TopicSpec, id: number, ends: readonly number[]): Topic {
    this.#topicIds.set(spec.name, id)
    const partitions = Array.from({ length: spec.partitions }, (_, i) => {
      const partition = emptyPartition(spec.name, i, partitionName(spec.name, i))
      const end = ends[i] ?? 0
      partition.end = end
      partition.stable = end
      partition.residentFrom = end
      partition.load = (from, bytesMax) => this.#load(partition, id, from, bytesMax)
      return partition
    })
    return { spec, partitions, deleted: false }
  }

  async #load(partition: Partition, topicId: number, from: number, bytesMax: number) {
    const loading = load({ database: this.#database, dir: this.#dir, topicId, partition }, from, bytesMax)
    const settled = loading.catch(() => undefined)
    this.#loads.add(settled)
    try {
      return await loading
    } finally {
      this.#loads.delete(settled)
    }
  }
}
