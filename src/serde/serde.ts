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
  /** Awaited before anything is written to the topic with it: what it must tell or learn outside. Cheap when it was called before. */
  prepare?(topic: string, half: RecordHalf): Promise<void>
  /** True: what it reads may have been written in another form, so bytes that came in are not written again as they are. */
  readonly rewrites?: boolean
}

export type RecordHalf = 'key' | 'value'

export type AnySerde = Serde<any>
