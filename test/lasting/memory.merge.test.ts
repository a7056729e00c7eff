// Memory over time: what a worker holds after a while of full load, and after many rebalances, is what it held early on.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const SECONDS = 30
const COMINGS = 120 // a rebalance for each that comes, and one for each that goes
const MIB = 1024 * 1024
/** More than noise in a heap of some 50 MiB. */
const GROWTH_BYTES_MAX = 4 * MIB
const run = promisify(execFile)

interface Look {
  readonly done: number
  readonly heapBytes: number
  readonly rssBytes: number
}

async function looksOf(mode: 'load' | 'moves', amount: number): Promise<Look[]> {
  const base = mkdtempSync(join(tmpdir(), 'millrace-lasting-'))
  try {
    const words = ['--expose-gc', fileURLToPath(new URL('working.ts', import.meta.url)), base, mode, String(amount)]
    const { stdout } = await run(process.execPath, words, { maxBuffer: 16 * MIB })
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Look)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number

/** The median of the second quarter of its looks, and of the last one: the first is for compiling, caches and pools to fill. */
function grown(looks: readonly Look[], of: 'heapBytes' | 'rssBytes'): { readonly early: number; readonly late: number } {
  const quarter = looks.length >> 2
  const part = (from: number): number => median(looks.slice(from, from + quarter).map((look) => look[of]))
  return { early: part(quarter), late: part(looks.length - quarter) }
}

test.each([
  ['load', SECONDS, `${SECONDS} s of full load`],
  ['moves', COMINGS, `${COMINGS} members that come and go`],
] as const)('%s: the heap of a worker stays as it is', { timeout: 600_000 }, async (mode, amount, what) => {
  const looks = await looksOf(mode, amount)
  expect(looks.length).toBeGreaterThan(12)
  const [heap, rss] = [grown(looks, 'heapBytes'), grown(looks, 'rssBytes')]
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1)
  console.info(
    `${what}, ${looks.at(-1)?.done} done: heap ${mib(heap.early)} MiB, then ${mib(heap.late)}; resident ${mib(rss.early)} MiB, then ${mib(rss.late)}`,
  )
  expect(heap.late - heap.early).toBeLessThan(GROWTH_BYTES_MAX)
})
