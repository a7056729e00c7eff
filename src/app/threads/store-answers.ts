// A thread's answers about the committed rows of its stores: keys, and scans that are read chunk by chunk.
//
// Invariants
// 1. The scans of one question are of one epoch of this worker: they are opened in one turn, while no epoch is being applied.
// 2. A task that is not here, or not restored, is STREAM_NOT_LOCAL, never an empty answer.
// 3. A cursor that nobody reads is closed after LIMITS.cursorIdleMs; so are all when the worker closes.
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import type { StateStore, Stored } from '../../state/store.ts'
import type { Member } from '../member.ts'
import { GLOBAL, packEntries, type Question, type Reply, type Scan, unpackEntries } from './words.ts'

type StoreQuestion = Exclude<Question, { readonly kind: 'close' | 'metrics' }>
type Rows = AsyncIterator<readonly (readonly [Buffer, Stored])[]>

export class StoreAnswers {
  readonly #member: Member
  readonly #world: World
  readonly #cursors = new Map<number, { readonly rows: Rows; cancel: () => void }>()

  constructor(member: Member, world: World) {
    this.#member = member
    this.#world = world
  }

  /** Rows at once: the processor may be waiting with nothing else to do. */
  reply(question: StoreQuestion): Reply | Promise<Reply> {
    switch (question.kind) {
      case 'rows': {
        const store = this.#store(question.task, question.store)
        return packEntries(unpackEntries(question.keys).map(([key]) => [key, store.getSync(key)] as const))
      }
      case 'size':
        return this.#store(question.task, question.store).sizeBytes()
      case 'scan':
        return this.#scan(question.scans)
      case 'next':
        return this.#next(question.cursor)
      case 'end':
        return this.#end(question.cursor)
    }
  }

  #store(task: string, name: string): StateStore {
    const store =
      task === GLOBAL
        ? this.#member.globalStore(name)
        : this.#member
            .tasks()
            .get(task)
            ?.stores.find((held) => held.name === name)?.overlay.store
    if (store !== undefined) return store
    throw new MillraceError('STREAM_NOT_LOCAL', `store ${name}: task ${task} has just left this worker, or is being restored; ask again`)
  }

  async #scan(scans: readonly Scan[]): Promise<null> {
    const { clock, timers } = this.#world
    const giveUp = clock.monotonic() + LIMITS.answerWaitMs
    while (this.#member.applying()) {
      if (clock.monotonic() > giveUp) throw new MillraceError('STREAM_NOT_LOCAL', 'the stores are just being written to; ask again')
      await timers.sleep(1)
    }
    const stores = scans.map(({ task, store }) => this.#store(task, store))
    for (const [i, { cursor, range }] of scans.entries()) {
      const rows = (stores[i] as StateStore).scan({ ...range, from: asBuffer(range.from), to: asBuffer(range.to) })[Symbol.asyncIterator]()
      this.#cursors.set(cursor, { rows, cancel: this.#forgetLater(cursor) })
    }
    return null
  }

  async #next(id: number): Promise<Uint8Array | null> {
    const cursor = this.#cursors.get(id)
    if (cursor === undefined) throw new MillraceError('STREAM_CLOSED', 'a scan was left alone for too long, or its store was closed')
    cursor.cancel()
    const { value, done } = await cursor.rows.next()
    if (done !== true) {
      cursor.cancel = this.#forgetLater(id)
      return packEntries(value)
    }
    this.#cursors.delete(id)
    return null
  }

  async #end(id: number): Promise<null> {
    const cursor = this.#cursors.get(id)
    this.#cursors.delete(id)
    cursor?.cancel()
    await cursor?.rows.return?.()
    return null
  }

  #forgetLater(id: number): () => void {
    return this.#world.timers.after(LIMITS.cursorIdleMs, () => void this.#end(id))
  }
}

/** What crossed is bytes without Node's methods. */
function asBuffer(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
