// The transaction coordinator: who writes under a transactional id, what its transaction holds, how it ends. Both protocols: version 1,
// where an epoch number lives until somebody else comes, and version 2 (KIP-890), where every end raises it.
//
// Invariants
// 1. The end is answered as soon as it is decided; the markers reach the partitions and the groups later, each at a time of its own.
// 2. Until the last marker is written every request of that id is answered CONCURRENT_TRANSACTIONS.
// 3. An init, and a transaction that lasts too long, abort what is open under a raised epoch: the writer before is fenced.
import type { World } from '../../../src/base/ports.ts'
import type { Chance } from '../chance.ts'
import { type SimPartition, writeMarker } from './partition.ts'

/** What else than a partition a transaction can hold: the offsets of a group. */
export interface OffsetsHolder {
  endOffsets(pid: number, epoch: number, commit: boolean): void
}

interface Txn {
  readonly id: string
  readonly pid: number
  epoch: number
  state: 'empty' | 'ongoing' | 'ending' | 'committed' | 'aborted'
  partitions: Set<SimPartition>
  groups: Set<OffsetsHolder>
  timeout: () => void
}

export interface Session {
  readonly pid: number
  readonly epoch: number
}

export interface CoordinatorOptions {
  readonly world: World
  readonly chance: Chance
  readonly version: 1 | 2
  readonly transactionTimeoutMs: number
  /** The longest way of a marker. */
  readonly markerMsMax: () => number
  /** The partition's leader, or the coordinator, can't be reached just now. */
  readonly reachable: (partition: SimPartition | null) => boolean
  readonly trace: ((who: string, what: string) => void) | null
  /** A transaction has ended everywhere. */
  readonly onEnded: (id: string, commit: boolean) => void
}

const RETRY_MS = 5

export class TransactionCoordinator {
  readonly #o: CoordinatorOptions
  readonly #txns = new Map<string, Txn>()
  #pids = 0

  constructor(options: CoordinatorOptions) {
    this.#o = options
  }

  get version(): 1 | 2 {
    return this.#o.version
  }

  /** Transactions that have not ended everywhere. */
  get unsettled(): number {
    let count = 0
    for (const { state } of this.#txns.values()) if (state === 'ongoing' || state === 'ending') count++
    return count
  }

  get ending(): boolean {
    return [...this.#txns.values()].some(({ state }) => state === 'ending')
  }

  /** Nobody has decided yet how it ends. */
  /** -1: nobody has this transactional id. */
  pidOf(id: string): number {
    return this.#txns.get(id)?.pid ?? -1
  }

  isOngoing(pid: number): boolean {
    return [...this.#txns.values()].some((txn) => txn.pid === pid && txn.state === 'ongoing')
  }

  init(id: string): Session | string {
    let txn = this.#txns.get(id)
    if (txn === undefined) {
      txn = { id, pid: this.#pids++, epoch: -1, state: 'empty', partitions: new Set(), groups: new Set(), timeout: () => {} }
      this.#txns.set(id, txn)
    }
    if (txn.state === 'ending') return 'CONCURRENT_TRANSACTIONS'
    if (txn.state === 'ongoing') {
      txn.epoch++
      this.#begin(txn, false)
      return 'CONCURRENT_TRANSACTIONS'
    }
    txn.epoch++
    txn.state = 'empty'
    return { pid: txn.pid, epoch: txn.epoch }
  }

  /** Null, or the refusal. */
  add(id: string, session: Session, what: { readonly partitions?: Iterable<SimPartition>; readonly group?: OffsetsHolder }): string | null {
    const txn = this.#txnOf(id, session)
    if (typeof txn === 'string') return txn
    if (txn.state === 'ending') return 'CONCURRENT_TRANSACTIONS'
    if (txn.state !== 'ongoing') {
      txn.state = 'ongoing'
      const { epoch } = txn
      txn.timeout = this.#o.world.timers.after(this.#o.transactionTimeoutMs, () => {
        if (txn.state !== 'ongoing' || txn.epoch !== epoch) return
        this.#o.trace?.('broker', `transaction of ${id} has lasted too long`)
        txn.epoch++
        this.#begin(txn, false)
      })
    }
    for (const partition of what.partitions ?? []) txn.partitions.add(partition)
    if (what.group !== undefined) txn.groups.add(what.group)
    return null
  }

  /** Version 1: what is written must have been added before; asked by the partition's leader. */
  verify(id: string, session: Session, what: SimPartition | OffsetsHolder): string | null {
    const txn = this.#txnOf(id, session)
    if (typeof txn === 'string') return txn
    const has = txn.partitions.has(what as SimPartition) || txn.groups.has(what as OffsetsHolder)
    return txn.state === 'ongoing' && has ? null : 'INVALID_TXN_STATE'
  }

  end(id: string, session: Session, commit: boolean): Session | string {
    const txn = this.#txnOf(id, session)
    if (typeof txn === 'string') return txn
    if (txn.state === 'ending') return 'CONCURRENT_TRANSACTIONS'
    if (txn.state === 'ongoing') {
      if (this.#o.version === 2) txn.epoch++
      this.#begin(txn, commit)
      return { pid: txn.pid, epoch: txn.epoch }
    }
    const same = txn.state === (commit ? 'committed' : 'aborted')
    return same && this.#o.version === 1 ? { pid: txn.pid, epoch: txn.epoch } : 'INVALID_TXN_STATE'
  }

  #txnOf(id: string, { pid, epoch }: Session): Txn | string {
    const txn = this.#txns.get(id)
    if (txn === undefined || txn.pid !== pid) return 'INVALID_PRODUCER_ID_MAPPING'
    return epoch === txn.epoch ? txn : 'PRODUCER_FENCED'
  }

  #begin(txn: Txn, commit: boolean): void {
    const { world, chance, markerMsMax, reachable, trace, onEnded } = this.#o
    txn.timeout()
    txn.state = 'ending'
    trace?.('broker', `transaction of ${txn.id} is to be ${commit ? 'COMMITTED' : 'aborted'} (epoch ${txn.epoch})`)
    let left = txn.partitions.size + txn.groups.size
    const one = (where: SimPartition | null, what: string, write: () => void): void => {
      const attempt = (): void => {
        if (!reachable(where)) {
          world.timers.after(RETRY_MS, attempt)
          return
        }
        write()
        trace?.('broker', `marker of ${txn.id} in ${what}`)
        if (--left === 0) done()
      }
      world.timers.after(chance.delayMs(0.1, markerMsMax()), attempt)
    }
    const done = (): void => {
      txn.state = commit ? 'committed' : 'aborted'
      txn.partitions = new Set()
      txn.groups = new Set()
      onEnded(txn.id, commit)
    }
    if (left === 0) {
      done()
      return
    }
    for (const partition of txn.partitions) one(partition, partition.name, () => writeMarker(partition, txn.pid, txn.epoch, commit))
    for (const group of txn.groups) one(null, 'the offsets', () => group.endOffsets(txn.pid, txn.epoch, commit))
  }
}
