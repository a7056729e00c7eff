// Records in columns, for who wants many of them and no object for any: where key and value of each lie in the bytes that they came
// in. No headers.
//
// Invariants
// 1. `bytes` is never written to; the columns are, by whoever filled them, when the next records are asked for.
// 2. A length of -1 stands for null.

export interface RecordColumns {
  /** Of the columns' entries those before it hold. */
  count: number
  bytes: Buffer
  readonly offsets: Float64Array
  readonly timestamps: Float64Array
  readonly keyAts: Int32Array
  readonly keyLengths: Int32Array
  readonly valueAts: Int32Array
  readonly valueLengths: Int32Array
}

const NOTHING = Buffer.alloc(0)

export function recordColumns(recordsMax: number): RecordColumns {
  return {
    count: 0,
    bytes: NOTHING,
    offsets: new Float64Array(recordsMax),
    timestamps: new Float64Array(recordsMax),
    keyAts: new Int32Array(recordsMax),
    keyLengths: new Int32Array(recordsMax),
    valueAts: new Int32Array(recordsMax),
    valueLengths: new Int32Array(recordsMax),
  }
}
