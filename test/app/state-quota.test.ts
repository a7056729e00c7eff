// A state that outgrows its quota ends the processor before the disk is full, and is whole when the quota is raised.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLog } from '../../src/app.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { StreamProcessor, string, topology } from '../../src/index.ts'
import { load } from '../support/run-worker.ts'

const TEXT = { key: string(), value: string() }
const kept = topology('kept', (t) => t.table('in', { ...TEXT, store: 'rows' }))
const RECORDS = 3_000
let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-quota-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

test('ends the processor by its code; nothing is lost', async () => {
  const world = systemWorld()
  const log = await openLog(resolveConfig('kept', { stateDir }), world)
  const input = Array.from({ length: RECORDS }, (_, i) => ({
    topic: 'in',
    key: Buffer.from(`k${i}`),
    value: Buffer.from(`${i} ${'x'.repeat(1_000)}`),
    timestamp: i,
  }))
  await load(log, input, 1)
  await log.close()

  const app = new StreamProcessor(kept, { stateDir, stateQuota: '1MiB' })
  await app.start()
  await expect(app.failed).rejects.toMatchObject({
    code: 'STREAM_QUOTA',
    disposition: 'stop',
    message: expect.stringMatching(/^the state of task 0_0 has \d+ bytes, over the stateQuota of 1048576: raise it/),
  })
  await app.close()

  await using again = new StreamProcessor(kept, { stateDir, stateQuota: '1GiB' })
  await again.start()
  await expect.poll(() => again.store<string, string>('rows').get(`k${RECORDS - 1}`), { timeout: 10_000 }).toMatch(/^2999 /)
  for (let i = 0; i < RECORDS; i += 100) expect(again.store<string, string>('rows').get(`k${i}`)).toMatch(new RegExp(`^${i} `))
})
