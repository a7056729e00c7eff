// What a `holdUntil` knows of the rows that its records depend on, and which versions they need. Beside the rows of parking.ts, in one store.
//
// Rows, by their first byte: KNOWN, row: what was asked and heard. NEEDS, sequence of a record: versions. ASKING, sequence of a record: it is
// not known yet whether it has to wait. NUMBERS: the last question, how many are in ASKING.
//
// Invariants
// 1. A row is KNOWN as long as some record that is parked depends on it; as long as that it is asked for.
// 2. An answer counts only for the question that was asked last.
import { rowKey } from '../serde/window-rows.ts'
import { encodePair } from '../serde/ordered.ts'
import { compareVersions, decodeRegister, encodeRegister, type Version } from './last-write-wins-row.ts'
import type { StoreView } from './operator.ts'
import { type Field, pack, unpack } from './packed.ts'
import type { Parked } from './parked-record.ts'

const KNOWN = 8
const NEEDS = 9
const ASKING = 10
const NUMBERS = Buffer.of(11)
const NOTHING = Buffer.alloc(0)

const UNHEARD = 0
const ABSENT = 1
const PRESENT = 2

interface Known {
  readonly question: number
  readonly heard: number
  /** Records that are parked and depend on it. */
  readonly records: number
  /** As the table said it; null: it has none, or was not heard of. */
  readonly version: Field
}

export class HoldRows {
  readonly #store: StoreView

  constructor(store: StoreView) {
    this.#store = store
  }

  /** Another record depends on it. The number of the question that has to be asked; null: it is asked already. */
  need(wanted: Buffer): number | null {
    const known = this.#known(wanted)
    if (known !== null) {
      this.#put(wanted, { ...known, records: known.records + 1 })
      return null
    }
    const question = this.#nextQuestion()
    this.#put(wanted, { question, heard: UNHEARD, records: 1, version: null })
    return question
  }

  /** One record less depends on it. The number with which the question ends; null: others still depend on it. */
  release(wanted: Buffer): number | null {
    const known = this.#known(wanted)
    if (known === null) return null
    if (known.records > 1) {
      this.#put(wanted, { ...known, records: known.records - 1 })
      return null
    }
    this.#store.putBytes(knownKey(wanted), null, 0)
    return this.#nextQuestion()
  }

  /** False: it answers another question. `version`: null: there is no row; empty: it has no version. */
  heard(wanted: Buffer, question: number, version: Buffer | null): boolean {
    const known = this.#known(wanted)
    if (known === null || known.question !== question) return false
    const heard = version === null ? ABSENT : PRESENT
    this.#put(wanted, { ...known, heard, version: version === null || version.length === 0 ? null : version })
    return true
  }

  isHeard(wanted: Buffer): boolean {
    return (this.#known(wanted)?.heard ?? UNHEARD) !== UNHEARD
  }

  /** The row is there, in that version or a later one. */
  holds(wanted: Buffer, version: Version | null): boolean {
    const known = this.#known(wanted)
    if (known === null || known.heard !== PRESENT) return false
    return version === null || (known.version !== null && compareVersions(decodeRegister(known.version).version, version) >= 0)
  }

  putVersions({ sequence }: Parked, versions: readonly (Version | null)[]): void {
    if (versions.every((version) => version === null)) return
    const fields = versions.map((version) => (version === null ? null : encodeRegister(false, version, NOTHING)))
    this.#store.putBytes(rowKey(NEEDS, sequence, NOTHING), pack([], fields), 0)
  }

  versions({ sequence, waitsFor }: Parked): readonly (Version | null)[] {
    const row = this.#store.getBytes(rowKey(NEEDS, sequence, NOTHING))
    if (row === null) return waitsFor.map(() => null)
    return unpack(row.value, 0).fields.map((field) => (field === null ? null : decodeRegister(field).version))
  }

  /** How many are parked of which it is not known yet whether they have to wait. */
  get asking(): number {
    return this.#numbers().asking
  }

  ask({ sequence }: Parked): void {
    const { question, asking } = this.#numbers()
    this.#store.putBytes(rowKey(ASKING, sequence, NOTHING), NOTHING, 0)
    this.#store.putBytes(NUMBERS, pack([question, asking + 1], []), 0)
  }

  asked({ sequence }: Parked): void {
    const row = rowKey(ASKING, sequence, NOTHING)
    if (this.#store.getBytes(row) === null) return
    const { question, asking } = this.#numbers()
    this.#store.putBytes(row, null, 0)
    this.#store.putBytes(NUMBERS, pack([question, asking - 1], []), 0)
  }

  forget(parked: Parked): void {
    this.asked(parked)
    const row = rowKey(NEEDS, parked.sequence, NOTHING)
    if (this.#store.getBytes(row) !== null) this.#store.putBytes(row, null, 0)
  }

  #nextQuestion(): number {
    const { question, asking } = this.#numbers()
    this.#store.putBytes(NUMBERS, pack([question + 1, asking], []), 0)
    return question + 1
  }

  #numbers(): { readonly question: number; readonly asking: number } {
    const row = this.#store.getBytes(NUMBERS)
    const [question = 0, asking = 0] = row === null ? [] : unpack(row.value, 2).numbers
    return { question, asking }
  }

  #known(wanted: Buffer): Known | null {
    const row = this.#store.getBytes(knownKey(wanted))
    if (row === null) return null
    const { numbers, fields } = unpack(row.value, 3)
    const [question, heard, records] = numbers as [number, number, number]
    return { question, heard, records, version: fields[0] ?? null }
  }

  #put(wanted: Buffer, { question, heard, records, version }: Known): void {
    this.#store.putBytes(knownKey(wanted), pack([question, heard, records], [version]), 0)
  }
}

/** A row of a table. By the table's name: its place may be another after the topology has changed. */
export function wantedOf(table: string, key: Buffer): Buffer {
  return encodePair(Buffer.from(table), key)
}

function knownKey(wanted: Buffer): Buffer {
  return Buffer.concat([Buffer.of(KNOWN), wanted])
}
