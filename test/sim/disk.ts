// The disk of one instance: stores that outlive its process, with the faults a disk has. A store keeps its batches, so that the loss of
// power can take the last ones back.
//
// Invariants
// 1. A batch is atomic. A kill keeps every batch that was applied; a loss of power keeps a prefix of those since the last clean close.
// 2. After a refused write, or damage found by a read, the handle refuses everything; opened again, the store is found damaged and empty.
// 3. A store that is open cannot be opened or moved away.
import { keyBytes, keyText } from '../../src/base/bytes.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { World } from '../../src/base/ports.ts'
import type { Checkpoint, ScanRange, StateStore, Stored, StoreProvider, Write } from '../../src/state/store.ts'
import type { Chance } from './chance.ts'
import type { Owner } from './world.ts'

interface Batch {
  readonly writes: readonly Write[]
  readonly checkpoint: Checkpoint
}

interface Content {
  readonly task: string
  readonly store: string
  batches: Batch[]
  rows: Map<string, Stored>
  checkpoint: Checkpoint | null
  /** Batches that are safe from a loss of power. */
  synced: number
  changes: number
  /** How many batches were there when a write was refused or damage was found; -1: never. */
  brokenAt: number
  holder: { readonly owner: Owner; open: boolean } | null
}

/** Armed by the nemesis: what the next call on any store of this disk runs into. */
export interface DiskFaults {
  refuseWrites: number
  damagedReads: number
}

export interface StoreContent {
  readonly task: string
  readonly store: string
  readonly rows: ReadonlyMap<string, Stored>
  readonly checkpoint: Checkpoint | null
  /** Rises with all that happens to it. */
  readonly changes: number
}

export interface DiskOptions {
  readonly chance: Chance
  readonly writeMsMax: number
  readonly trace: (what: string) => void
  /** What a store holds as it is opened; it goes on changing. */
  readonly onOpen: (content: StoreContent) => void
}

export class SimDisk {
  readonly faults: DiskFaults = { refuseWrites: 0, damagedReads: 0 }
  readonly #o: DiskOptions
  readonly #contents = new Map<string, Content>()

  constructor(options: DiskOptions) {
    this.#o = options
  }

