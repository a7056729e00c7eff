// Drives an epoch through its commit: one writer, all tasks of a worker. It knows what a task seals and applies, not what is in it.
//
// Invariants
// 1. `begin` is synchronous up to the seal: when it returns, the next epoch is open.
// 2. The group identity is taken at the seal: an epoch is committed under the generation that it was processed in (R4).
// 3. At least once: nothing of a changelog leaves before all outputs of its epoch are acknowledged, and nothing of a store's before what
//    the task's later stores have written is: a store may feed those that come after it. One that has been fed from its changelog may know
//    a record already when it comes again, and put nothing out for it, nor pass it on.
// 4. A failure anywhere is kept and thrown by `settled` until `recover`: nothing is retried under the same epoch (R2).
import type { World } from '../base/ports.ts'
import type { Tracing } from '../base/tracing.ts'
import type { CommittedOffset, EndOffsets, GroupIdentity, Guarantee, Writer } from '../log/log.ts'
import {
  advance,
  dueInMs,
  type EpochLimits,
  type EpochState,
  failed,
  full,
  IDLE,
  overfull,
  recovered,
  seal,
  sealDue,
  worked,
} from './machine.ts'

export interface Participant {
  /** Seals its overlays, appends its changelog records, gives the input positions that moved. */
  seal(append: Writer['append']): readonly CommittedOffset[]
  /** The sealed epoch is committed: write it to disk with its checkpoint. */
  applied(ends: EndOffsets): Promise<void>
  /** Bytes that the open epoch has written to stores; for figures. */
  readonly openBytes?: number
}

/** What an epoch was, told once it is committed and applied. */
export interface EpochFigure {
  readonly records: number
  readonly bytes: number
  /** From its first record to its seal. */
  readonly openMs: number
  /** From its seal until it was committed and applied. */
  readonly commitMs: number
}

export interface BarrierOptions {
  readonly writer: Writer
  readonly guarantee: Guarantee
  readonly groupId: string
  readonly identity: () => GroupIdentity | null
  readonly limits: EpochLimits
  readonly world: World
  readonly onEpoch?: (figure: EpochFigure) => void
  readonly tracing?: Tracing | null
}

export interface EpochFigures {
  epochs: number
  lastCommitMs: number
}

type Appended = Parameters<Writer['append']>

export class Barrier {
  readonly figures: EpochFigures = { epochs: 0, lastCommitMs: 0 }
  readonly #o: BarrierOptions
  #state: EpochState = IDLE
  #commit: Promise<void> | null = null
  #failure: { readonly error: unknown } | null = null
  #failing: (() => void) | null = null
  readonly #append: Writer['append']

  constructor(options: BarrierOptions) {
    this.#o = options
    this.#append = options.writer.append.bind(options.writer)
  }

  get append(): Writer['append'] {
    return this.#append
  }

  get committing(): boolean {
    return this.#state.sealed !== 'none'
  }

  /** Some stores may have the sealed epoch, others not yet; also after a failure, until the tasks are opened again. */
  get applying(): boolean {
    return this.#state.sealed === 'applying'
  }

  get open(): boolean {
    return this.#state.open !== null
  }

  get failure(): { readonly error: unknown } | null {
    return this.#failure
  }

