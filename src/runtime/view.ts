// A typed store as operators see it: serdes over an overlay. Synchronous.
//
// Invariants
// 1. A key that is the input record's own, under the same serde object, keeps the bytes it came with.
// 2. Bytes handed to the overlay are never changed afterwards.
// 3. A row that its changelog would not take is refused here, where it costs one record, and not at the barrier.
import { asBuffer } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { RecordContext, Row, StoreView } from '../operators/operator.ts'
import type { Overlay } from '../state/overlay.ts'
import type { ScanRange } from '../state/store.ts'
import type { StoreSpec } from '../topology/node.ts'
import { Suspend } from './suspend.ts'

export class TypedView implements StoreView {
  readonly name: string
  readonly #overlay: Overlay
  readonly #key: StoreSpec['key']
  readonly #value: StoreSpec['value']
  readonly #context: RecordContext

  constructor(spec: StoreSpec, overlay: Overlay, context: RecordContext) {
    this.name = spec.name
    this.#overlay = overlay
    this.#key = spec.key
    this.#value = spec.value
    this.#context = context
  }

  get(key: unknown): Row<unknown> | null {
    const stored = this.#overlay.get(this.encodeKey(key))
    return stored === undefined ? null : { value: this.#value.decode(stored.value), timestamp: stored.timestamp }
  }

  put(key: unknown, value: unknown, timestamp: number): void {
    this.putBytes(this.encodeKey(key), this.encodeValue(value), timestamp)
  }

  delete(key: unknown, timestamp: number): void {
    this.putBytes(this.encodeKey(key), null, timestamp)
  }

  getBytes(key: Buffer): Row<Buffer> | null {
    return this.#overlay.get(key) ?? null
  }

  putBytes(key: Buffer, value: Buffer | null, timestamp: number): void {
    const bytes = key.length + (value === null ? 0 : value.length)
    if (bytes > LIMITS.recordBytesMax) {
      throw new MillraceError('STREAM_RECORD_TOO_LARGE', `store ${this.name}: a row of ${bytes} bytes is over ${LIMITS.recordBytesMax}`)
    }
    this.#overlay.put(key, value, timestamp)
  }

  prefixBytes(prefix: Buffer): readonly (readonly [Buffer, Row<Buffer>])[] {
    const rows = this.#overlay.prefix(prefix)
    if (rows === null) throw new Suspend(() => this.#overlay.fetchRows(prefix))
    return rows
  }

  first(region: number, below: Buffer): Buffer | null {
    const key = this.#overlay.first(region, below)
    if (key === undefined) throw new Suspend(() => this.#overlay.fetchFront(region))
    return key
  }

  scan(range: ScanRange): IterableIterator<readonly [Buffer, Row<Buffer>]> {
    return this.#overlay.range(range, (fetch) => {
      throw new Suspend(fetch)
    })
  }

  encodeKey(key: unknown): Buffer {
    const context = this.#context
    if (key === context.key && context.keySerde === this.#key && context.keyBytes !== null) return context.keyBytes
    return asBuffer(this.#key.encode(key))
  }

  decodeKey(bytes: Buffer): unknown {
    return this.#key.decode(bytes)
  }

  encodeValue(value: unknown): Buffer {
    return asBuffer(this.#value.encode(value))
  }

  decodeValue(bytes: Buffer): unknown {
    return this.#value.decode(bytes)
  }
}
