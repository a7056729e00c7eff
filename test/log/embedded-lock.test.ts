// One process at a time, and nothing that a dead process leaves behind keeps the next one out.
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { refusal, waitFor } from '../contract/log/steps.ts'
import { type Child, child, withDirectory, withLog, world } from './directories.ts'

async function holder(dir: string): Promise<Child> {
  const started = child('holder.ts', [dir])
  await waitFor('the other process answers', () => started.lines.length > 0)
  return started
}

describe('the lock of the embedded log', { timeout: 60_000 }, () => {
  it('turns a second process away, naming the first, until it ends', async () => {
    await withDirectory(async (dir) => {
      const first = await holder(dir)
      expect(first.lines).toEqual(['open'])
      const error = await refusal('STREAM_STATE_LOCKED', () => openEmbeddedLog({ dir, world }))
      expect(error.message).toContain(`process ${first.process.pid}`)
      const second = await holder(dir)
      expect(second.lines[0]).toMatch(/^STREAM_STATE_LOCKED /)
      expect(second.lines[0]).toContain(`process ${first.process.pid}`)
      await second.ended
      first.process.stdin?.end()
      await first.ended
      expect(first.lines).toEqual(['open', 'closed'])
      await withLog(dir, async (log) => expect(await log.topicNames()).toEqual([]))
    })
  })

  it('turns a second opening of the same process away', async () => {
    await withDirectory(async (dir) => {
      await withLog(dir, async () => {
        const error = await refusal('STREAM_STATE_LOCKED', () => openEmbeddedLog({ dir, world }))
        expect(error.message).toContain(`process ${process.pid}`)
      })
    })
  })

  it('is gone with a killed process', async () => {
    await withDirectory(async (dir) => {
      const first = await holder(dir)
      first.process.kill('SIGKILL')
      await first.ended
      expect(JSON.parse(readFileSync(join(dir, 'owner.json'), 'utf8'))).toMatchObject({ pid: first.process.pid })
      await withLog(dir, async (log) => expect(await log.topicNames()).toEqual([]))
    })
  })

  it('is not held by a pid that another process has now, another boot, this process itself, or a file that is not whole', async () => {
    await withDirectory(async (dir) => {
      const self = (await withLog(dir, async () => JSON.parse(readFileSync(join(dir, 'owner.json'), 'utf8')))) as object
      const parent = { ...self, pid: process.ppid }
      for (const left of [self, { ...parent, startTime: '1' }, { ...parent, bootId: 'another' }, { pid: process.ppid }, 'torn']) {
        writeFileSync(join(dir, 'owner.json'), left === 'torn' ? '{"pid":' : JSON.stringify(left))
        await withLog(dir, async (log) => expect(await log.topicNames()).toEqual([]))
      }
    })
  })

  it('holds even when the file that names the owner is lost', async () => {
    await withDirectory(async (dir) => {
      const first = await holder(dir)
      writeFileSync(join(dir, 'owner.json'), '')
      const error = await refusal('STREAM_STATE_LOCKED', () => openEmbeddedLog({ dir, world }))
      expect(error.message).toContain('another process')
      first.process.stdin?.end()
      await first.ended
    })
  })

  it('keeps the directory and its own files to the owner', async () => {
    await withDirectory(async (dir) => {
      mkdirSync(dir)
      chmodSync(dir, 0o755)
      await withLog(dir, async () => {
        expect(statSync(dir).mode & 0o777).toBe(0o700)
        for (const file of ['owner.json', 'mark']) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600)
      })
    })
  })
})
