// The writer port: batches, sequences and the end of an epoch, as src/log/kafka/writer.ts and transaction.ts have them.
//
// Invariants (theirs)
// 1. A batch that failed is remembered: the brokers themselves would commit the epoch without it.
// 2. Nothing of the next epoch is sent before the sealed one's end was answered.
// 3. After any failure nothing is sent until `init`, and then over new wires.
// 4. With version 2 no second batch of a partition leaves before the first one of the transaction was taken.
import { MillraceError } from '../../../src/base/errors.ts'
import { LIMITS } from '../../../src/base/limits.ts'
import { type Headers, partitionName, recordBytes } from '../../../src/base/record.ts'
import { failure, judge } from '../../../src/log/kafka/errors.ts'
import { wireMember } from '../../../src/log/kafka/offsets.ts'
import type { CommittedOffset, EndOffsets, GroupIdentity, Writer, WriterOptions } from '../../../src/log/log.ts'
import type { RequestKind } from '../../../src/log/outcome.ts'
import type { SimClient } from './client.ts'
import { NO_LEADER } from './cluster.ts'
import { newWire, type Wire } from './network.ts'
import { appendPlain, appendTransactional, type SimPartition, type Unplaced } from './partition.ts'
import type { Session } from './transactions.ts'

const JOIN_RETRY_MS = 5
const ABORT_TIMEOUT_MS = 100

interface Part {
  readonly at: SimPartition
  /** Appended and not sent. */
  records: Unplaced[]
  /** Of the next epoch. */
  behind: Unplaced[]
  sequence: number
  inFlight: number
  /** Taken into the transaction by a first batch. */
  joined: boolean
}

interface Run {
  readonly parts: Map<string, Part>
  readonly wires: Map<string, Wire>
  ready: boolean
  failed: MillraceError | null
  sealed: boolean
  bytes: number
  inFlight: number
  adding: boolean
  readonly added: Set<string>
  ends: Map<string, number>
  waiters: { done(): boolean; resolve(): void; reject(error: unknown): void }[]
}

function newRun(): Run {
  return {
    parts: new Map(),
    wires: new Map(),
    ready: false,
    failed: null,
    sealed: false,
    bytes: 0,
    inFlight: 0,
    adding: false,
    added: new Set(),
    ends: new Map(),
    waiters: [],
  }
}

export class SimWriter implements Writer {
  readonly #client: SimClient
  readonly #id: string
  readonly #exact: boolean
  #run = newRun()
  #session: Session | null = null
  #open = false
  #closed = false

  constructor(client: SimClient, options: WriterOptions) {
    this.#client = client
    this.#id = options.transactionalId
    this.#exact = options.guarantee === 'exactly_once'
    client.parts.add(this)
  }