  /** Throws the failure of the epoch before, if it has failed meanwhile: that is no fault of the caller's. */
  worked(records: number): void {
    if (this.#failure !== null) throw this.#failure.error
    this.#state = worked(this.#state, records, this.#o.world.clock.monotonic())
  }

  due(bytes: number): boolean {
    return sealDue(this.#state, this.#o.world.clock.monotonic(), bytes, this.#o.limits)
  }

  overfull(bytes: number): boolean {
    return overfull(this.#state, bytes, this.#o.limits)
  }

  /** The open epoch has reached its bounds. */
  full(bytes: number): boolean {
    return full(this.#state, bytes, this.#o.limits)
  }

  dueInMs(): number | null {
    return dueInMs(this.#state, this.#o.world.clock.monotonic(), this.#o.limits)
  }

  /** Seals what is open and starts its commit. `settled` tells the end. */
  begin(participants: readonly Participant[]): void {
    const started = this.#o.world.clock.monotonic()
    const { open } = this.#state
    this.#state = seal(this.#state)
    const trace = this.#o.tracing?.seal()
    let bytes = 0
    for (const participant of participants) bytes += participant.openBytes ?? 0
    const offsets: CommittedOffset[] = []
    const later: Appended[][] = []
    let own: Appended[] = []
    const append: Writer['append'] = this.#o.guarantee === 'exactly_once' ? this.#append : (...record) => void own.push(record)
    try {
      for (const participant of participants) {
        own = []
        offsets.push(...participant.seal(append))
        addLater(later, own)
      }
      this.#o.writer.seal()
    } catch (error) {
      trace?.failed(error)
      this.#fail(error)
      return
    }
    const identity = this.#o.identity()
    this.#commit = this.#run(participants, identity, offsets, later).then(
      () => {
        this.#commit = null
        this.figures.epochs = this.#state.epochs
        const commitMs = this.#o.world.clock.monotonic() - started
        this.figures.lastCommitMs = commitMs
        const records = open?.records ?? 0
        trace?.committed(records, bytes)
        this.#o.onEpoch?.({ records, bytes, openMs: open === null ? 0 : started - open.sinceMs, commitMs })
      },
      (error: unknown) => {
        this.#commit = null
        trace?.failed(error)
        this.#fail(error)
      },
    )
  }

  async #run(
    participants: readonly Participant[],
    identity: GroupIdentity | null,
    offsets: readonly CommittedOffset[],
    later: readonly (readonly Appended[])[],
  ): Promise<void> {
    const { writer, guarantee, groupId } = this.#o
    const ends = new Map(await writer.flush())
    for (const records of later) {
      await writer.commit(identity, groupId, [])
      for (const record of records) writer.append(...record)
      writer.seal() // with outputs of the next epoch, which may be there early
      for (const [partition, end] of await writer.flush()) ends.set(partition, end)
    }
    if (guarantee === 'exactly_once') {
      this.#advance('committing')
      await writer.commit(identity, groupId, offsets)
      this.#advance('applying')
      await applyAll(participants, ends)
    } else {
      this.#advance('applying')
      await applyAll(participants, ends)
      this.#advance('committing')
      await writer.commit(identity, groupId, offsets)
    }
    this.#advance('none')
  }

  #advance(to: 'committing' | 'applying' | 'none'): void {
    this.#state = advance(this.#state, to, this.#o.guarantee)
  }

  #fail(error: unknown): void {
    this.#state = failed(this.#state)
    this.#failure = { error }
    this.#failing?.()
  }

  /** Until the writer takes more. Also ends when the sealed epoch fails: what is appended behind it would not leave before it has ended,
   *  and it never will (a store may refuse a write while the writer itself is sound). */
  async drained(): Promise<void> {
    if (this.#failure !== null) return
    try {
      await new Promise<void>((resolve, reject) => {
        this.#failing = resolve
        this.#o.writer.drain().then(resolve, reject)
      })
    } finally {
      this.#failing = null
    }
  }

  /** Resolves when no commit is under way; throws the failure that is to be recovered from. */
  async settled(): Promise<void> {
    if (this.#commit !== null) await this.#commit
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Everything uncommitted was dropped by all participants and the writer was initialised. */
  recover(): void {
    this.#state = recovered(this.#state)
    this.#failure = null
  }
}

/** Of one participant: its last changelog first. The logs of several leave together. */
function addLater(later: Appended[][], own: readonly Appended[]): void {
  const topics = [...new Set(own.map(([topic]) => topic))].reverse()
  for (const record of own) {
    const at = topics.indexOf(record[0])
    const records = later[at]
    if (records === undefined) later[at] = [record]
    else records.push(record)
  }
}

/** All of them end, also when one fails: no write is left running behind a rewind. */
async function applyAll(participants: readonly Participant[], ends: EndOffsets): Promise<void> {
  const results = await Promise.allSettled(participants.map((participant) => participant.applied(ends)))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
