// What the LevelDB store decides by itself: rows it must not trust at an open, and what it does once LevelDB has failed.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { CHECKPOINT_KEY, writeCheckpoint } from '../../src/state/framing.ts'
import { type Database, levelStore } from '../../src/state/level-store.ts'
import { LEVEL_OPTIONS, levelProvider } from '../../src/state/leveldb.ts'
import type { Loader } from '../../src/state/store.ts'

const world = systemWorld()
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-level-'))
  cleanups.push(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Opens a store whose rows were written behind the provider's back. */
async function opened(rows: readonly (readonly [key: Buffer, value: Buffer])[]): Promise<{ rebuilt: string | null; names: string[] }> {
  const dir = await freshDir()
  const provider = levelProvider({ dir, world, bootId: 'boot-a' })
  await (await provider.open('0_0', 'counts', true)).store.close()
  const db = new Level<Buffer, Buffer>(join(dir, '0_0', 'counts'), { ...LEVEL_OPTIONS })
  for (const [key, value] of rows) await db.put(key, value)
  await db.close()
  const { store, rebuilt } = await provider.open('0_0', 'counts', true)
  expect(store.checkpoint()).toEqual(rebuilt === null && rows.length > 0 ? { changelogOffset: 7 } : null)
  await store.close()
  return { rebuilt, names: (await readdir(join(dir, '0_0'))).sort() }
}

describe('rows found at an open', () => {
  const checkpoint = writeCheckpoint({ changelogOffset: 7, clean: true, bootId: 'boot-a' })
  const row = [Buffer.from('a'), Buffer.from('not a frame')] as const

  test('none: an empty store, never written', async () => {
    expect(await opened([])).toEqual({ rebuilt: null, names: ['counts'] })
  })
  test('a sound checkpoint: kept', async () => {
    expect(await opened([[CHECKPOINT_KEY, checkpoint]])).toEqual({ rebuilt: null, names: ['counts'] })
  })
  test('data but no checkpoint: rebuilt', async () => {
    expect(await opened([row])).toEqual({ rebuilt: 'it has data but no checkpoint', names: ['counts', 'counts.damaged'] })
  })
  test('a checkpoint with a wrong checksum: rebuilt', async () => {
    const wrong = Buffer.from(checkpoint)
    wrong[8] = (wrong[8] as number) ^ 4
    expect(await opened([row, [CHECKPOINT_KEY, wrong]])).toMatchObject({ rebuilt: 'its checkpoint has a wrong checksum' })
  })
  test('a checkpoint of another format: rebuilt', async () => {
    const other = Buffer.from(checkpoint)
    other[4] = 9
    expect(await opened([[CHECKPOINT_KEY, other]])).toMatchObject({ rebuilt: 'its checkpoint has a wrong checksum' })
  })
})

describe('after LevelDB failed', () => {
  const damaged = expect.objectContaining({ code: 'STREAM_STORE_DAMAGED', disposition: 'rebuild' })

  /** A LevelDB that fails where it is told to, and counts what reaches it. */
  function failing(fail: { write?: boolean; read?: boolean }): { db: Database; seen: { writes: number; closed: boolean } } {
    const seen = { writes: 0, closed: false }
    const error = Object.assign(new Error('IO error: disk on fire'), { code: 'LEVEL_IO_ERROR' })
    const db = {
      batch: () => ({
        _put() {},
        _del() {},
        _clear() {},
        async _write() {
          seen.writes++
          if (fail.write === true && seen.writes === 1) throw error
        },
        async close() {},
      }),
      getSync() {
        if (fail.read === true) throw error
      },
      async getMany(keys: readonly Buffer[]) {
        if (fail.read === true) throw error
        return keys.map(() => undefined)
      },
      async close() {
        seen.closed = true
      },
    }
    return { db: db as unknown as Database, seen }
  }

  const storeOn = async (db: Database): Promise<ReturnType<typeof levelStore>> =>
    levelStore({
      name: 's',
      path: await freshDir(),
      db,
      checkpoint: { changelogOffset: 1 },
      clean: false,
      bootId: '',
      world,
      onClosed() {},
    })

  test('a failed write: those that wait behind it, those after it and the close write nothing', async () => {
    const { db, seen } = failing({ write: true })
    const store = await storeOn(db)
    const applies = [1, 2, 3].map((n) => store.apply([], { changelogOffset: n }))
    for (const done of await Promise.allSettled(applies)) expect(done).toEqual({ status: 'rejected', reason: damaged })
    await expect(store.apply([], { changelogOffset: 4 })).rejects.toThrow(damaged)
    expect(store.damaged).toMatch(/a write failed: IO error: disk on fire/)
    await store.close()
    expect(seen).toEqual({ writes: 1, closed: true })
  })

  test('the same of what is loaded', async () => {
    const { db, seen } = failing({ write: true })
    const store = await storeOn(db)
    const loader = store.loader?.() as Loader
    const key = Buffer.from('k')
    const applies = [2, 3].map((changelogOffset) => {
      loader.put(key, 0, 1, key, 0, 1, 1)
      return loader.apply({ changelogOffset })
    })
    for (const done of await Promise.allSettled(applies)) expect(done).toEqual({ status: 'rejected', reason: damaged })
    await expect(loader.apply({ changelogOffset: 4 })).rejects.toThrow(damaged)
    await loader.close()
    expect(() => store.loader?.()).toThrow(damaged)
    expect(store.damaged).toMatch(/a write failed: IO error: disk on fire/)
    await store.close()
    expect(seen).toEqual({ writes: 1, closed: true })
  })

  test('a failed read, of one key or of many: no further write', async () => {
    for (const read of ['getSync', 'getMany'] as const) {
      const { db, seen } = failing({ read: true })
      const store = await storeOn(db)
      const attempt = async (): Promise<unknown> =>
        read === 'getSync' ? store.getSync(Buffer.from('a')) : await store.getMany([Buffer.from('a')])
      await expect(attempt()).rejects.toThrow(damaged)
      await expect(store.apply([], { changelogOffset: 2 })).rejects.toThrow(damaged)
      await store.close()
      expect(seen).toEqual({ writes: 0, closed: true })
    }
  })

  test('no failure: the close marks the store as clean with one write', async () => {
    const { db, seen } = failing({})
    const store = await storeOn(db)
    await Promise.all([store.close(), store.close()])
    expect(seen).toEqual({ writes: 1, closed: true })
  })
})
