// The writer of an in-process log: epochs of records that already have their offsets, and become visible all at once.
//
// Invariants
// 1. Only the newest writer of a transactional id commits; an older one is told STREAM_FENCED and what it had open is aborted.
// 2. A refused or failed commit leaves the writer unusable until `init`, and aborts what it had open (unless it is unknown
//    whether it became durable: then the log itself refuses all further commits).
// 3. Nothing is ever under way between `append` and `flush`: `drain` never waits. What the open epoch holds in memory is `bufferedBytes`.
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { Headers } from '../../base/record.ts'
import type { CommittedOffset, EndOffsets, GroupIdentity, Writer, WriterOptions } from '../log.ts'
import { checkIdentity } from './groups.ts'
import { abort, appendTo, type Epoch, openEpoch, type Run } from './partition.ts'
import { findPartition, news, openNews, type State, setOffsets, type Topic } from './state.ts'

export interface LocalWriter extends Writer {
  /** As if its process had died: what is open is aborted, no call works any more. */
  crash(): void
}

export function localWriter(state: State, options: WriterOptions, gone: () => void): LocalWriter {
  return new EpochWriter(state, options, gone)
}

/** What a record costs in memory beside its bytes. */
const RECORD_COST_BYTES = 250

class EpochWriter implements LocalWriter {
  bufferedBytes = 0
  readonly #state: State
  readonly #id: string
  readonly #exact: boolean
  readonly #gone: () => void
  /** Stands for this writer's latest finished init; what the owners' table holds while it is the newest. */
  #ready: object = {}
  #open: Epoch = openEpoch()
  #sealed: Epoch | null = null
  #condition: 'new' | 'ready' | 'fenced' | 'failed' | 'closed' = 'new'
  #topic: Topic | null = null
  /** What has to settle before anybody may follow under this id; never rejects. */
  #ending: Promise<void> | null = null

  constructor(state: State, options: WriterOptions, gone: () => void) {
    this.#gone = gone
    this.#state = state
    this.#id = options.transactionalId
    this.#exact = options.guarantee === 'exactly_once'
  }

