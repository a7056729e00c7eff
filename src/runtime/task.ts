// One sub-topology on one partition: its input queues, its program, its stores. Synchronous but for `prefetch`, `applied` and what a
// record asked to wait for.
//
// Invariants
// 1. A record is all or nothing: when it throws or suspends, the stores are rolled back and nothing it staged is appended (but for what
//    an operator keeps of it in its own state, `Instance.undone`).
// 2. Among the inputs the record with the smallest timestamp goes first; how long an empty one is waited for is in input-choice.ts.
// 3. `position` of an input moves past a record only together with its effects, so a seal between two records is always consistent.
import type { ErrorPolicy } from '../base/error-policy.ts'
import { LIMITS } from '../base/limits.ts'
import { type LogRecord, NO_HEADERS } from '../base/record.ts'
import type { BatchTrace } from '../base/tracing.ts'
import type { Chunk, CommittedOffset, EndOffsets } from '../log/log.ts'
import { asItWrites } from '../operators/index.ts'
import type { GivenUpRecord, RecordContext, UnderWay, Wake } from '../operators/operator.ts'
import type { TimerClock } from '../topology/processor.ts'
import { policyOf } from './dead-letter.ts'
import type { Due } from './dues.ts'
import { InputChoice } from './input-choice.ts'
import { decode, type Head, type InputQueue } from './input-queue.ts'
import { isTime, keepOfUndone, letGo, type LettingGo, misdated, parkable, recordName, TIMESTAMP_MAX, undecodable } from './letting-go.ts'
import { Prefetch } from './prefetch.ts'
import { NO_RECORD, type Program, type SourceEntry } from './program.ts'
import { checkpointOf, sealStore } from './sealing.ts'
import type { Append, TaskCounts, TaskParts, TaskStore } from './task-parts.ts'
import { positionsOf } from './positions.ts'
import { Pause, type Suspend, suspendOf } from './suspend.ts'
import type { Timer, Timers } from './timers.ts'
import type { Wakes } from './wakes.ts'

export type { Append, TaskCounts, TaskParts, TaskStore } from './task-parts.ts'

export class Task {
  readonly id: string
  readonly partition: number
  /** A topic that matches a pattern may join later. */
  readonly queues: InputQueue[]
  readonly stores: readonly TaskStore[]
  readonly program: Program
  readonly timers: Timers
  readonly wakes: Wakes
  readonly choice: InputChoice
  readonly prefetch: Prefetch
  readonly underWay: ReadonlySet<UnderWay>
  readonly counts: TaskCounts = { records: 0, deadLetters: 0, skipped: 0, out: 0, outBytes: 0 }
  /** Records appended, by topic. */
  readonly written = new Map<string, { readonly topic: string; n: number }>()
  /** Of the chunks that have come. */
  bytesIn = 0
  /** What the record at the head waits for; `run` does nothing until it was awaited and cleared. */
  suspended: Suspend | null = null
  /** A processor has asked for a commit. */
  commitRequested = false
  /** Of the batch that is under way; null: nobody records it. */
  trace: BatchTrace | null = null
  mayPause = true // false while a record cache lets go: the commit waits for that, and a full operator further down may wait for the commit
  readonly #parts: TaskParts
  readonly #context: RecordContext
  /** Counts what is done or undone as a whole: records, timers, what is due. */
  piece = 0
  /** Most records go to the topic of the one before. */
  #writtenTo: { readonly topic: string; n: number } = { topic: '', n: 0 }
  #dirty = false
  #sealedAtMs = 0
  /** Something has happened since what a full operator keeps waiting was tried. */
  #moved = false
  /** Pieces of what is due since the last `run` that did not go on after a wait. */
  #pieces = 0
  #resumed = false

  constructor(parts: TaskParts) {
    this.#parts = parts
    this.id = parts.id
    this.partition = parts.partition
    this.queues = parts.queues
    this.stores = parts.stores
    this.program = parts.program
    this.#context = parts.program.context
    this.timers = parts.timers
    this.wakes = parts.wakes
    this.underWay = parts.underWay
    this.prefetch = new Prefetch(parts.queues)
    this.choice = new InputChoice(parts.queues, parts.maxIdleMs, parts.monotonicMs)
    for (const queue of parts.queues) this.#context.streamTime = Math.max(this.#context.streamTime, queue.partitionTime)
  }

  /** Something was processed since the last seal. */
  get dirty(): boolean {
    return this.#dirty
  }

  get openBytes(): number {
    let bytes = 0
    for (const store of this.stores) bytes += store.overlay.openBytes
    return bytes
  }

  accept(chunk: Chunk): void {
    this.bytesIn += chunk.bytes
    for (const queue of this.queues) if (queue.partition === chunk.partition && queue.topic === chunk.topic) queue.accept(chunk)
  }

