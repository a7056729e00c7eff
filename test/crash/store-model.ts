// What the crash and damage tests of stores agree on: batch i is always the same writes, so that the right content of a store
// follows from its checkpoint alone.
import { keyText } from '../../src/base/bytes.ts'
import type { StateStore, StoreProvider, Write } from '../../src/state/store.ts'

export const BATCH_WRITES = 200
// So many that most rows in the tables are live: damage to an overwritten row proves nothing.
const KEYS = 20_011
export const TASK = '0_0'
export const STORE = 'counts'

const key = (n: number): Buffer => Buffer.from(`${n % 7 === 0 ? '\xff' : ''}customer-${String(n).padStart(6, '0')}`, 'latin1')
const keyNumber = (batch: number, j: number): number => (batch * 137 + j * 13) % KEYS
const textOf = (batch: number, j: number): string | null => ((batch + j) % 11 === 0 ? null : `${batch}:${j}:`.padEnd(150, `${batch * j}.`))

export function batchWrites(batch: number): Write[] {
  return Array.from({ length: BATCH_WRITES }, (_, j) => {
    const text = textOf(batch, j)
    return { key: key(keyNumber(batch, j)), value: text === null ? null : Buffer.from(text, 'latin1'), timestamp: batch * 1_000 + j }
  })
}

export const checkpointOf = (batch: number): { changelogOffset: number } => ({ changelogOffset: (batch + 1) * BATCH_WRITES })
/** The first batch that a store with this checkpoint lacks. */
export const nextBatch = (store: StateStore): number => (store.checkpoint()?.changelogOffset ?? 0) / BATCH_WRITES

export async function applyBatch(store: StateStore, batch: number): Promise<void> {
  await store.apply(batchWrites(batch), checkpointOf(batch))
}

/** Of the last question: the next one mostly asks for more. */
let known = { batches: 0, content: new Map<string, string>() }

function contentBefore(batch: number): ReadonlyMap<string, string> {
  if (batch < known.batches) known = { batches: 0, content: new Map() }
  const { content } = known
  for (; known.batches < batch; known.batches++) {
    for (const { key, value, timestamp } of batchWrites(known.batches)) {
      if (value === null) content.delete(keyText(key))
      else content.set(keyText(key), `${timestamp} ${keyText(value)}`)
    }
  }
  return content
}

const show = (stored: { value: Buffer; timestamp: number } | undefined): string | undefined =>
  stored && `${stored.timestamp} ${keyText(stored.value)}`

/** Null when the store holds exactly what its checkpoint says, by scan, getMany and getSync; else what is wrong. Errors go through. */
async function wrongContent(store: StateStore): Promise<string | null> {
  const expected = contentBefore(nextBatch(store))
  let rows = 0
  for await (const chunk of store.scan({ from: null, to: null })) {
    for (const [found, stored] of chunk) {
      rows++
      if (show(stored) !== expected.get(keyText(found))) return `scan: a wrong value for ${JSON.stringify(keyText(found))}`
    }
  }
  if (rows !== expected.size) return `scan: ${rows} rows, not ${expected.size}`
  const keys = Array.from({ length: KEYS }, (_, n) => key(n))
  const many = await store.getMany(keys)
  for (const [n, stored] of many.entries()) {
    const right = expected.get(keyText(keys[n] as Buffer))
    if (show(stored) !== right) return `getMany: a wrong answer for key ${n}`
    if (n % 10 === 0 && show(store.getSync(keys[n] as Buffer)) !== right) return `getSync: a wrong answer for key ${n}`
  }
  return null
}

export interface Verdict {
  readonly kind: 'exact' | 'rebuilt' | 'refused' | 'WRONG'
  readonly batches: number
  readonly why: string
}

/** Opens the store, reads all of it, and says how it stands with what its checkpoint promises. */
export async function judge(provider: StoreProvider): Promise<Verdict> {
  let opened: Awaited<ReturnType<StoreProvider['open']>>
  try {
    opened = await provider.open(TASK, STORE, true)
  } catch (error) {
    return { kind: 'refused', batches: 0, why: `${(error as { code?: string }).code}: ${(error as Error).message}` }
  }
  const { store, rebuilt } = opened
  const batches = nextBatch(store)
  try {
    const wrong = await wrongContent(store)
    if (wrong !== null) return { kind: 'WRONG', batches, why: wrong }
    return { kind: rebuilt === null ? 'exact' : 'rebuilt', batches, why: rebuilt ?? '' }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code !== 'STREAM_STORE_DAMAGED') return { kind: 'WRONG', batches, why: `another error: ${code} ${message}` }
    return { kind: 'refused', batches, why: message }
  } finally {
    await store.close()
  }
}
