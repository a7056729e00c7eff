// The writer port on Kafka: takes records into flat batches, sends them while the epoch is open, ends the epoch.
//
// Invariants
// 1. A failed Produce is remembered: the broker itself would commit the epoch without it (measured).
// 2. Nothing of the next epoch is sent before the sealed one's EndTxn was answered (R2).
// 3. After any failure nothing is sent until `init`, and then over new connections.
// 4. One connection a leader, at most 5 requests in flight on it: a partition's batches keep their order.
// 5. With KIP-890 a partition joins the transaction by its first batch, and the broker may refuse that one while the last
//    transaction's markers are being written (CONCURRENT_TRANSACTIONS; it happens under load): until it is taken no other batch of the
//    partition leaves, so that the same batch can be sent again with the same sequence. No other Produce is ever repeated.
// 6. No promise a record: one a request.
import type { Connection, ConnectionPool } from '@platformatic/kafka'
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { type Headers, partitionName } from '../../base/record.ts'
import type { CommittedOffset, EndOffsets, GroupIdentity, Writer, WriterOptions } from '../log.ts'
import { EpochBatches, type Part } from './batches.ts'
import { addressOf, type KafkaClient, type Node } from './client.ts'
import type { BatchBuilder } from './encode.ts'
import { BrokerAnswer, failure, judge } from './errors.ts'
import { commitOffsets, wireMember } from './offsets.ts'
import { type ProducedRow, type ReadyBatch, sendProduce } from './produce.ts'
import { Transaction } from './transaction.ts'

const IN_FLIGHT_MAX = 5
const REQUEST_BYTES_MAX = 4 * 1024 * 1024
/** Under this a batch that still grows is not worth a request before the barrier. */
const EARLY_BYTES = 256 * 1024
const ABORT_TIMEOUT_MS = 2_000
const JOIN_RETRY_MS = 5
/** A topic that was not described for so long is gone (as long as a reader waits); a broker may be late to hear of a new one. */
const GONE_MS = 3_000

interface Lane {
  readonly node: Node
  connection: Connection | null
  inFlight: number
}

interface Sent {
  readonly part: Part
  readonly count: number
  readonly size: number
  readonly sequence: number
  /** The partition's first batch in the transaction: kept until a broker has taken it. */
  readonly first: BatchBuilder | null
}

interface Waiter {
  done(): boolean
  resolve(): void
  reject(error: unknown): void
}

/** What lies between two inits. Answers of an older run change nothing. */
interface Run {
  readonly batches: EpochBatches
  readonly pool: ConnectionPool
  readonly lanes: Map<string, Lane>
  readonly topics: Set<string>
  ready: boolean
  failed: MillraceError | null
  inFlight: number
  adding: boolean
  searching: boolean
  draining: boolean
  refusedAt: number | null
  ends: Map<string, number>
  waiters: Waiter[]
}

export class KafkaWriter implements Writer {
  readonly #client: KafkaClient
  readonly #transaction: Transaction | null
  /** Topics that were found to take less than the default batch. */
  readonly #bytesMax = new Map<string, number>()
  #run: Run
  #closed = false

  constructor(client: KafkaClient, options: WriterOptions) {
    this.#client = client
    this.#transaction = options.guarantee === 'exactly_once' ? new Transaction(client, options.transactionalId) : null
    this.#run = newRun(client.pool('produce', IN_FLIGHT_MAX), this.#bytesMax)
    client.parts.add(this)
  }

