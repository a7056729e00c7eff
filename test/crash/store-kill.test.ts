// Stores and the death of processes: killed while writing, the machine started anew, the lock of a living one, a full disk.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { judge, STORE, TASK, type Verdict } from './store-model.ts'
import { child, run } from './store-process.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'

const KILLS = Number(process.env.MILLRACE_STORE_KILLS ?? runsOf(12, 50))
const FULL_DISKS = runsOf(1, 17)
const world = systemWorld()
const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

function freshDir(): string {
  const base = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
  cleanups.push(() => rmSync(base, { recursive: true, force: true }))
  return join(base, 'app')
}

describe('kill -9', () => {
  test(`${KILLS} kills while batches are applied: nothing acknowledged is lost, nothing is torn`, { timeout: 600_000 }, async () => {
    const dir = freshDir()
    let acknowledged = -1
    for (let kill = 0; kill < KILLS; kill++) {
      const applying = child(['apply', dir])
      await applying.first
      await world.timers.sleep(world.random.below(120))
      applying.process.kill('SIGKILL')
      expect((await applying.ended).signal).toBe('SIGKILL')
      expect(applying.lines.filter((line) => line.startsWith('rebuilt'))).toEqual([])
      const last = Number(applying.lines.at(-1))
      expect(last).toBeGreaterThan(acknowledged)
      acknowledged = last
      const verdict = await judge(levelProvider({ dir, world }))
      expect(verdict).toMatchObject({ kind: 'exact', why: '' })
      expect(verdict.batches).toBeGreaterThanOrEqual(acknowledged + 1)
    }
  })
})

describe('the boot of the machine', { timeout: 60_000 }, () => {
  const reopened = async (how: string, bootId: string): Promise<Verdict> => {
    const dir = freshDir()
    await run(['fill', dir, '3', 'boot-a', how])
    return await judge(levelProvider({ dir, world, bootId }))
  }
  test('another boot after a clean close: kept', async () => {
    expect(await reopened('clean', 'boot-b')).toEqual({ kind: 'exact', batches: 3, why: '' })
  })
  test('the same boot after a kill: kept', async () => {
    expect(await reopened('unclean', 'boot-a')).toEqual({ kind: 'exact', batches: 3, why: '' })
  })
  test('another boot after a kill: rebuilt', async () => {
    expect(await reopened('unclean', 'boot-b')).toEqual({
      kind: 'rebuilt',
      batches: 0,
      why: expect.stringMatching(/machine was started anew/),
    })
  })
  test('a write after a clean close makes it unclean again', async () => {
    const dir = freshDir()
    await run(['fill', dir, '3', 'boot-a', 'clean'])
    await run(['fill', dir, '4', 'boot-a', 'unclean'])
    expect(await judge(levelProvider({ dir, world, bootId: 'boot-b' }))).toMatchObject({ kind: 'rebuilt' })
  })
  test('a close that wrote nothing new makes a kill of before clean', async () => {
    const dir = freshDir()
    await run(['fill', dir, '3', 'boot-a', 'unclean'])
    expect(await judge(levelProvider({ dir, world, bootId: 'boot-a' }))).toMatchObject({ kind: 'exact' })
    expect(await judge(levelProvider({ dir, world, bootId: 'boot-b' }))).toEqual({ kind: 'exact', batches: 3, why: '' })
  })
})

