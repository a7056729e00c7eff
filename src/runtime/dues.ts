// What falls due in a task without a record of its own: windows that close, updates that were held back. An operator puts out a
// portion within the record that made it due; the rest, which may be millions of rows, goes in pieces between records.
//
// Invariants
// 1. A piece is all or nothing, as a record is; what is still due is found in the store, so nothing here has to survive a crash: after
//    it everything is asked for once.
// 2. Within one record or piece an operator takes at most LIMITS.dueRowsMax rows: a record that is run again finds them all in memory.
// 3. What is put out within a record may be what made it throw; then the record is run again without (`careful`).
import { LIMITS } from '../base/limits.ts'

/** Takes up to `rowsMax` rows that are due, and says how many. `drop`: one, without putting it out. */
export type DueStep = (rowsMax: number, drop: boolean) => number

export interface Due {
  readonly node: string
  readonly step: DueStep
  /** Something may be due. */
  asked: boolean
  /** When on the wall clock something will be; null: not known to be. */
  atMs: number | null
  /** Only what it is told makes it due. */
  readonly held: boolean
  /** It has met a full operator, and waits until something else has happened. */
  waits: boolean
  /** So many rows go one by one, since one of them has thrown. */
  singly: number
}

/** What the operator holds. */
export interface DueHandle {
  /** Something may have become due. */
  now(): void
  /** Something will be due at that time of the wall clock; null: nothing. */
  at(ms: number | null): void
}

export class Dues {
  readonly all: Due[] = []
  /** Within the present record rows were taken. */
  touched = false
  #careful = false

  /** What is put out when it is asked for, and not before. */
  held(node: string, step: DueStep): Due {
    const due: Due = { node, step, asked: false, held: true, atMs: null, waits: false, singly: 0 }
    this.all.push(due)
    return due
  }

  add(node: string, step: DueStep): DueHandle {
    const due: Due = { node, step, asked: true, held: false, atMs: null, waits: false, singly: 0 }
    this.all.push(due)
    return {
      now: () => {
        if (this.#careful) due.asked = true
        else this.#within(due)
      },
      at(ms) {
        due.atMs = ms
      },
    }
  }

  #within(due: Due): void {
    const before = this.touched
    this.touched = true
    const rows = due.step(LIMITS.dueRowsMax, false)
    this.touched = before || rows > 0
    if (rows === LIMITS.dueRowsMax) due.asked = true
  }

  begin(careful: boolean): void {
    this.touched = false
    this.#careful = careful
  }

  /** After something was undone: what it had said of the wall clock may be wrong. */
  askAll(): void {
    for (const due of this.all) due.asked ||= !due.held
  }

  next(): Due | null {
    for (const due of this.all) if (due.asked && !due.waits) return due
    return null
  }

  get someWaits(): boolean {
    return this.all.some(({ waits }) => waits)
  }

  release(): void {
    for (const due of this.all) due.waits = false
  }

  /** When the wall clock will make something due, or null. */
  get wallAtMs(): number | null {
    let at: number | null = null
    for (const { atMs } of this.all) if (atMs !== null && (at === null || atMs < at)) at = atMs
    return at
  }

  /** Asks for what the wall clock has made due; true when there is something. */
  askAtWall(nowMs: number): boolean {
    let some = false
    for (const due of this.all) {
      if (due.atMs === null || due.atMs > nowMs) continue
      due.asked = true
      due.atMs = null
      some = true
    }
    return some
  }
}
