// The record cache of one operator in one task: a table's updates wait in it, and of each key the last one goes on at the commit, or
// when the cache is full. The store itself is written at once; only what is forwarded waits.
//
// Invariants
// 1. It is empty when an epoch is sealed: what was forwarded to it goes on within its own epoch, so a crash loses both or neither.
// 2. What goes on carries the old row from before the first update that waited. No row before and none after: nothing goes on.
// 3. Keys go on in the order of their last updates, each with the timestamp and the headers of that one.
// 4. `rollback` undoes what was taken in and what was taken out since `mark`.
// 5. Keys and values wait as bytes: nobody can change them meanwhile, and their sizes are known.
// 6. Tables that are made of this one look up what has gone on, not what waits. Else two rows that go within one epoch would each find
//    the other one gone already and leave their join where it is, and a row that comes and goes would have been joined meanwhile.
import { keyBytes, keyText } from '../base/bytes.ts'
import type { Headers } from '../base/record.ts'
import { keyToBytes, valueToBytes } from '../operators/encode.ts'
import type { Push, Site, TableGetter } from '../operators/operator.ts'
import type { Due, Dues } from './dues.ts'

interface Waiting {
  readonly text: string
  readonly value: Buffer | null
  readonly old: Buffer | null
  readonly timestamp: number
  readonly headers: Headers
  /** Of its last update. */
  readonly order: number
}

/** What a waiting update costs beside its bytes (measured). */
const WAITING_COST_BYTES = 300

export class RecordCache {
  readonly #site: Site
  readonly #forward: Push
  readonly #bytesMax: number
  readonly #waiting = new Map<string, Waiting>()
  readonly #journal: (string | Waiting | undefined)[] = []
  #bytes = 0
  #order = 0
  #disordered = false
  #asked = false
  readonly due: Due

  /** `site`: of the operator; `forward`: to its children. */
  constructor(site: Site, forward: Push, bytesMax: number, dues: Dues) {
    this.#site = site
    this.#forward = forward
    this.#bytesMax = bytesMax
    this.due = dues.held(site.node.name, (rowsMax, drop) => this.#step(rowsMax, drop))
  }

  get size(): number {
    return this.#waiting.size
  }

  readonly push: Push = (key, value, timestamp, old) => {
    const { node, context } = this.#site
    const text = keyText(keyToBytes(this.#site, node.key, key) as Buffer)
    const before = this.#waiting.get(text)
    const first = before === undefined ? valueToBytes(this.#site, node.value, old ?? null) : before.old
    const bytes = valueToBytes(this.#site, node.value, value)
    this.#remove(text, before)
    this.#add({ text, value: bytes, old: first, timestamp, headers: context.headers, order: this.#order++ })
    this.#journal.push(text, before)
    if (this.#bytes > this.#bytesMax) this.due.asked = true
  }

  /** The row that last went on; `latest` finds it when none waits. */
  gone(latest: TableGetter): TableGetter {
    const { node } = this.#site
    return (key) => {
      const bytes = keyToBytes(this.#site, node.key, key)
      const waiting = bytes === null ? undefined : this.#waiting.get(keyText(bytes))
      if (waiting === undefined) return latest(key)
      return waiting.old === null ? null : { value: node.value.decode(waiting.old), timestamp: -1 }
    }
  }

  mark(): void {
    this.#asked = this.due.asked
    this.#journal.length = 0
  }

  rollback(): void {
    this.due.asked = this.#asked // a record that is run again must find the cache as it was: what goes on together must not depend on it
    const journal = this.#journal
    if (journal.length > 0) this.#disordered = true
    for (let i = journal.length - 2; i >= 0; i -= 2) {
      const text = journal[i] as string
      const before = journal[i + 1] as Waiting | undefined
      this.#remove(text, this.#waiting.get(text))
      if (before !== undefined) this.#add(before)
    }
    journal.length = 0
  }

  drop(): void {
    this.#waiting.clear()
    this.#journal.length = 0
    this.#bytes = 0
  }

  #step(rowsMax: number, drop: boolean): number {
    if (this.#disordered) this.#inOrder()
    const { node, context } = this.#site
    const own = context.headers
    let rows = 0
    try {
      for (const waiting of this.#waiting.values()) {
        if (rows === rowsMax) break
        rows++
        const { text, value, old, timestamp, headers } = waiting
        this.#remove(text, waiting)
        this.#journal.push(text, waiting)
        if (drop || (value === null && old === null)) continue
        context.headers = headers
        const decode = (bytes: Buffer | null): unknown => (bytes === null ? null : node.value.decode(bytes))
        this.#forward(node.key.decode(keyBytes(text)), decode(value), timestamp, decode(old))
      }
    } finally {
      context.headers = own
    }
    return rows
  }

  #inOrder(): void {
    const sorted = [...this.#waiting.values()].sort((a, b) => a.order - b.order)
    this.#waiting.clear()
    for (const waiting of sorted) this.#waiting.set(waiting.text, waiting)
    this.#disordered = false
  }

  #add(waiting: Waiting): void {
    this.#waiting.set(waiting.text, waiting)
    this.#bytes += costOf(waiting)
  }

  #remove(text: string, waiting: Waiting | undefined): void {
    if (waiting === undefined) return
    this.#waiting.delete(text)
    this.#bytes -= costOf(waiting)
  }
}

function costOf({ text, value, old }: Waiting): number {
  return text.length + (value?.length ?? 0) + (old?.length ?? 0) + WAITING_COST_BYTES
}
