// What a shop saves at once: one record, keyed by the shop, for all that was changed together. Read by saves.ts and by spread.ts.
//
// 1. Versions of Saves rise within a shop. An entry has the version of the Save that it came with.
// 2. Ids hold no slash: keys of rows are made of several.
export type Kind = 'category' | 'channel' | 'product'

interface Named {
  readonly id: string
  readonly name: string
  readonly deleted?: false
}
/** A product names its category and the channels that it is sold in, all of the same shop. */
export type Entry =
  | (Named & { readonly kind: 'category' | 'channel' })
  | (Named & { readonly kind: 'product'; readonly cents: number; readonly category: string; readonly channels: readonly string[] })
  | { readonly kind: Kind; readonly id: string; readonly deleted: true }

export type Product = Extract<Entry, { readonly cents: number }>

export interface Save {
  readonly version: number
  readonly entries: readonly Entry[]
}

const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value)

function isEntry(value: unknown): boolean {
  const { kind, id, name, deleted, cents, category, channels } = (value ?? {}) as Record<string, unknown>
  if (!isId(id) || (kind !== 'category' && kind !== 'channel' && kind !== 'product')) return false
  if (deleted === true) return true
  if (typeof name !== 'string') return false
  return kind !== 'product' || (Number.isSafeInteger(cents) && isId(category) && Array.isArray(channels) && channels.every(isId))
}

/** For `json`: what it refuses is a dead letter. */
export function isSave(value: unknown): boolean {
  const { version, entries } = (value ?? {}) as Record<string, unknown>
  return Number.isSafeInteger(version) && Array.isArray(entries) && entries.every(isEntry)
}