  get #version(): 1 | 2 {
    return this.#client.cluster.transactions.version
  }

  /** A partition joins the transaction by its first batch. */
  get #joins(): boolean {
    return this.#exact && this.#version === 2
  }

  async init(): Promise<void> {
    if (this.#closed) throw closed()
    const run = newRun()
    const old = this.#run
    this.#run = run
    fail(old, new MillraceError('STREAM_DOUBT', 'the epoch was dropped by init'))
    if (this.#exact) this.#adopt(await this.#ask('init', `init of ${this.#id}`, (of) => of.init(this.#id)))
    if (this.#run === run) run.ready = true
  }

  append(topic: string, partition: number, timestamp: number, key: Buffer | null, value: Buffer | null, headers: Headers): void {
    const run = this.#usable()
    const at = this.#client.cluster.partition({ topic, partition })
    if (at === undefined) throw new MillraceError('STREAM_TOPIC_MISSING', `there is no partition ${partition} of topic ${topic}`)
    const bytes = recordBytes(key, value, headers)
    if (bytes > LIMITS.recordBytesMax)
      throw new MillraceError('STREAM_RECORD_TOO_LARGE', `a record for ${topic}-${partition} has ${bytes} bytes, more than a log takes`)
    let part = run.parts.get(at.name)
    if (part === undefined) {
      part = { at, records: [], behind: [], sequence: 0, inFlight: 0, joined: false }
      run.parts.set(at.name, part)
    }
    ;(run.sealed ? part.behind : part.records).push({ timestamp, key, value, headers })
    run.bytes += bytes
  }

  get bufferedBytes(): number {
    return this.#run.bytes
  }

  async drain(): Promise<void> {
    const run = this.#usable()
    if (!run.sealed && unsent(run) >= this.#client.options.earlyRecords) this.#pump(run)
    if (run.bytes >= LIMITS.sendBufferBytesHigh) {
      this.#pump(run)
      await this.#until(run, () => run.bytes < LIMITS.sendBufferBytesHigh)
    }
  }

  seal(): void {
    const run = this.#usable()
    if (run.sealed) throw new MillraceError('STREAM_INTERNAL', 'an epoch is sealed already; commit it first')
    run.sealed = true
    this.#pump(run)
  }

  async flush(): Promise<EndOffsets> {
    const run = this.#usable()
    if (!run.sealed) throw new MillraceError('STREAM_INTERNAL', 'flush of an epoch that is not sealed')
    this.#pump(run)
    await this.#until(run, () => run.inFlight === 0 && unsent(run) === 0)
    return new Map(run.ends)
  }

  async commit(identity: GroupIdentity | null, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const run = this.#usable()
    await this.flush()
    try {
      if (this.#exact) await this.#end(run, identity, groupId, offsets)
      else if (offsets.length > 0) await this.#commitPlain(run, identity, groupId, offsets)
    } catch (error) {
      throw fail(run, failure('end', 'the end of the epoch', error))
    }
    if (run.failed !== null) throw run.failed
    run.sealed = false
    run.ends = new Map()
    for (const part of run.parts.values()) {
      part.records = part.behind
      part.behind = []
      part.joined = false
    }
    run.added.clear()
    if (run.waiters.length > 0) this.#pump(run)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#client.parts.delete(this)
    const run = this.#run
    const doubt = run.failed?.code === 'STREAM_DOUBT' || !run.ready
    fail(run, closed())
    if (!this.#open || doubt) return
    const aborting = this.#ask('end', `abort of ${this.#id}`, (of) => of.end(this.#id, this.#session as Session, false)).catch(() => {})
    await Promise.race([aborting, this.#client.world.timers.sleep(ABORT_TIMEOUT_MS)])
  }

  // --- the end of an epoch -------------------------------------------------------------------------------------------

  async #end(run: Run, identity: GroupIdentity | null, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    if (offsets.length > 0) await this.#addOffsets(run, wireMember(identity), groupId, offsets)
    if (!this.#open) return // the epoch is empty: a broker would answer INVALID_TXN_STATE
    const session = this.#session as Session
    const next = await this.#ask('end', `end of ${this.#id} (epoch ${session.epoch})`, (of) => of.end(this.#id, session, true))
    this.#adopt(next)
  }

  async #addOffsets(run: Run, member: ReturnType<typeof wireMember>, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const { cluster } = this.#client
    const session = this.#session as Session
    this.#open = true
    const group = cluster.group(groupId)
    if (this.#version === 1) await this.#ask('addOffsets', `group into ${this.#id}`, (of) => of.add(this.#id, session, { group }) ?? {})
    const what = `offsets ${offsets.map((of) => `${partitionName(of.topic, of.partition)}:${of.offset}`).join(' ')} of ${this.#id} (epoch ${session.epoch})`
    await this.#client.ask('txnOffsets', what, () =>
      this.#client.once('txnOffsets', what, this.#wire(run, 'group'), () => {
        if (cluster.groupsAway) return 'NOT_COORDINATOR'
        const coordinator = cluster.transactions
        const refused = this.#version === 1 ? coordinator.verify(this.#id, session, group) : coordinator.add(this.#id, session, { group })
        return refused ?? group.commitTransactional(member, session.pid, session.epoch, offsets) ?? {}
      }),
    )
  }

  async #commitPlain(run: Run, identity: GroupIdentity | null, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const member = wireMember(identity)
    const what = `offsets of group ${groupId}`
    await this.#client.ask('offsetCommit', what, () =>
      this.#client.once('offsetCommit', what, this.#wire(run, 'group'), () => {
        const { cluster } = this.#client
        return cluster.groupsAway ? 'NOT_COORDINATOR' : (cluster.group(groupId).commitPlain(member, offsets) ?? {})
      }),
    )
  }

  #ask<T extends object>(kind: RequestKind, what: string, handle: (of: SimClient['cluster']['transactions']) => T | string): Promise<T> {
    const { cluster } = this.#client
    const run = this.#run
    return this.#client.ask(kind, what, () =>
      this.#client.once(kind, what, this.#wire(run, 'transaction'), () =>
        cluster.transactionsAway ? 'NOT_COORDINATOR' : handle(cluster.transactions),
      ),
    )
  }

  #adopt(session: Session): void {
    this.#open = false
    const { pid, epoch } = this.#session ?? { pid: -1, epoch: -1 }
    if (session.pid !== pid || session.epoch !== epoch) for (const part of this.#run.parts.values()) part.sequence = 0
    this.#session = session
  }

  // --- batches -------------------------------------------------------------------------------------------------------

  #pump(run: Run): void {
    if (run.failed !== null || !run.ready) return
    const toAdd: Part[] = []
    const byBroker = new Map<number, Part[]>()
    for (const part of run.parts.values()) {
      if (part.records.length === 0) continue
      if (this.#exact && this.#version === 1 && !run.added.has(part.at.name)) toAdd.push(part)
      else if (this.#joins && !part.joined && part.inFlight > 0) continue
      else if (byBroker.has(part.at.leader)) byBroker.get(part.at.leader)?.push(part)
      else byBroker.set(part.at.leader, [part])
    }
    if (toAdd.length > 0 && !run.adding) this.#add(run, toAdd)
    for (const [broker, parts] of byBroker) {
      if (broker === NO_LEADER) this.#client.world.timers.after(JOIN_RETRY_MS, () => this.#pump(run))
      else this.#send(run, broker, parts)
    }
  }

  #add(run: Run, parts: readonly Part[]): void {
    run.adding = true
    this.#open = true
    const session = this.#session as Session
    const what = `${parts.map(({ at }) => at.name).join(' ')} into ${this.#id} (epoch ${session.epoch})`
    this.#ask('addPartitions', what, (of) => of.add(this.#id, session, { partitions: parts.map(({ at }) => at) }) ?? {}).then(
      () => {
        run.adding = false
        for (const { at } of parts) run.added.add(at.name)
        this.#pump(run)
      },
      (error: unknown) => fail(run, failure('addPartitions', what, error)),
    )
  }

  #send(run: Run, broker: number, wanted: readonly Part[]): void {
    // a pump inside a pump may have sent it already
    const parts = wanted.filter((part) => part.records.length > 0 && (part.joined || part.inFlight === 0 || !this.#joins))
    if (parts.length === 0) return
    const session = this.#session
    if (this.#exact) this.#open = true
    const sent = parts.map((part) => {
      const records = part.records.splice(0, this.#client.options.batchRecordsMax)
      const sequence = part.sequence
      part.sequence += records.length
      part.inFlight++
      return { part, records, sequence }
    })
    run.inFlight++
    const what = `produce ${sent.map(({ part, records }) => `${records.length} to ${part.at.name}`).join(', ')} (${this.#id})`
    this.#client
      .call<(number | string)[]>('produce', what, this.#wire(run, `broker ${broker}`), (reply) => {
        reply.ok(sent.map(({ part, records, sequence }) => this.#atBroker(broker, part.at, session, records, sequence)))
      })
      .then(
        (answers) => {
          run.inFlight--
          if (run.failed !== null) return
          sent.forEach((one, i) => void this.#answered(run, one, answers[i] as number | string))
          this.#pump(run)
          settle(run)
        },
        (error: unknown) => fail(run, failure('produce', what, error)),
      )
    this.#pump(run)
  }

  #atBroker(broker: number, at: SimPartition, session: Session | null, records: readonly Unplaced[], sequence: number): number | string {
    if (at.deleted) return 'UNKNOWN_TOPIC_OR_PARTITION'
    if (at.leader !== broker) return 'NOT_LEADER_OR_FOLLOWER'
    if (session === null) return appendPlain(at, records)
    const { transactions, transactionsAway } = this.#client.cluster
    if (transactions.version === 2 && transactionsAway) return 'NOT_COORDINATOR'
    const refused =
      transactions.version === 1 ? transactions.verify(this.#id, session, at) : transactions.add(this.#id, session, { partitions: [at] })
    return refused ?? appendTransactional(at, { ...session, sequence, records })
  }

  #answered(
    run: Run,
    one: { readonly part: Part; readonly records: Unplaced[]; readonly sequence: number },
    answer: number | string,
  ): void {
    const { part, records, sequence } = one
    part.inFlight--
    if (run.failed !== null) return
    if (typeof answer === 'number') {
      part.joined = true
      for (const { key, value, headers } of records) run.bytes -= recordBytes(key, value, headers)
      run.ends.set(part.at.name, Math.max(run.ends.get(part.at.name) ?? 0, answer + records.length))
      return
    }
    const error = { apiId: answer }
    const { outcome } = judge('produce', error)
    if (part.joined || outcome !== 'again') {
      fail(run, failure('produce', `produce to ${part.at.name}`, error))
      return
    }
    part.sequence = sequence
    part.records = [...records, ...part.records]
    part.inFlight++ // held back for a moment
    this.#client.world.timers.after(JOIN_RETRY_MS, () => {
      part.inFlight--
      this.#pump(run)
    })
  }

  #wire(run: Run, purpose: string): Wire {
    const known = run.wires.get(purpose)
    if (known !== undefined && !known.broken) return known
    const wire = newWire()
    run.wires.set(purpose, wire)
    return wire
  }

  #usable(): Run {
    const run = this.#run
    if (this.#closed) throw closed()
    if (run.failed !== null) throw run.failed
    if (!run.ready) throw new MillraceError('STREAM_INTERNAL', 'a writer is used before its init has ended')
    return run
  }

  #until(run: Run, done: () => boolean): Promise<void> {
    if (run.failed !== null) return Promise.reject(run.failed)
    if (done()) return Promise.resolve()
    return new Promise((resolve, reject) => run.waiters.push({ done, resolve, reject }))
  }
}

function unsent(run: Run): number {
  let records = 0
  for (const part of run.parts.values()) records += part.records.length
  return records
}

/** The first failure is the one that counts. */
function fail(run: Run, error: MillraceError): MillraceError {
  run.failed ??= error
  const waiters = run.waiters
  run.waiters = []
  for (const waiter of waiters) waiter.reject(run.failed)
  return run.failed
}

function settle(run: Run): void {
  const ready = run.waiters.filter((waiter) => waiter.done())
  run.waiters = run.waiters.filter((waiter) => !ready.includes(waiter))
  for (const waiter of ready) waiter.resolve()
}

function closed(): MillraceError {
  return new MillraceError('STREAM_CLOSED', 'the writer is closed')
}
