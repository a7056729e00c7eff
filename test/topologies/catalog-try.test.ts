// The catalog through `millrace try`: crash lines anywhere change nothing of what comes out.
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { CatalogRow } from '../../topologies/catalog.ts'
import { deliver, historyOf } from '../support/catalog-history.ts'
import { catalogOf, differences } from '../support/catalog-oracle.ts'
import { goneBack, repeated, tableOf } from '../support/catalog-outputs.ts'
import { seeded } from '../support/seeded.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

async function tried(lines: readonly string[], ...flags: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ['bin/millrace.js', 'try', 'topologies/catalog.ts', ...flags], { cwd: root })
  child.stdin.end(`${lines.join('\n')}\n`)
  const [out, errors, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ])
  expect({ code, errors }).toEqual({ code: 0, errors: '' })
  return out
}

test('{"crash":true} and {"commit":true} anywhere: the same output lines, and the oracle’s table', { timeout: 60_000 }, async () => {
  const history = historyOf({ categories: 8, brands: 3, channels: 3, products: 20, edits: 300 }, 11)
  const { events } = deliver(history, { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 }, 12)
  const plain = events.map(({ topic, key, value, timestamp }) => JSON.stringify({ topic, key, value, timestamp }))
  for (const seed of [1, 2]) {
    const random = seeded(seed)
    const interrupted = plain.flatMap((line) => [
      line,
      ...(random.chance(0.03) ? ['{"crash":true}'] : []),
      ...(random.chance(0.03) ? ['{"commit":true}'] : []),
    ])
    expect(interrupted.length).toBeGreaterThan(plain.length + 10)
    const partitions = ['--partitions', String(1 + random.below(4))]
    const [calm, crashed] = await Promise.all([tried(plain, ...partitions), tried(interrupted, ...partitions)])
    expect(crashed).toBe(calm)
    const outputs = calm.trimEnd().split('\n')
    const rows = outputs.map((line) => JSON.parse(line) as { topic: string; key: string; value: CatalogRow | null })
    expect(rows.every(({ topic }) => topic === 'catalog')).toBe(true)
    expect(differences(tableOf(rows), catalogOf(history))).toEqual([])
    expect([...goneBack(rows), ...repeated(rows)]).toEqual([])
  }
})