describe('the lock', { timeout: 60_000 }, () => {
  const locked = expect.objectContaining({ code: 'STREAM_STATE_LOCKED' })

  test('a store of another process is refused, damaged or not, and not moved', async () => {
    const dir = freshDir()
    const holder = child(['hold', dir])
    try {
      expect(await holder.first).toBe('held')
      const provider = levelProvider({ dir, world })
      await expect(provider.open(TASK, STORE, true)).rejects.toThrow(locked)
      writeFileSync(join(dir, TASK, STORE, 'DAMAGED'), '')
      const before = readdirSync(join(dir, TASK, STORE)).sort()
      await expect(provider.open(TASK, STORE, true)).rejects.toThrow(locked)
      expect(readdirSync(join(dir, TASK))).toEqual([STORE])
      expect(readdirSync(join(dir, TASK, STORE)).sort()).toEqual(before)
    } finally {
      holder.process.kill('SIGKILL')
      await holder.ended
    }
    expect(await judge(levelProvider({ dir, world }))).toMatchObject({ kind: 'rebuilt' })
    expect(await judge(levelProvider({ dir, world }))).toMatchObject({ kind: 'exact', batches: 0 })
  })

  test('a store of this process too, until it is closed; it is not set aside under its holder', async () => {
    const dir = freshDir()
    const provider = levelProvider({ dir, world })
    const { store } = await provider.open(TASK, STORE, true)
    await expect(levelProvider({ dir, world }).open(TASK, STORE, true)).rejects.toThrow(locked)
    await expect(provider.setAside(TASK, STORE, 'too early')).rejects.toThrow(locked)
    await store.close()
    await provider.setAside(TASK, STORE, 'now')
    expect(readdirSync(join(dir, TASK))).toEqual([`${STORE}.damaged`])
    const again = await provider.open(TASK, STORE, true)
    await again.store.close()
  })
})

describe('directories', { timeout: 60_000 }, () => {
  test('are for the owner only; symbolic links are refused', async () => {
    const dir = freshDir()
    const provider = levelProvider({ dir, world })
    const { store } = await provider.open(TASK, STORE, true)
    await store.close()
    for (const path of [dir, join(dir, TASK), join(dir, TASK, STORE)]) expect(statSync(path).mode & 0o777, path).toBe(0o700)
    const outside = join(dir, '..', 'outside')
    mkdirSync(outside)
    symlinkSync(outside, join(dir, '0_9'))
    symlinkSync(outside, join(dir, TASK, 'linked'))
    await expect(provider.open('0_9', STORE, true)).rejects.toThrow(/symbolic link/)
    await expect(provider.open(TASK, 'linked', true)).rejects.toThrow(/symbolic link/)
    expect(readdirSync(outside)).toEqual([])
  })
})

interface FullReport {
  readonly acknowledged: number
  readonly errors: readonly string[]
  readonly damaged: string | null
}

/** What must hold after the disk took no more: one error, then refusals only, then a rebuild. */
function expectPoisoned(lines: readonly string[], why: RegExp): void {
  const report = JSON.parse(lines[0] as string) as FullReport
  expect(report.acknowledged).toBeGreaterThan(10)
  expect(report.errors).toEqual(Array(24).fill('STREAM_STORE_DAMAGED'))
  expect(report.damaged).toMatch(why)
  const { verdict } = JSON.parse(lines[1] as string) as { verdict: Verdict }
  expect(verdict).toMatchObject({ kind: 'rebuilt', batches: 0 })
}

describe('a disk that takes no more', () => {
  test('a file that may not grow: the first failed write is the last', { timeout: runsOf(60_000, 600_000) }, async () => {
    for (let i = 0; i < FULL_DISKS; i++) {
      // 512-byte blocks: 2 MB a file or less, which the write-ahead log reaches first. Node ignores the signal, so that the write fails.
      const { lines } = await run(['full', freshDir()], ['sh', '-c', `ulimit -f ${4096 - 101 * i}; exec "$@"`, 'sh'])
      expectPoisoned(lines, /a write failed: .*File too large/)
    }
    ran('12', FULL_DISKS)
  })

  test('no space left on a file system of 12 MB, then space again: never written again', {
    timeout: runsOf(60_000, 600_000),
  }, async (context) => {
    const base = join(freshDir(), '..')
    // In a mount namespace of its own: the file system goes with the process, however that ends.
    const mount = ['mount', '-t', 'tmpfs', '-o', 'size=12m', 'none', base]
    try {
      execFileSync('unshare', ['-Urm', ...mount], { stdio: 'pipe' })
    } catch (error) {
      console.warn(`skipped: a small file system can't be mounted here: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`)
      context.skip()
      return
    }
    for (let i = 0; i < FULL_DISKS; i++) {
      const script = `${mount.join(' ')} && head -c ${6_000_000 - 211_000 * i} /dev/zero > ${join(base, 'ballast')} && exec "$@"`
      const { lines } = await run(['full', join(base, 'app')], ['unshare', '-Urm', 'sh', '-c', script, 'sh'])
      expectPoisoned(lines, /a write failed: .*No space left on device/)
    }
    ran('12', FULL_DISKS)
  })
})
