// The reader of an in-process log. What is in memory comes out of `poll` at once, as slices; what was moved out is loaded in the
// background, a bounded number of chunks ahead.
//
// Invariants
// 1. `poll(0)` never waits: it answers what is in memory or was loaded before.
// 2. A seek makes a new place: what a load under way brings for the old one is dropped.
// 3. An error of one partition (out of range, missing, damaged) is thrown before anything of that poll is taken, at every poll,
//    until the partition is assigned or sought anew.
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { partitionName, type TopicPartition } from '../../base/record.ts'
import type { Chunk, Reader, ReaderOptions, ReadFrom } from '../log.ts'
import { type Partition, readResident, type Slice, stableEnd } from './partition.ts'
import { findPartition, type State, type Waiter } from './state.ts'

/** Chunks loaded or being loaded ahead at one time, over all partitions of a reader. */
const LOADS_MAX = 4

interface Place {
  readonly topic: string
  readonly index: number
  readonly name: string
  position: number
  partition: Partition | null
  loading: boolean
  ready: Slice | null
  failed: unknown
}

export interface LocalReader extends Reader {
  /** As if its process had died. */
  crash(): void
}

export function localReader(state: State, options: ReaderOptions, gone: () => void): LocalReader {
  return new PlacesReader(state, options.isolation !== 'uncommitted', gone)
}

class PlacesReader implements LocalReader {
  readonly #state: State
  readonly #committed: boolean
  #places: Place[] = []
  /** Names; a pause outlives a seek. */
  readonly #paused = new Set<string>()
  /** Where the next poll begins, so that a large partition does not starve the ones after it. */
  #turn = 0
  #waiter: Waiter | null = null
  #woken = false
  #closed = false
  readonly #gone: () => void

  constructor(state: State, committed: boolean, gone: () => void) {
    this.#state = state
    this.#committed = committed
    this.#gone = gone
  }

  assign(partitions: readonly ReadFrom[]): void {
    const before = new Map(this.#places.map((place) => [place.name, place]))
    this.#places = partitions.map((from) => {
      const place = before.get(partitionName(from.topic, from.partition))
      return place !== undefined && place.position === from.offset && place.failed === null ? place : newPlace(from)
    })
    const kept = new Set(this.#places.map((place) => place.name))
    for (const name of [...this.#paused]) if (!kept.has(name)) this.#paused.delete(name)
    this.#waiter?.wake()
  }

  seek(from: ReadFrom): void {
    const place = newPlace(from)
    const at = this.#places.findIndex((of) => of.name === place.name)
    if (at < 0) this.#places.push(place)
    else this.#places[at] = place
    this.#waiter?.wake()
  }

  pause(partition: TopicPartition): void {
    const name = partitionName(partition.topic, partition.partition)
    this.#paused.add(name)
    // what was loaded for it would take a load's place from the others; it is loaded again after resume
    for (const place of this.#places) if (place.name === name) place.ready = null
  }

  resume(partition: TopicPartition): void {
    this.#paused.delete(partitionName(partition.topic, partition.partition))
    this.#waiter?.wake()
  }

  async poll(waitMs: number): Promise<readonly Chunk[]> {
    const end = waitMs > 0 ? this.#state.world.clock.monotonic() + waitMs : 0
    for (;;) {
      if (this.#closed || this.#state.closed) throw new MillraceError('STREAM_CLOSED', 'the reader is closed')
      const chunks = this.#collect()
      if (chunks.length > 0 || waitMs <= 0) return chunks
      const left = end - this.#state.world.clock.monotonic()
      if (left <= 0 || (await this.#wait(left)) === 'woken') return this.#closed ? [] : this.#collect()
    }
  }

  wake(): void {
    this.#woken = true
    this.#waiter?.wake()
    this.#woken = false
  }

  async close(): Promise<void> {
    this.crash()
  }

  crash(): void {
    this.#closed = true
    this.#gone()
    this.wake()
  }

  #wait(ms: number): Promise<'news' | 'woken'> {
    const waiters = this.#committed ? this.#state.waiters : this.#state.openWaiters
    return new Promise((resolve) => {
      const done = (how: 'news' | 'woken'): void => {
        cancel()
        waiters.delete(waiter)
        if (this.#waiter === waiter) this.#waiter = null
        resolve(how)
      }
      const waiter: Waiter = { wake: () => done(this.#woken ? 'woken' : 'news') }
      const cancel = this.#state.world.timers.after(ms, () => done('woken'))
      this.#waiter = waiter
      waiters.add(waiter)
    })
  }

  #collect(): Chunk[] {
    const places = this.#places
    for (const place of places) this.#check(place)
    const chunks: Chunk[] = []
    let bytes = 0
    const first = this.#turn
    for (let i = 0; i < places.length && bytes < LIMITS.fetchBytesMax; i++) {
      const at = (first + i) % places.length
      const place = places[at] as Place
      if (this.#paused.has(place.name)) continue
      const slice = this.#take(place)
      if (slice === null) continue
      place.position = slice.position
      bytes += slice.bytes
      this.#turn = at + 1
      const partition = place.partition as Partition
      chunks.push({
        topic: place.topic,
        partition: place.index,
        records: slice.records,
        bytes: slice.bytes,
        position: slice.position,
        endOffset: this.#committed ? stableEnd(partition) : partition.end,
      })
    }
    this.#loadAhead()
    return chunks
  }

  #check(place: Place): void {
    if (place.failed !== null) throw place.failed
    if (place.partition === null || place.partition.deleted) {
      place.partition = findPartition(this.#state, place.topic, place.index)
      place.ready = null
    }
    if (place.position < 0 || place.position > place.partition.end) {
      throw new MillraceError(
        'STREAM_OFFSET_OUT_OF_RANGE',
        `${place.name}: offset ${place.position} is out of range; the log holds 0 to ${place.partition.end}`,
      )
    }
  }

  #take(place: Place): Slice | null {
    const partition = place.partition as Partition
    if (place.ready !== null) {
      const ready = place.ready
      place.ready = null
      return ready
    }
    if (place.loading || place.position < partition.residentFrom) return null
    return readResident(partition, place.position, this.#committed, LIMITS.logLoadBytes)
  }

  /** Begins loads for the places that stand below what is in memory, in turn. */
  #loadAhead(): void {
    let under = 0
    for (const place of this.#places) if (place.loading || place.ready !== null) under++
    for (let i = 0; i < this.#places.length && under < LOADS_MAX; i++) {
      const place = this.#places[(this.#turn + i) % this.#places.length] as Place
      const partition = place.partition as Partition
      if (place.loading || place.ready !== null || place.position >= partition.residentFrom || this.#paused.has(place.name)) continue
      if (partition.load === null) continue
      under++
      place.loading = true
      partition.load(place.position, LIMITS.logLoadBytes).then(
        (slice) => this.#loaded(place, slice, null),
        (error: unknown) => this.#loaded(place, null, error),
      )
    }
  }

  #loaded(place: Place, slice: Slice | null, error: unknown): void {
    place.loading = false
    // a partition deleted meanwhile is found missing by the next poll, which says it better
    if (place.partition?.deleted !== true) {
      place.ready = this.#paused.has(place.name) ? null : slice
      place.failed = error
    }
    if (this.#places.includes(place)) this.#waiter?.wake()
  }
}

function newPlace(from: ReadFrom): Place {
  return {
    topic: from.topic,
    index: from.partition,
    name: partitionName(from.topic, from.partition),
    position: from.offset,
    partition: null,
    loading: false,
    ready: null,
    failed: null,
  }
}
