// A history for holding.ts, and what must hold of what comes out. A seed decides everything.
import { seeded } from '../support/seeded.ts'
import type { Bundle, Product } from './holding.ts'

export interface Entry<T> {
  readonly key: string
  readonly value: T
}

export interface History {
  readonly bundles: readonly Entry<Bundle>[]
  /** Out of order, some of them twice. */
  readonly products: readonly Entry<Product>[]
}

const VERSIONS = 3

export function bundlesOf(seed: number, size: { readonly bundles: number; readonly products: number; readonly keys: number }): History {
  const random = seeded(seed)
  const product = (): string => `p${random.below(size.products)}`
  const bundles = Array.from({ length: size.bundles }, (_, n) => ({
    key: `b${random.below(size.keys)}`,
    value: { n, products: Array.from({ length: random.below(4) }, () => ({ id: product(), version: 1 + random.below(VERSIONS) })) },
  }))
  const written = Array.from({ length: size.products * VERSIONS }, (_, i) => ({
    key: `p${i % size.products}`,
    value: { version: 1 + Math.floor(i / size.products) },
  }))
  return { bundles, products: random.shuffled([...written, ...written.filter(() => random.chance(0.2))]) }
}

/** What is wrong with what came out: lost, doubled, out of order, or before all of `products` that it needs were written. */
export function wrongOf(history: History, ready: readonly Entry<Bundle>[], productsWritten: number, whole: boolean): string[] {
  const there = new Map<string, number>()
  for (const { key, value } of history.products.slice(0, productsWritten)) there.set(key, Math.max(there.get(key) ?? 0, value.version))
  const found: string[] = []
  const last = new Map<string, number>()
  const seen = new Set<number>()
  for (const { key, value } of ready) {
    if (seen.has(value.n)) found.push(`bundle ${value.n} twice`)
    seen.add(value.n)
    if ((last.get(key) ?? -1) > value.n) found.push(`bundle ${value.n} of ${key} behind ${last.get(key)}`)
    last.set(key, value.n)
    for (const { id, version } of value.products)
      if ((there.get(id) ?? 0) < version) found.push(`bundle ${value.n} before version ${version} of ${id}`)
  }
  if (whole && seen.size !== history.bundles.length) found.push(`${seen.size} of ${history.bundles.length} bundles`)
  return found
}
