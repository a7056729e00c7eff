// Rows of a store whose tasks run in several processes: each gives its part, and they are merged in the order of their keys' bytes.
//
// Invariants
// 1. The parts are of each partition once, or there is no answer: a task that just moves is in two parts or in none.
// 2. A part that broke off is complete up to where it did: no row behind that is given out.
// 3. A part is of what its process has itself: it asks nobody. Who has the rest is told to the front, which asks them (asks.ts).
import type { Peer } from '../assignment/peers.ts'
import { LIMITS } from '../base/limits.ts'
import type { QueryableStore } from '../runtime/query.ts'
import { heldPartitions, partitionsOf } from '../runtime/reads.ts'
import { taskId } from '../runtime/recover.ts'
import type { Forwarded } from './asks.ts'
import { Refusal } from './refusal.ts'
import type { Served } from './served.ts'

export interface RowPart {
  readonly partitions: readonly number[]
  /** The key's bytes and the row's JSON, ascending. */
  readonly rows: readonly (readonly [key: Buffer, row: string])[]
  /** The key of the first row that was left out; null: there are no more. */
  readonly next: Buffer | null
}

/** What a process answers to another one, as JSON: a row's text stays as it is, with all digits of its numbers. */
interface PartWords {
  readonly partitions: readonly number[]
  readonly rows: readonly (readonly [key: string, row: string])[]
  readonly next: string | null
}

/** Those that have tasks of the store which are not here, each once. Throws where nobody who has told an address has one of them. */
export function ownersOfRest(served: Served, store: QueryableStore): readonly Peer[] {
  const { others } = served
  const held = heldPartitions(served, store)
  const owners = new Map<string, Peer>()
  for (const partition of partitionsOf(served, store)) {
    if (held.includes(partition)) continue
    const task = taskId(store.subTopology, partition)
    const owner = others?.peers().find((peer) => peer.host !== others.self && peer.tasks.includes(task))
    if (owner === undefined) throw new Refusal('NOT_READY')
    owners.set(owner.host, owner)
  }
  return [...owners.values()]
}

/** Rows of a store that has tasks: those that are here, with what the other processes have answered. `here`: the rows of these partitions. */
export async function gatherRows(
  served: Served,
  store: QueryableStore,
  limit: number,
  given: readonly Forwarded[],
  here: (partitions: readonly number[]) => Promise<RowPart>,
): Promise<RowPart> {
  const parts = [...given.map(partOf), await here(heldPartitions(served, store))]
  const partitions = parts.flatMap((part) => part.partitions).sort((a, b) => a - b)
  if (partitions.join() !== partitionsOf(served, store).join()) throw new Refusal('NOT_READY')
  return mergeParts(parts, limit)
}

export function mergeParts(parts: readonly RowPart[], limit: number): RowPart {
  const ends = parts.flatMap(({ next }) => next ?? [])
  const end = ends.reduce<Buffer | null>((least, next) => (least === null || next.compare(least) < 0 ? next : least), null)
  const sure = parts
    .flatMap(({ rows }) => rows)
    .filter(([key]) => end === null || key.compare(end) < 0)
    .sort(([a], [b]) => a.compare(b))
  let bytes = 0
  const full = sure.findIndex(([, row], i) => {
    bytes += row.length + 1
    return i >= limit || (i > 0 && bytes > LIMITS.answerBytesMax)
  })
  const partitions = parts.flatMap((part) => part.partitions)
  return full < 0 ? { partitions, rows: sure, next: end } : { partitions, rows: sure.slice(0, full), next: sure[full]?.[0] ?? null }
}

export function partText({ partitions, rows, next }: RowPart): string {
  const words: PartWords = {
    partitions,
    rows: rows.map(([key, row]) => [key.toString('base64url'), row]),
    next: next?.toString('base64url') ?? null,
  }
  return JSON.stringify(words)
}

/** Throws a Refusal: that of the other process, where it has no such rows to give now. */
function partOf({ status, text }: Forwarded): RowPart {
  if (status === 503 || status === 403) throw refusalSaid(text)
  if (status !== 200) throw new Refusal('OWNER_UNREACHABLE') // a part is asked for by a query that this process understands
  const { partitions, rows, next } = JSON.parse(text) as Partial<PartWords>
  // A process of an earlier version answers ranges as a whole, or not at all.
  if (partitions === undefined || rows === undefined || next === undefined) throw new Refusal('OWNER_UNREACHABLE')
  const bytesOf = (key: string): Buffer => Buffer.from(key, 'base64url')
  return { partitions, rows: rows.map(([key, row]) => [bytesOf(key), row]), next: next === null ? null : bytesOf(next) }
}

function refusalSaid(text: string): Refusal {
  const { code, restored, remaining } = JSON.parse(text) as {
    readonly code: string
    readonly restored?: number
    readonly remaining?: number
  }
  if (code === 'STORE_RESTORING' && restored !== undefined && remaining !== undefined)
    return new Refusal('STORE_RESTORING', { restored, remaining })
  return new Refusal(code === 'STORE_REFUSED' ? code : 'NOT_READY')
}
