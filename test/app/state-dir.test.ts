import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openStateDir } from '../../src/app/state-dir.ts'
import { systemWorld } from '../../src/base/system.ts'

const base = mkdtempSync(join(tmpdir(), 'millrace-state-dir-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

test('a state directory is made with what is above it, for its owner alone, and keeps its process id', () => {
  const path = join(base, 'a', 'b')
  const first = openStateDir(path, 'app', systemWorld())
  expect(statSync(first.stores).mode & 0o777).toBe(0o700)
  expect(openStateDir(path, 'app', systemWorld()).processId).toBe(first.processId)
})

test.skipIf(!existsSync('/proc/self'))('a place that takes no directories is refused by name, and at once', () => {
  expect(() => openStateDir('/proc/nope/deeper', 'app', systemWorld())).toThrow(/\/proc\/nope\/deeper can't be used/)
})
