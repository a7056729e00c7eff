// What a request's query says, by name.
import type { Ask } from './asks.ts'
import { Refusal } from './refusal.ts'

/** The query's fields; an unknown one, and one that comes twice, are refused. */
export function fieldsOf(query: Ask['query'], known: readonly string[]): Readonly<Record<string, string>> {
  const fields = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(query)) {
    if (!known.includes(name) || typeof value !== 'string') throw new Refusal('BAD_REQUEST')
    fields[name] = value
  }
  return fields
}

/** A whole number from 1 to `most`; left out: `most`. */
export function limitOf(limit: string | undefined, most: number): number {
  if (limit === undefined) return most
  if (!/^[1-9]\d{0,8}$/.test(limit) || Number(limit) > most) throw new Refusal('BAD_REQUEST')
  return Number(limit)
}