  contents(): readonly StoreContent[] {
    return [...this.#contents.values()]
  }

  get tasks(): readonly string[] {
    return [...new Set([...this.#contents.values()].map(({ task }) => task))].sort()
  }

  /** The machine went down: the kernel had not written everything. */
  losePower(): void {
    for (const content of this.#contents.values()) {
      const lost = this.#o.chance.draw(content.batches.length - content.synced + 1)
      if (lost === 0) continue
      this.#o.trace(`the last ${lost} batches of ${content.task}/${content.store} were never written`)
      replay(content, content.batches.slice(0, content.batches.length - lost))
    }
  }

  loseEverything(): void {
    this.#contents.clear()
  }

  /** The stores as a process sees them. */
  provider(owner: Owner, world: World): StoreProvider {
    const nameOf = (task: string, store: string): string => `${task}/${store}`
    const inUse = (content: Content | undefined): boolean => content?.holder?.open === true && content.holder.owner.alive
    const locked = (name: string): MillraceError => new MillraceError('STREAM_STATE_LOCKED', `store ${name} is open already`)
    return {
      open: async (task, store, persistent) => {
        const name = nameOf(task, store)
        await world.timers.sleep(this.#o.chance.delayMs(0, this.#o.writeMsMax))
        let content = this.#contents.get(name)
        if (inUse(content)) throw locked(name)
        // what src/state/leveldb.ts finds out from LevelDB's log and tables (R7)
        const rebuilt = content !== undefined && content.brokenAt >= 0 ? 'it was damaged' : null
        if (content === undefined || !persistent || rebuilt !== null) {
          content = { task, store, batches: [], rows: new Map(), checkpoint: null, synced: 0, changes: 0, brokenAt: -1, holder: null }
          this.#contents.set(name, content)
        }
        content.holder = { owner, open: true }
        this.#o.onOpen(content)
        return { store: new SimStore(name, content, content.holder, world, this.#o, this.faults), rebuilt }
      },
      setAside: async (task, store, reason) => {
        const name = nameOf(task, store)
        if (inUse(this.#contents.get(name))) throw locked(name)
        this.#o.trace(`${name} is set aside: ${reason}`)
        this.#contents.delete(name)
      },
    }
  }
}

function replay(content: Content, batches: Batch[]): void {
  content.batches = batches
  content.rows = new Map()
  content.checkpoint = batches.at(-1)?.checkpoint ?? null
  content.synced = Math.min(content.synced, batches.length)
  content.changes++
  for (const { writes } of batches) put(content.rows, writes)
}

function put(rows: Map<string, Stored>, writes: readonly Write[]): void {
  for (const { key, value, timestamp } of writes) {
    if (value === null) rows.delete(keyText(key))
    else rows.set(keyText(key), { value: Buffer.from(value), timestamp })
  }
}

class SimStore implements StateStore {
  readonly name: string
  readonly durable = true
  damaged: string | null = null
  readonly #content: Content
  readonly #hold: { open: boolean }
  readonly #world: World
  readonly #o: DiskOptions
  readonly #faults: DiskFaults
  #writing = 0

  constructor(name: string, content: Content, hold: { open: boolean }, world: World, options: DiskOptions, faults: DiskFaults) {
    this.name = name
    this.#content = content
    this.#hold = hold
    this.#world = world
    this.#o = options
    this.#faults = faults
  }

  checkpoint(): Checkpoint | null {
    this.#check()
    return this.#content.checkpoint
  }

  getSync(key: Buffer): Stored | undefined {
    this.#check()
    this.#read()
    return this.#content.rows.get(keyText(key))
  }

  async getMany(keys: readonly Buffer[]): Promise<(Stored | undefined)[]> {
    this.#check()
    const found = keys.map((key) => this.#content.rows.get(keyText(key)))
    await this.#pause()
    this.#check()
    this.#read()
    return found
  }

  scan(range: ScanRange): AsyncIterable<readonly (readonly [key: Buffer, stored: Stored])[]> {
    this.#check()
    const [from, to] = [range.from, range.to].map((bound) => (bound === null ? null : keyText(bound)))
    const inside = (text: string): boolean =>
      (from == null || text >= from) && (to == null || text < to || (text === to && range.toExclusive !== true))
    const rows = [...this.#content.rows].filter(([text]) => inside(text)).sort(([a], [b]) => (a < b ? -1 : 1))
    if (range.reverse === true) rows.reverse()
    return this.#chunks(rows)
  }

  async *#chunks(rows: (readonly [string, Stored])[]): AsyncIterable<readonly (readonly [Buffer, Stored])[]> {
    while (rows.length > 0) {
      await this.#pause()
      this.#check()
      this.#read()
      yield rows.splice(0, LIMITS.scanChunkEntries).map(([text, stored]) => [keyBytes(text), stored] as const)
    }
  }

  async apply(writes: readonly Write[], checkpoint: Checkpoint): Promise<void> {
    this.#check()
    this.#writing++
    await this.#pause()
    this.#writing--
    this.#check()
    if (this.#faults.refuseWrites > 0) {
      this.#faults.refuseWrites--
      this.#break('a write was refused')
    }
    const content = this.#content
    content.batches.push({ writes: [...writes], checkpoint })
    put(content.rows, writes)
    content.checkpoint = checkpoint
    content.changes++
  }

  async sizeBytes(): Promise<number> {
    this.#check()
    return this.#content.rows.size
  }

  async close(): Promise<void> {
    if (!this.#hold.open) return
    if (this.#writing > 0) await this.#pause(2)
    this.#hold.open = false
    if (this.damaged === null) this.#content.synced = this.#content.batches.length
  }

  #pause(times = 1): Promise<void> {
    return this.#world.timers.sleep(times * this.#o.chance.delayMs(0, this.#o.writeMsMax))
  }

  #read(): void {
    if (this.#faults.damagedReads === 0) return
    this.#faults.damagedReads--
    this.#break('a row is damaged')
  }

  #break(why: string): never {
    this.damaged = why
    this.#content.brokenAt = this.#content.batches.length
    this.#o.trace(`${this.name}: ${why}`)
    throw new MillraceError('STREAM_STORE_DAMAGED', `${this.name}: ${why}`)
  }

  #check(): void {
    if (!this.#hold.open) throw new MillraceError('STREAM_CLOSED', `store ${this.name} is closed`)
    if (this.damaged !== null) throw new MillraceError('STREAM_STORE_DAMAGED', `${this.name}: ${this.damaged}`)
  }
}
