// Deterministic input for the benchmarks: versioned events of about 150 bytes as JSON, ids skewed, 10 % exact copies, 2 % deletes.

export interface Event {
  readonly topic: string
  readonly key: Buffer
  readonly value: Buffer
  readonly timestamp: number
}

export function xorshift(seed: number): (bound: number) => number {
  let state = seed | 0 || 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

const DESCRIPTION = 'a plain description of an ordinary thing, long'

export function versionedEvents(topic: string, count: number, ids: number, seed = 1): Event[] {
  const next = xorshift(seed)
  const versions = new Map<number, number>()
  const events: Event[] = []
  for (let i = 0; i < count; i++) {
    const copied = events.length > 1000 && next(10) === 0 ? events[events.length - 1 - next(1000)] : undefined
    if (copied !== undefined) {
      events.push({ ...copied, timestamp: 1_767_225_600_000 + i })
      continue
    }
    const u = next(1_000_000) / 1_000_000
    const id = Math.floor(ids * u * u)
    const version = (versions.get(id) ?? 0) + 1
    versions.set(id, version)
    const late = Math.max(1, version - next(4))
    const op = next(50) === 0 ? 'delete' : 'upsert'
    const value = {
      id: `p${id}`,
      version: late,
      op,
      name: `Product ${id}`,
      price: (id % 9973) + 0.5,
      currency: 'EUR',
      stock: next(1000),
      description: DESCRIPTION,
    }
    events.push({ topic, key: Buffer.from(`p${id}`), value: Buffer.from(JSON.stringify(value)), timestamp: 1_767_225_600_000 + i })
  }
  return events
}

/** As many distinct keys as events: every one is written. */
export function distinctEvents(topic: string, count: number): Event[] {
  return Array.from({ length: count }, (_, i) => {
    const value = {
      id: `p${i}`,
      version: 1,
      op: 'upsert',
      name: `Product ${i}`,
      price: 1.5,
      currency: 'EUR',
      stock: i % 1000,
      description: DESCRIPTION,
    }
    return { topic, key: Buffer.from(`p${i}`), value: Buffer.from(JSON.stringify(value)), timestamp: 1_767_225_600_000 + i }
  })
}
