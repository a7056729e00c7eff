// Stores in memory: for stores declared so, for the test driver and for the simulator. The provider is the "disk": it keeps what was
// applied, so that a crash is to drop what is not applied and to open again. It never fails by itself, and writes no file.
//
// Invariants
// 1. Content belongs to the provider, a store handle only points at it. Opening takes the content over: an older handle answers
//    STREAM_CLOSED from then on (a zombie writes nothing).
// 2. A store opened with `persistent` false starts empty at every open: memory is lost with the process that held it.
// 3. A scan in progress sees the content as of its call: before an `apply` changes anything, each one keeps its own rest.
import { keyBytes, keyText } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { checkName } from '../base/names.ts'
import { closedError, lockedError } from './damage.ts'
import { checkStoreName } from './directory.ts'
import { type Ordered, ordered, type TextRange, take } from './ordered.ts'
import type { Checkpoint, ScanRange, StateStore, Stored, StoreProvider } from './store.ts'

export interface MemoryProvider extends StoreProvider {
  /** As when the process dies: every open handle is dead, what was not applied is gone. */
  crash(): void
  /** As when the disk is lost: of one store, of a task's, or of all. */
  forget(task?: string, store?: string): void
}

interface Content {
  readonly rows: Map<string, Stored>
  readonly order: Ordered
  readonly scans: Set<Scan>
  checkpoint: Checkpoint | null
  bytes: number
  /** The handle that may use it; null when none does. */
  holder: StateStore | null
}

interface Scan {
  range: TextRange
  /** What is left, once an `apply` has come between. */
  rest: (readonly [key: string, stored: Stored])[] | null
}

/** Rough cost of a row beside its bytes: two Map entries, an object, a Buffer. */
const ROW_BYTES = 200

export function memoryProvider(): MemoryProvider {
  const contents = new Map<string, Content>()
  return {
    async open(task, store, persistent) {
      const name = `${checkName(task, 'task')}/${checkStoreName(store)}`
      const kept = persistent ? contents.get(name) : undefined
      const old = contents.get(name)
      if (old !== undefined) old.holder = null
      const content = kept ?? { rows: new Map(), order: ordered(), scans: new Set(), checkpoint: null, bytes: 0, holder: null }
      contents.set(name, content)
      const opened = memoryStore(name, content)
      content.holder = opened
      return { store: opened, rebuilt: null }
    },
    async setAside(task, store) {
      const name = `${checkName(task, 'task')}/${checkStoreName(store)}`
      if (contents.get(name)?.holder != null) throw lockedError(name)
      contents.delete(name)
    },
    crash() {
      for (const content of contents.values()) content.holder = null
    },
    forget(task, store) {
      for (const [name, content] of contents) {
        if (task !== undefined && name !== `${task}/${store}` && !(store === undefined && name.startsWith(`${task}/`))) continue
        content.holder = null
        contents.delete(name)
      }
    },
  }
}

function memoryStore(name: string, content: Content): StateStore {
  const { rows, order, scans } = content
  const assertOpen = (): void => {
    if (content.holder !== self) throw closedError(name)
  }
  const self: StateStore = {
    name,
    durable: false,
    damaged: null,
    checkpoint() {
      assertOpen()
      return content.checkpoint
    },
    getSync(key) {
      assertOpen()
      return rows.get(keyText(key))
    },
    async getMany(keys) {
      assertOpen()
      return keys.map((key) => rows.get(keyText(key)))
    },
    scan(range) {
      assertOpen()
      return scanOf(content, range, assertOpen)
    },
    async apply(writes, checkpoint) {
      assertOpen()
      for (const scan of scans) scan.rest = rowsIn(content, scan.range, Number.POSITIVE_INFINITY)
      scans.clear()
      for (const { key, value, timestamp } of writes) {
        const text = keyText(key)
        const old = rows.get(text)
        if (old !== undefined) content.bytes -= text.length + old.value.length + ROW_BYTES
        if (value === null) {
          if (old === undefined) continue
          rows.delete(text)
          order.pending.set(text, false)
        } else {
          // A copy: the value may be a view of a fetched response, which it would keep alive as a whole.
          rows.set(text, { value: Buffer.from(value), timestamp })
          content.bytes += text.length + value.length + ROW_BYTES
          if (old === undefined) order.pending.set(text, true)
        }
      }
      content.checkpoint = checkpoint
    },
    async sizeBytes() {
      assertOpen()
      return content.bytes
    },
    async close() {
      if (content.holder === self) content.holder = null
    },
  }
  return self
}

function rowsIn(content: Content, range: TextRange, limit: number): (readonly [key: string, stored: Stored])[] {
  return take(content.order, range, limit).map((text) => [text, content.rows.get(text) as Stored] as const)
}

type Chunk = readonly (readonly [key: Buffer, stored: Stored])[]

function scanOf(content: Content, range: ScanRange, assertOpen: () => void): AsyncIterable<Chunk> {
  const scan: Scan = {
    range: {
      from: range.from === null ? null : keyText(range.from),
      to: range.to === null ? null : keyText(range.to),
      fromExclusive: false,
      toExclusive: range.toExclusive === true,
      reverse: range.reverse === true,
    },
    rest: null,
  }
  content.scans.add(scan)
  let ended = false
  const done = { done: true, value: undefined } as const

  const rowsAhead = (): (readonly [key: string, stored: Stored])[] => {
    if (scan.rest !== null) return scan.rest.splice(0, LIMITS.scanChunkEntries)
    return rowsIn(content, scan.range, LIMITS.scanChunkEntries)
  }

  const next = async (): Promise<IteratorResult<Chunk, undefined>> => {
    if (ended) return done
    assertOpen()
    const found = rowsAhead()
    if (found.length === 0) {
      ended = true
      content.scans.delete(scan)
      return done
    }
    const last = (found.at(-1) as readonly [string, Stored])[0]
    scan.range = scan.range.reverse ? { ...scan.range, to: last, toExclusive: true } : { ...scan.range, from: last, fromExclusive: true }
    return { done: false, value: found.map(([text, stored]) => [keyBytes(text), stored] as const) }
  }
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    ended = true
    content.scans.delete(scan)
    return done
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}
