// What a serde is. Users may write their own with `encode` and `decode` alone; ours also know their name and JSON form.

/** Bytes <-> values. Null never reaches it: a null key or value is null bytes. `decode` throws on bytes that it can't read. */
export interface Serde<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
  /** For `describe` and the fingerprint: `string`, `json`, `avro:com.shop.Product`. Absent: `custom`. */
  readonly name?: string
  /** How `try`, `produce`, `consume` and `query` show a value as JSON; absent: the value itself. */
  toJson?(value: T): unknown
  /** The reverse. Throws for JSON that is no such value (text for int32, an unsafe integer for int64, ...). */
  fromJson?(json: unknown): T
}

export type AnySerde = Serde<any>
