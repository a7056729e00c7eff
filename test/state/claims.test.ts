// Providers of one process that share folders: a store is open in one of them only, and free again when it is closed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Claimed } from '../../src/app/threads/claims.ts'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import type { StoreProvider } from '../../src/state/store.ts'

const world = systemWorld()
let dir: string
let asked: string[]
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-claims-'))
  asked = []
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Of a process whose other threads hold what `claimed` says. */
function providerOf(claimed: Claimed, worker: number): StoreProvider {
  const take = async (name: string): Promise<boolean> => {
    asked.push(name)
    return claimed.take(name, worker)
  }
  return levelProvider({ dir, world, claims: { take, give: (name) => claimed.give(name, worker) } })
}

test('a store that another worker has open is not touched; it is free when that one has closed it', async () => {
  const claimed = new Claimed()
  const path = join(dir, '0_1', 'counts')
  const mine = providerOf(claimed, 0)
  const { store } = await mine.open('0_1', 'counts', true)
  await store.apply([{ key: Buffer.from('a'), value: Buffer.from('1'), timestamp: 1 }], { changelogOffset: 1 })
  expect(claimed.take(path, 1)).toBe(false)
  await store.close()
  expect(claimed.take(path, 1)).toBe(true)

  const refused = await mine.open('0_1', 'counts', true).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'STREAM_STATE_LOCKED', disposition: 'retry' })
  await expect(mine.setAside('0_1', 'counts', 'for no reason')).rejects.toMatchObject({ disposition: 'retry' })
  claimed.give(path, 0) // not its own
  await expect(mine.open('0_1', 'counts', true)).rejects.toMatchObject({ code: 'STREAM_STATE_LOCKED' })

  claimed.give(path, 1)
  const again = await mine.open('0_1', 'counts', true)
  expect(again.rebuilt).toBeNull()
  expect(again.store.getSync(Buffer.from('a'))?.value.toString()).toBe('1')
  await again.store.close()
  expect(new Set(asked)).toEqual(new Set([path]))
})

test('a store that could not be opened, and one that was set aside, are free again', async () => {
  const claimed = new Claimed()
  const provider = providerOf(claimed, 0)
  const { store } = await provider.open('0_1', 'counts', true)
  await expect(provider.open('0_1', 'counts', true)).rejects.toMatchObject({ code: 'STREAM_STATE_LOCKED' })
  expect(claimed.take(join(dir, '0_1', 'counts'), 1), 'still its own').toBe(false)
  await store.close()
  await provider.setAside('0_1', 'counts', 'for a test')
  expect(claimed.take(join(dir, '0_1', 'counts'), 1)).toBe(true)
})