  /** Invariant 2. */
  ready(): boolean {
    return this.suspended === null && this.choice.ready()
  }

  get queued(): number {
    let records = 0
    for (const queue of this.queues) records += queue.records
    return records
  }

  /** Processes up to `recordsMax` records; how many it did. Stops early at a record that suspends. `force`: without waiting for
   *  an input that may have more. */
  run(recordsMax: number, append: Append, force = false): number {
    let done = 0
    if (!this.#resumed) this.#pieces = 0
    this.#resumed = false
    this.#tryHeld(append)
    if (!this.#putOutDue(append) || !this.#fireDue('stream', append)) return 0
    while (done < recordsMax && this.suspended === null && (force || this.ready())) {
      const queue = this.choice.next()
      if (queue === null || this.#lacks(queue)) break
      const head = queue.head() as Head
      if (!this.#process(queue, head, append)) {
        if (!this.#fireDue('stream', append)) break // what is kept waiting has moved stream time all the same
        continue
      }
      this.trace?.record(queue, head.record)
      queue.shift()
      this.#letGoOn()
      this.#dirty = true
      done++
      if (!this.#putOutDue(append) || !this.#fireDue('stream', append)) break
    }
    this.counts.records += done
    return done
  }

  /** How long until something is due with no record to bring it along; infinity: nothing is. */
  get dueInMs(): number {
    const { nowMs, steadyMs } = this.#parts
    const ownInMs = Math.min(this.wakes.wallAtMs, this.program.dues.wallAtMs ?? Number.POSITIVE_INFINITY) - steadyMs()
    return Math.max(0, Math.min(ownInMs, (this.timers.wallAtMs ?? Number.POSITIVE_INFINITY) - nowMs()))
  }

  /** It stands still until something else has happened. */
  isHeld(queue: InputQueue): boolean {
    return this.choice.held.has(queue)
  }

  /** Runs what is due on the wall clock; true when there was something. It may suspend, as `run` may. */
  runTimers(append: Append): boolean {
    if (this.suspended !== null) return false
    const some = this.program.dues.askAtWall(this.#parts.steadyMs())
    if (some && !this.#putOutDue(append)) return true
    if (this.timers.due('wall', this.#parts.nowMs()) === null && !this.wakes.someDue(this.#context.streamTime)) return some
    this.#fireDue('wall', append)
    return true
  }

  /** Each timer is one piece, as a record is. False: one suspended, and is to be run again. */
  #fireDue(clock: TimerClock, append: Append): boolean {
    if (this.suspended !== null) return false
    const now = clock === 'wall' ? this.#parts.nowMs() : this.#context.streamTime
    for (let timer = this.timers.due(clock, now); timer !== null; timer = this.timers.due(clock, now)) {
      if (!this.#fire(timer, now, append)) return false
    }
    let pieces = 0
    for (const wake of this.wakes.all) {
      while (this.wakes.isDue(wake, this.#context.streamTime))
        if (pieces++ === LIMITS.taskBatchRecords || !this.#rouse(wake, append)) return false
    }
    return true
  }

  /** One piece of what an operator does by itself. False: it suspended. */
  #rouse(wake: Wake, append: Append): boolean {
    const now = Math.max(0, this.#context.streamTime)
    let worked = true
    try {
      this.#beginWithout(now)
      worked = wake.run()
    } catch (error) {
      if (this.#undo(error)) {
        wake.held = error instanceof Pause
        return wake.held
      }
      try {
        this.#beginWithout(now)
        wake.failed(error)
      } catch (again) {
        if (this.#undo(again)) return false
        throw again
      }
    }
    if (!worked) return true
    this.#letGoOn()
    this.#dirty = true
    this.#send(append)
    return true
  }

  /** Something has happened: what a full operator keeps waiting is tried again. Timers and what is due only once a turn: they may be long. */
  #letGoOn(): void {
    this.choice.held.clear()
    this.wakes.release()
    this.#moved = true
  }

  #tryHeld(append: Append): void {
    if (!this.#moved || this.suspended !== null) return
    this.#moved = false
    this.program.dues.release()
    for (const timer of this.timers.release()) {
      const now = timer.clock === 'wall' ? this.#parts.nowMs() : this.#context.streamTime
      if (!timer.cancelled && timer.next <= now && !this.#fire(timer, now, append)) return
    }
  }

  /** Something is due that no record brings along. */
  get hasDue(): boolean {
    if (this.program.dues.next() !== null || this.wakes.someDue(this.#context.streamTime)) return true
    return this.#moved && (this.timers.someHeld || this.program.dues.someWaits)
  }

  /** What waits in record caches goes on, those first that fill other caches. False: it suspended. */
  flush(append: Append): boolean {
    for (const { due } of this.program.caches.filter(({ size }) => size > 0)) {
      due.asked = true
      while (due.asked) if (this.suspended !== null || !this.#putOut(due, append)) return false
    }
    return true
  }

  /** False: there is more, or it suspended. */
  #putOutDue(append: Append): boolean {
    const { dues } = this.program
    for (let due = dues.next(); due !== null; due = dues.next()) {
      if (this.suspended !== null || this.#pieces >= LIMITS.duePiecesPerRun) return false
      if (!this.#putOut(due, append)) return false
      this.#pieces++
    }
    return true
  }

  /** One piece of what is due. When it throws, its rows go one by one, and the one that throws alone is given up. */
  #putOut(due: Due, append: Append): boolean {
    const { program } = this.#parts
    const rowsMax = due.singly > 0 ? 1 : LIMITS.dueRowsMax
    const now = Math.max(0, this.#context.streamTime)
    this.#beginWithout(now)
    program.dues.begin(due.singly > 0)
    this.mayPause = !due.held
    let rows: number
    try {
      rows = due.step(rowsMax, false)
    } catch (error) {
      if (this.#undo(error)) {
        due.waits = error instanceof Pause
        return due.waits
      }
      if (due.singly === 0) {
        due.singly = LIMITS.dueRowsMax
        return true
      }
      rows = due.step(1, true)
      this.#letGoOf(`what ${due.node} puts out`, now, error)
    }
    due.asked = rows === rowsMax
    if (due.singly > 0) due.singly--
    if (rows > 0) {
      this.#dirty = true
      this.#letGoOn()
    }
    this.#send(append)
    return true
  }

  #fire(timer: Timer, now: number, append: Append): boolean {
    const { timers } = this.#parts
    this.#beginWithout(now)
    try {
      timer.run(now)
      if (!timer.cancelled) timers.fired(timer, now)
    } catch (error) {
      if (this.#undo(error)) {
        timer.held = error instanceof Pause
        return timer.held
      }
      timers.fired(timer, now)
      this.#letGoOf(`a timer of ${timer.node}`, now, error)
    }
    this.#letGoOn()
    this.#dirty = true
    this.#send(append)
    return true
  }

  #send(append: Append): void {
    const { staged } = this.program
    for (const s of staged) {
      append(s.topic, s.partition, s.timestamp, s.key, s.value, s.headers)
      if (s.topic !== this.#writtenTo.topic) this.#writtenTo = this.#countTo(s.topic)
      this.#writtenTo.n++
      this.counts.outBytes += (s.key === null ? 0 : s.key.length) + (s.value === null ? 0 : s.value.length)
    }
    this.counts.out += staged.length
  }

  #countTo(topic: string): { readonly topic: string; n: number } {
    const known = this.written.get(topic) ?? { topic, n: 0 }
    this.written.set(topic, known)
    return known
  }

  #begin(): void {
    this.piece++
    for (const store of this.stores) store.overlay.mark()
    this.#parts.readers?.mark()
    for (const cache of this.program.caches) cache.mark()
    this.timers.mark()
    this.mayPause = true
    this.program.staged.length = 0
  }

  /** A piece that no record brings along. */
  #beginWithout(timestamp: number): void {
    this.#begin()
    Object.assign(this.#context, NO_RECORD, { partition: this.partition, timestamp, recordTimestamp: timestamp, headers: NO_HEADERS })
  }

  #letGoOf(what: string, timestamp: number, error: unknown): void {
    const record = { offset: -1, timestamp, key: null, value: null, headers: NO_HEADERS }
    this.#letGo(what, { topic: '', partition: this.partition }, record, this.#policyOf(error), error)
  }

  #policyOf(error: unknown): ErrorPolicy {
    return policyOf(error, this.#parts.policies, this.program.blame.of(error))
  }

  /** Undoes what was begun. True: it waits for something; throws what is nobody's record's fault. */
  #undo(error: unknown): boolean {
    for (const store of this.stores) store.overlay.rollback()
    for (const cache of this.program.caches) cache.rollback()
    this.timers.rollback()
    this.program.staged.length = 0
    const suspend = suspendOf(error)
    if (suspend !== null) {
      if (!(suspend instanceof Pause)) this.suspended = suspend
      return true
    }
    if (!parkable(error)) throw error
    return false
  }

  /** The head can't be decoded or dated yet: it is waited for. */
  #lacks(queue: InputQueue): boolean {
    this.suspended = queue.lacks()
    return this.suspended !== null
  }

  /** False: it suspended, and is to be run again. */
  #process(queue: InputQueue, head: Head, append: Append, careful = false): boolean {
    const { dues } = this.program
    const { streamTime } = this.#context
    const { partitionTime } = queue
    this.#begin()
    dues.begin(careful)
    try {
      const first = queue.entries[0] as SourceEntry
      if (head.problem !== null) throw undecodable(queue, head, first, this.program.blame)
      if (!Number.isSafeInteger(head.timestamp) || head.timestamp > TIMESTAMP_MAX) throw misdated(queue, head, first, this.program.blame)
      if (head.timestamp >= 0) this.#feed(queue, head)
      else this.counts.skipped++
    } catch (error) {
      // Time goes on when the record does: a timer must not fire on it before.
      const setBack = (): void => {
        this.#context.streamTime = streamTime
        queue.partitionTime = partitionTime
      }
      if (this.#undo(error)) {
        if (error instanceof Pause) this.choice.held.add(queue)
        else setBack()
        return false
      }
      if (dues.touched && !careful) {
        setBack()
        return this.#process(queue, head, append, true)
      }
      dues.askAll()
      this.#giveUp(queue, head, error)
      if (head.problem === null && isTime(head.timestamp)) keepOfUndone(queue, head, this.stores)
    }
    this.#send(append)
    return true
  }

  #feed(queue: InputQueue, head: Head): void {
    const context = this.#context
    const { record, timestamp } = head
    if (timestamp > context.streamTime) context.streamTime = timestamp
    if (timestamp > queue.partitionTime) queue.partitionTime = timestamp
    context.topic = queue.topic
    context.partition = queue.partition
    context.offset = record.offset
    context.timestamp = timestamp
    context.recordTimestamp = record.timestamp
    context.headers = record.headers
    context.keyBytes = record.key
    context.valueBytes = record.value
    const { entries } = queue
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as SourceEntry
      const decoded = i === 0 ? head : decode(record, entry)
      if (decoded.problem !== null) throw undecodable(queue, decoded, entry, this.program.blame)
      context.key = decoded.key
      context.keySerde = entry.source.carries === 'bytes' ? null : asItWrites(entry.source.key)
      context.value = decoded.value
      context.valueSerde = entry.source.carries === 'records' && !entry.unread ? asItWrites(entry.source.value) : null
      entry.push(decoded.key, decoded.value, timestamp, decoded.old)
    }
  }

  #giveUp(queue: InputQueue, head: Head, error: unknown): void {
    this.#letGo(recordName(queue, head.record), queue, head.record, this.#policyOf(error), error)
  }

  /** For an operator: a record other than the one that is being processed. */
  giveUp(record: GivenUpRecord, error: unknown, always: 'deadLetter' | null): void {
    const queue =
      always !== null ? undefined : this.queues.find(({ topic, partition }) => topic === record.topic && partition === record.partition)
    this.#letGo(recordName(record, record), queue ?? record, record, always ?? this.#policyOf(error), error)
  }

  #letGo(at: string, from: LettingGo['from'], record: LogRecord, policy: ErrorPolicy, error: unknown): void {
    letGo(this.#parts, this.counts, { at, from, record, policy, error })
  }

  /** The barrier's half: what the changelogs and the group get for this epoch. */
  seal(append: Append): CommittedOffset[] {
    this.#sealedAtMs = this.#parts.nowMs()
    for (const store of this.stores) sealStore(store, this.partition, this.queues, append)
    const offsets = positionsOf(this.queues, this.stores, this.timers, this.#dirty)
    this.#dirty = false
    this.commitRequested = false
    return offsets
  }

  /** The sealed epoch is committed: to disk with it. */
  async applied(ends: EndOffsets): Promise<void> {
    for (const store of this.stores) await store.overlay.apply(checkpointOf(store, this.partition, ends, this.#sealedAtMs))
  }

  /** Loses everything that no barrier committed. The queues are rewound by whoever knows the committed offsets. */
  drop(): void {
    this.suspended = null
    this.abort()
    this.#resumed = false
    this.choice.held.clear()
    this.#moved = false
    this.#dirty = false
    this.program.staged.length = 0
    for (const cache of this.program.caches) cache.drop()
    for (const { overlay } of this.stores) overlay.drop()
  }

  /** What is under way is not wanted any more. */
  abort(): void {
    for (const each of this.underWay) each.abort()
  }

  /** Awaits what the head record asked for; the record is run again by the next `run`. */
  async resume(): Promise<void> {
    const { suspended } = this
    if (suspended === null) return
    await suspended.need()
    this.suspended = null
    this.#resumed = true
  }

  /** Between two records of a batch: a suspended one still needs what was read for it. */
  forgetRowsUnlessSuspended(): void {
    if (this.suspended === null) this.forgetRows()
  }

  forgetRows(): void {
    for (const { overlay } of this.stores) overlay.forgetRows()
    this.#parts.readers?.forgetRows()
  }
}
