// Any history of transactions that commit or roll back, written before, between and while relays run that die or lose answers at any step: each
// committed row is relayed once, those of a key in the order of their commits.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteSource } from '../../src/outbox/sqlite.ts'
import { tableName } from '../../src/outbox/table.ts'
import { runsOf } from '../support/tier.ts'
import { faultyLog, hastyWorld, recordsOf, relayOf } from './relayed.ts'
import { openShop } from './shop.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const transaction = fc.record({
  keys: fc.array(fc.constantFrom('a', 'b', 'c', null), { minLength: 1, maxLength: 4 }),
  commit: fc.constantFrom(true, true, true, false),
})
const fault = fc.record({
  step: fc.nat({ max: 40 }),
  when: fc.constantFrom('before' as const, 'after' as const),
  how: fc.constantFrom('die' as const, 'doubt' as const),
})
const round = fc.record({
  before: fc.array(transaction, { maxLength: 5 }),
  /** At which step of the relay. */
  meanwhile: fc.array(fc.tuple(fc.nat({ max: 30 }), transaction), { maxLength: 4 }),
  faults: fc.array(fault, { maxLength: 3 }),
  /** Rows at a time. */
  rowsPerSecond: fc.constantFrom(10, 20, 30, 1_000_000),
  /** Rows that were relayed are cleaned away. */
  clean: fc.boolean(),
})

// One file for all cases: to make one costs more than a case does.
const shop = openShop(join(folder, 'shop.db'))
afterAll(() => shop.close())

test('each row once, in the order of its key', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 5 }), async (rounds) => {
      shop.database.exec('DELETE FROM outbox; DELETE FROM sqlite_sequence')
      const world = hastyWorld()
      const log = memoryLog(world)
      const written: { key: string | null; value: string }[] = []
      const write = ({ keys, commit }: { keys: readonly (string | null)[]; commit: boolean }): void => {
        const rows = keys.map((key, i) => ({ topic: 'orders', key, value: `${written.length + i}` }))
        shop.place(rows, commit)
        if (commit) written.push(...rows.map(({ key, value }) => ({ key, value })))
      }
      try {
        for (const { before, meanwhile, faults, rowsPerSecond, clean } of [...rounds, LAST]) {
          for (const one of before) write(one)
          const client = log.another()
          const faulty = faultyLog(client, faults, (step) => {
            for (const [at, one] of meanwhile) if (at === step) write(one)
          })
          const source = sqliteSource({ file: shop.file, table: tableName('outbox'), topic: null, world })
          await relayOf(faulty, source, { world, rowsPerSecond }).ended.catch((error: unknown) => {
            if (!faults.some(({ how }) => how === 'die')) throw error
          })
          if (clean) await cleanUp(log)
        }
        const found = (await recordsOf(log, 'orders'))
          .flat()
          .map(({ key, value }) => ({ key: key?.toString() ?? null, value: String(value) }))
        const numbers = (of: readonly { value: string }[]): number[] => of.map(({ value }) => Number(value))
        expect(numbers(found).sort((a, b) => a - b)).toEqual(numbers(written))
        for (const name of ['a', 'b', 'c'])
          expect(numbers(found.filter(({ key }) => key === name))).toEqual(numbers(written.filter(({ key }) => key === name)))
      } finally {
        await log.close()
      }
    }),
    { numRuns: runsOf(100, 2_000), endOnFailure: false, interruptAfterTimeLimit: 30_000 },
  )
})

const LAST = { before: [], meanwhile: [], faults: [], rowsPerSecond: 1_000_000, clean: false }

/** As an application would: what stands in the position is done with. */
async function cleanUp(log: Parameters<typeof recordsOf>[0]): Promise<void> {
  const rows = (await recordsOf(log, 'outbox-position')).flat()
  const last = rows.at(-1)
  if (last === undefined) return
  const { position } = JSON.parse(String(last.value)) as { position: string | null }
  if (position !== null) shop.database.prepare('DELETE FROM outbox WHERE id <= ?').run(Number(position))
}
