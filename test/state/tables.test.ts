// The table check against tables that LevelDB itself wrote: sound ones pass, any flipped bit is found.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { crc32c, maskedCrc32c } from '../../src/state/crc32c.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { liveTables } from '../../src/state/manifest.ts'
import { tableFault, tablesFault } from '../../src/state/tables.ts'

let base = ''
let path = ''
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'millrace-tables-'))
  const provider = levelProvider({ dir: base, world: systemWorld() })
  path = join(base, '0_0', 'counts')
  // Each reopen moves the write-ahead log into a table: small ones, with overwritten and deleted keys, until they are compacted.
  for (let round = 0; round < 6; round++) {
    const { store } = await provider.open('0_0', 'counts', true)
    const writes = Array.from({ length: 300 }, (_, i) => ({
      key: Buffer.from(`key-${(i * 7 + round * 50) % 700}`),
      value: i % 9 === 0 ? null : Buffer.alloc(20 + (i % 50), `${round}`),
      timestamp: i,
    }))
    await store.apply(writes, { changelogOffset: round })
    await store.close()
  }
})
afterAll(() => rm(base, { recursive: true, force: true }))

test('crc32c: the known answers, at any length and place', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8ab43)
  expect(crc32c(Buffer.from('xx123456789yy'), 2, 11)).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(0), 0, 0)).toBe(0)
  expect(maskedCrc32c(Buffer.from('foo'), 0, 3)).not.toBe(crc32c(Buffer.from('foo'), 0, 3))
})

test('the live tables are those that LevelDB keeps, with their sizes', async () => {
  const tables = await liveTables(path)
  const names = (await readdir(path)).filter((name) => name.endsWith('.ldb')).sort()
  expect(names.length).toBeGreaterThan(0) // how many is for the compaction in the background to say
  expect(tables?.map(({ number }) => `${String(number).padStart(6, '0')}.ldb`)).toEqual(names)
  for (const { number, bytes } of tables ?? [])
    expect((await readFile(join(path, `${String(number).padStart(6, '0')}.ldb`))).length).toBe(bytes)
  expect(await tablesFault(path)).toBeNull()
})

test('a table that no MANIFEST names is no fault: a kill leaves half-written ones behind', async () => {
  await writeFile(join(path, '999999.ldb'), 'half a tab')
  expect(await tablesFault(path)).toBeNull()
  await rm(join(path, '999999.ldb'))
})

test('every single flipped bit of a table is found, but in the padding of its footer; so is every cut', { timeout: 60_000 }, async () => {
  const name = (await readdir(path)).filter((one) => one.endsWith('.ldb')).sort()[0] as string
  const table = await readFile(join(path, name))
  expect(tableFault(table)).toBeNull()
  const missed = new Set<number>()
  for (let at = 0; at < table.length; at++) {
    // Every bit of the footer, one a byte elsewhere: a check of a table takes its time.
    for (const bit of at >= table.length - 60 ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8]) {
      table[at] = (table[at] as number) ^ (1 << bit)
      if (tableFault(table) === null) missed.add(at - table.length)
      table[at] = (table[at] as number) ^ (1 << bit)
    }
  }
  // The footer is 40 bytes for two handles, padded with bytes that mean nothing, and 8 of magic.
  for (const at of missed) expect(at).toBeGreaterThanOrEqual(-48 + 4)
  for (const at of missed) expect(at).toBeLessThan(-8)
  for (const bytes of [0, 1, 47, 48, 100, table.length - 1]) expect(tableFault(table.subarray(0, bytes)), `${bytes} bytes`).not.toBeNull()
})