  async init(): Promise<void> {
    if (this.#closed) throw closed()
    const old = this.#run
    const run = newRun(this.#client.pool('produce', IN_FLIGHT_MAX), this.#bytesMax)
    this.#run = run
    fail(old, new MillraceError('STREAM_DOUBT', 'the epoch was dropped by init'))
    await this.#client.release(old.pool)
    if (old.topics.size > 0) await this.#client.refresh([...old.topics]).catch(() => {}) // leaders may have moved; Produce will tell
    if (this.#transaction !== null) {
      if (old.ready) await this.#transaction.renew()
      await this.#transaction.init()
    }
    if (this.#run === run) run.ready = true
  }

  append(topic: string, partition: number, timestamp: number, key: Buffer | null, value: Buffer | null, headers: Headers): void {
    const run = this.#run
    if (!run.ready || run.failed !== null) throw this.#unusable()
    const partitions = this.#client.topic(topic)?.leaders.length ?? 0
    if (partition >= partitions || partition < 0) throw missing(topic, partition, partitions)
    const full = run.batches.append(topic, partition, partitions, timestamp, key, value, headers)
    if (full) this.#pump(run)
  }

  get bufferedBytes(): number {
    return this.#run.batches.bytes
  }

  async drain(): Promise<void> {
    const run = this.#usable()
    run.draining = true
    this.#pump(run)
    run.draining = false
    if (run.batches.bytes < LIMITS.sendBufferBytesHigh) return
    await this.#until(run, () => run.batches.bytes < LIMITS.sendBufferBytesHigh)
  }

  seal(): void {
    const run = this.#usable()
    if (run.batches.sealed) throw new MillraceError('STREAM_INTERNAL', 'an epoch is sealed already; commit it first')
    run.batches.seal()
    this.#pump(run)
  }

  async flush(): Promise<EndOffsets> {
    const run = this.#usable()
    if (!run.batches.sealed) throw new MillraceError('STREAM_INTERNAL', 'flush of an epoch that is not sealed')
    this.#pump(run)
    await this.#until(run, () => run.inFlight === 0 && run.batches.sent)
    return new Map(run.ends)
  }

  async commit(identity: GroupIdentity | null, groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    const run = this.#usable()
    await this.flush()
    try {
      if (this.#transaction !== null) await this.#end(this.#transaction, identity, groupId, offsets)
      else if (offsets.length > 0) {
        const member = wireMember(identity)
        const connect = async (): Promise<Connection> => run.pool.get(await this.#client.coordinator('group', groupId))
        await commitOffsets(this.#client, connect, groupId, member, offsets)
      }
    } catch (error) {
      throw fail(run, failure('end', 'the end of the epoch', error))
    }
    if (run.failed !== null) throw run.failed
    run.batches.release()
    run.ends = new Map()
    this.#pump(run)
  }

  async #end(
    transaction: Transaction,
    identity: GroupIdentity | null,
    groupId: string,
    offsets: readonly CommittedOffset[],
  ): Promise<void> {
    if (offsets.length > 0) await transaction.addOffsets(groupId, wireMember(identity), offsets)
    if (transaction.open) await transaction.end(true) // else the epoch is empty: a broker would answer INVALID_TXN_STATE
  }

  /** An open transaction is aborted, so that readers need not wait for it to time out; one in doubt is left to the next init. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#client.parts.delete(this)
    const run = this.#run
    const doubt = run.failed?.code === 'STREAM_DOUBT' || !run.ready
    fail(run, closed())
    await this.#client.release(run.pool)
    const transaction = this.#transaction
    if (transaction === null) return
    if (transaction.open && !doubt) {
      let cancel = (): void => {}
      const late = new Promise<void>((resolve) => {
        cancel = this.#client.world.timers.after(ABORT_TIMEOUT_MS, resolve)
      })
      await Promise.race([transaction.end(false).catch(() => {}), late]) // refused: another has ended it already
      cancel()
    }
    await transaction.close()
  }

  #usable(): Run {
    const run = this.#run
    if (!run.ready || run.failed !== null) throw this.#unusable()
    return run
  }

  #unusable(): MillraceError {
    if (this.#closed) return closed()
    return this.#run.failed ?? new MillraceError('STREAM_INTERNAL', 'a writer is used before its init has ended')
  }

  #until(run: Run, done: () => boolean): Promise<void> {
    if (run.failed !== null) return Promise.reject(run.failed)
    if (done()) return Promise.resolve()
    return new Promise((resolve, reject) => run.waiters.push({ done, resolve, reject }))
  }

  /** Sends what may leave now. Called whenever that may have changed; cheap when nothing has. */
  #pump(run: Run): void {
    if (run.failed !== null || !run.ready) return
    const early = run.draining && run.batches.bytes >= EARLY_BYTES
    const byLane = new Map<Lane, Part[]>()
    const toAdd: Part[] = []
    for (const part of run.batches.leaving()) {
      if (part.joining || !run.batches.has(part, early)) continue
      if (this.#transaction?.needs(part.name) === true) {
        toAdd.push(part)
        continue
      }
      const lane = this.#lane(run, part)
      if (lane === null || lane.inFlight >= IN_FLIGHT_MAX) continue
      const parts = byLane.get(lane)
      if (parts === undefined) byLane.set(lane, [part])
      else parts.push(part)
    }
    if (toAdd.length > 0 && !run.adding) this.#add(run, toAdd)
    for (const [lane, parts] of byLane) {
      while (lane.connection !== null && lane.inFlight < IN_FLIGHT_MAX && this.#send(run, lane, lane.connection, parts, early));
    }
  }

  #add(run: Run, parts: readonly Part[]): void {
    run.adding = true
    this.#transaction?.addPartitions(parts).then(
      () => {
        run.adding = false
        if (this.#run === run) this.#pump(run)
      },
      (error: unknown) => fail(run, failure('addPartitions', 'AddPartitionsToTxn', error)),
    )
  }

  /** Null while the leader is not known. */
  #lane(run: Run, part: Part): Lane | null {
    const node = this.#client.leader(part.topic, part.partition)
    if (node === undefined) {
      if (!run.searching) this.#search(run, part)
      return null
    }
    const address = addressOf(node)
    const known = run.lanes.get(address)
    // a broker closes connections that were idle for minutes: no reason to put an epoch in doubt
    if (known !== undefined && (known.connection === null || known.inFlight > 0 || known.connection.isConnected())) return known
    const lane: Lane = { node, connection: null, inFlight: 0 }
    run.lanes.set(address, lane)
    run.pool.get(node).then(
      (connection) => {
        lane.connection = connection
        this.#pump(run)
      },
      (error: unknown) => fail(run, failure('produce', `Produce to the broker at ${address}`, error)),
    )
    return lane
  }

  #search(run: Run, part: Part): void {
    run.searching = true
    const what = `leader of ${part.name}`
    const { clock } = this.#client.world
    let describedMs = clock.monotonic()
    const look = async (): Promise<void> => {
      await this.#client.refresh([part.topic])
      if (this.#client.leader(part.topic, part.partition) !== undefined) return
      if (this.#client.topic(part.topic) !== undefined) describedMs = clock.monotonic()
      throw clock.monotonic() - describedMs >= GONE_MS ? missing(part.topic, part.partition, 0) : new BrokerAnswer(what, 5)
    }
    this.#client.ask('metadata', what, LIMITS.commitTimeoutMs, look).then(
      () => {
        run.searching = false
        this.#pump(run)
      },
      (error: unknown) => fail(run, failure('produce', what, error)),
    )
  }

  /** One request with at most one batch a partition; false when there was nothing. */
  #send(run: Run, lane: Lane, connection: Connection, parts: readonly Part[], early: boolean): boolean {
    const transaction = this.#transaction
    const compression = this.#client.options.compression ?? 'none'
    const ready: ReadyBatch[] = []
    const sent: Sent[] = []
    const used: BatchBuilder[] = []
    let bytes = 0
    for (const part of parts) {
      if (bytes >= REQUEST_BYTES_MAX) break
      if (part.joining || !run.batches.has(part, early)) continue
      const batch = run.batches.next(part)
      if (transaction !== null && part.sequenceOf !== transaction.era) {
        part.sequenceOf = transaction.era
        part.sequence = 0
      }
      const sequence = transaction === null ? -1 : part.sequence
      part.sequence = (part.sequence + batch.count) % 0x8000_0000 // wraps to 0 after 2^31 - 1
      const packed = batch.finish(transaction?.producerId ?? -1n, transaction?.epoch ?? -1, sequence, transaction !== null, compression)
      ready.push({ topic: part.topic, partition: part.partition, bytes: packed })
      part.joining = transaction !== null && transaction.version === 2 && part.joined !== transaction.era
      sent.push({ part, count: batch.count, size: batch.size, sequence, first: part.joining ? batch : null })
      if (!part.joining) used.push(batch)
      run.topics.add(part.topic)
      bytes += packed.length
    }
    if (ready.length === 0) return false
    lane.inFlight++
    run.inFlight++
    if (transaction !== null) transaction.open = true
    const what = `Produce to ${sent.length === 1 ? sent[0]?.part.name : `${sent.length} partitions at ${addressOf(lane.node)}`}`
    sendProduce(connection, transaction?.id ?? null, ready, transaction?.version === 2 ? 12 : 11).then(
      (rows) => {
        lane.inFlight--
        run.inFlight--
        if (run.failed === null) this.#answered(run, sent, rows)
      },
      (error: unknown) => fail(run, failure('produce', what, error)),
    )
    for (const batch of used) run.batches.recycle(batch)
    return true
  }

  #answered(run: Run, sent: readonly Sent[], rows: readonly ProducedRow[]): void {
    const byName = new Map(rows.map((row) => [partitionName(row.topic, row.partition), row]))
    for (const { part, count, size, sequence, first } of sent) {
      const row = byName.get(part.name)
      if (row !== undefined && row.errorCode === 0) {
        run.batches.bytes -= size
        run.ends.set(part.name, Math.max(run.ends.get(part.name) ?? 0, row.baseOffset + count))
        if (first === null) continue
        part.joining = false
        part.joined = this.#transaction?.era ?? null
        run.batches.recycle(first)
        continue
      }
      const error = row === undefined ? new Error('no answer for this partition') : new BrokerAnswer('Produce', row.errorCode, row.message)
      const { outcome } = judge('produce', error)
      if (outcome === 'tooLarge' && count > 1) {
        this.#bytesMax.set(part.topic, size >> 1) // the epoch is done again, with smaller batches
        fail(
          run,
          new MillraceError('STREAM_DOUBT', `topic ${part.topic} takes no batch of ${size} bytes; from now on half of that`, {
            cause: error,
          }),
        )
        return
      }
      if (first === null || outcome !== 'again' || !this.#mayWait(run)) {
        fail(run, failure('produce', `Produce to ${part.name}`, error))
        return
      }
      part.sequence = sequence
      run.batches.putBack(part, first)
      this.#client.world.timers.after(JOIN_RETRY_MS, () => {
        part.joining = false
        this.#pump(run)
      })
    }
    run.refusedAt = run.batches.leaving().some((part) => part.joining) ? run.refusedAt : null
    this.#pump(run)
    settle(run)
  }

  /** Whether the partitions of this epoch may still be refused for the last one's sake. */
  #mayWait(run: Run): boolean {
    const now = this.#client.world.clock.monotonic()
    run.refusedAt ??= now
    return now - run.refusedAt < LIMITS.commitTimeoutMs
  }
}

function newRun(pool: ConnectionPool, bytesMax: ReadonlyMap<string, number>): Run {
  return {
    batches: new EpochBatches(bytesMax),
    pool,
    lanes: new Map(),
    topics: new Set(),
    ready: false,
    failed: null,
    inFlight: 0,
    adding: false,
    searching: false,
    draining: false,
    refusedAt: null,
    ends: new Map(),
    waiters: [],
  }
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
  if (run.waiters.length === 0) return
  const ready = run.waiters.filter((waiter) => waiter.done())
  run.waiters = run.waiters.filter((waiter) => !ready.includes(waiter))
  for (const waiter of ready) waiter.resolve()
}

function missing(topic: string, partition: number, partitions: number): MillraceError {
  if (partitions === 0) return new MillraceError('STREAM_TOPIC_MISSING', `topic ${topic} does not exist, or was never described`)
  return new MillraceError('STREAM_TOPIC_MISSING', `topic ${topic} has ${partitions} partitions, there is no partition ${partition}`)
}

function closed(): MillraceError {
  return new MillraceError('STREAM_CLOSED', 'the writer is closed')
}