  async init(): Promise<void> {
    if (this.#condition === 'closed' || this.#state.closed) throw closed(this.#id)
    await this.#ending
    this.#drop()
    if (this.#exact) {
      const token = {}
      const before = this.#state.owners.get(this.#id)
      this.#state.owners.set(this.#id, { token, fence: () => this.#fence() })
      if (before !== undefined && before.token !== this.#ready) {
        this.#ending = before.fence()
        await this.#ending
        this.#ending = null
      }
      if (this.#state.owners.get(this.#id)?.token !== token) throw fenced(this.#id)
      this.#ready = token
    }
    this.#condition = 'ready'
  }

  append(topic: string, partition: number, timestamp: number, key: Buffer | null, value: Buffer | null, headers: Headers): void {
    if (this.#condition !== 'ready') {
      // a fenced writer learns it at its barrier, as it would from a broker; nothing of this can ever be seen
      if (this.#condition === 'fenced') return
      throw this.#refusal()
    }
    let known = this.#topic
    if (known === null || known.deleted || known.spec.name !== topic) {
      known = this.#state.topics.get(topic) ?? null
      this.#topic = known
    }
    const target = known?.partitions[partition] ?? findPartition(this.#state, topic, partition)
    let bytes = (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
    for (const [name, header] of headers) bytes += Buffer.byteLength(name) + (header === null ? 0 : header.length)
    if (bytes > LIMITS.recordBytesMax) {
      throw new MillraceError(
        'STREAM_RECORD_TOO_LARGE',
        `a record for ${topic}-${partition} has ${bytes} bytes, more than the ${LIMITS.recordBytesMax} that a log takes; write less into one record`,
      )
    }
    this.bufferedBytes += bytes + RECORD_COST_BYTES
    appendTo(target, this.#open, { offset: target.end, timestamp, key, value, headers }, bytes)
    openNews(this.#state)
  }

  async drain(): Promise<void> {}

  seal(): void {
    if (this.#condition !== 'ready' && this.#condition !== 'fenced') throw this.#refusal()
    if (this.#sealed !== null)
      throw new MillraceError('STREAM_INTERNAL', `writer ${this.#id}: an epoch is sealed already; commit it before the next`)
    this.#sealed = this.#open
    this.#open = openEpoch()
    this.bufferedBytes = 0
  }

  async flush(): Promise<EndOffsets> {
    const sealed = this.#sealedEpoch()
    const ends = new Map<string, number>()
    for (const run of sealed.runs) ends.set(run.partition.name, run.end)
    if (!this.#exact) await this.#commitRuns(sealed, '', [])
    return ends
  }

  async commit(identity: GroupIdentity | null, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const sealed = this.#sealedEpoch()
    if (offsets.length > 0) {
      if (groupId === '' || groupId.includes('\0'))
        throw new MillraceError('STREAM_USAGE', `group id ${JSON.stringify(groupId)} is not allowed`)
      const refused = checkIdentity(this.#state, identity, groupId)
      if (refused !== null) {
        this.#drop()
        this.#condition = 'fenced'
        throw refused
      }
    }
    await this.#commitRuns(sealed, groupId, offsets)
    this.#sealed = null
  }

  async close(): Promise<void> {
    if (this.#condition === 'closed') return
    await this.#ending
    this.crash()
  }

  crash(): void {
    this.#drop()
    this.#condition = 'closed'
    if (this.#state.owners.get(this.#id)?.token === this.#ready) this.#state.owners.delete(this.#id)
    this.#gone()
  }

  /** Makes an epoch durable, then visible. Without a durable log this happens in one synchronous step. */
  async #commitRuns(epoch: Epoch, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const runs: Run[] = epoch.state === 'open' ? epoch.runs.filter((run) => !run.partition.deleted) : []
    const durability = this.#state.durability
    if (durability === null || (runs.length === 0 && offsets.length === 0)) {
      this.#settle(epoch, runs, groupId, offsets)
      return
    }
    const done = durability.commit({ runs, groupId, offsets }).then(() => this.#settle(epoch, runs, groupId, offsets))
    const ending = done.catch(() => undefined)
    this.#ending = ending
    const waits = waitsFor(this.#state, groupId)
    waits.add(ending)
    try {
      await done
    } catch (error) {
      this.#condition = 'failed'
      throw error
    } finally {
      waits.delete(ending)
      if (this.#ending === ending) this.#ending = null
    }
  }

  #settle(epoch: Epoch, runs: readonly Run[], groupId: string, offsets: readonly CommittedOffset[]): void {
    if (epoch.state === 'open') epoch.state = 'committed'
    setOffsets(this.#state, groupId, offsets)
    if (runs.length === 0) return
    this.#state.durability?.settled(runs)
    news(this.#state)
  }

  #sealedEpoch(): Epoch {
    if (this.#condition !== 'ready') throw this.#refusal()
    if (this.#sealed === null) throw new MillraceError('STREAM_INTERNAL', `writer ${this.#id}: no epoch is sealed; call seal first`)
    return this.#sealed
  }

  #drop(): void {
    abort(this.#open)
    if (this.#sealed !== null) abort(this.#sealed)
    this.#open = openEpoch()
    this.bufferedBytes = 0
    this.#sealed = null
    news(this.#state)
  }

  /** A newer writer has come. An epoch that is becoming durable right now is settled by that, not by us. */
  async #fence(): Promise<void> {
    if (this.#condition === 'closed') return
    this.#condition = 'fenced'
    if (this.#ending === null) return this.#drop()
    abort(this.#open)
    await this.#ending
  }

  #refusal(): MillraceError {
    if (this.#condition === 'fenced') return fenced(this.#id)
    if (this.#condition === 'closed' || this.#state.closed) return closed(this.#id)
    if (this.#condition === 'failed') return new MillraceError('STREAM_DOUBT', `writer ${this.#id}: its last commit failed; init it first`)
    return new MillraceError('STREAM_INTERNAL', `writer ${this.#id} is used before init`)
  }
}

function waitsFor(state: State, groupId: string): Set<Promise<unknown>> {
  let waits = state.ending.get(groupId)
  if (waits === undefined) {
    waits = new Set()
    state.ending.set(groupId, waits)
  }
  return waits
}

function fenced(id: string): MillraceError {
  return new MillraceError('STREAM_FENCED', `writer ${id} was replaced by a newer one; this one stops and drops what it has not committed`)
}

function closed(id: string): MillraceError {
  return new MillraceError('STREAM_CLOSED', `writer ${id} is closed`)
}
