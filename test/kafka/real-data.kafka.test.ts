import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { runRealData } from './real-data.ts'
import { KAFKA } from './running.ts'

const DATA = fileURLToPath(new URL('../../../shared/data', import.meta.url))
const there = existsSync(DATA)
if (KAFKA && !there) console.warn(`SKIPPED: the catalog on real data: ${DATA} is not here`)

describe.skipIf(!KAFKA || !there)('real data on a real Kafka', () => {
  test('two processes, one killed and started again: the catalog is the oracle’s, each version of a row once', {
    timeout: 360_000,
  }, async () => {
    const { wrong, ...figures } = await runRealData(DATA, 1, (text) => console.log(text))
    console.log(JSON.stringify(figures))
    expect(wrong.slice(0, 10)).toEqual([])
    expect(figures.rows).toBeGreaterThan(10_000)
    expect(figures.backlogAtKill).toBeGreaterThan(0)
  })
})
