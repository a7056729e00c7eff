// The demo itself, small: it ends well, leaves nothing behind, also when it is interrupted, and can say no.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { deliveryOf } from '../../scripts/demo/delivery.ts'
import { figuresOf, table, verdict } from '../../scripts/demo/report.ts'
import { catalogOf } from '../support/catalog-oracle.ts'
import type { CatalogOutput } from '../support/catalog-outputs.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

function demo(...flags: string[]) {
  const temporary = mkdtempSync(join(tmpdir(), 'millrace-demo-test-'))
  cleanups.push(() => rmSync(temporary, { recursive: true, force: true }))
  const child = spawn(process.execPath, ['scripts/demo.ts', ...flags], { cwd: root, env: { ...process.env, TMPDIR: temporary } })
  const ended = Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>((resolve) => child.on('close', resolve))])
  return { temporary, child, ended: ended.then(([out, errors, code]) => ({ out, errors, code })) }
}

const running = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a small demo: yes, status 0, nothing left behind', { timeout: 60_000 }, async () => {
  const { temporary, ended } = demo('--products', '60', '--edits', '400', '--kills', '1')
  const { out, errors, code } = await ended
  expect({ code, errors }, out).toEqual({ code: 0, errors: '' })
  expect(out).toMatch(/catalog equals the oracle: yes\n$/)
  expect(out).toMatch(/kills \(SIGKILL\) +1\n/)
  const [pid = 0] = [...out.matchAll(/SIGKILL to process (\d+)/g)].map((match) => Number(match[1]))
  expect(pid).toBeGreaterThan(1)
  expect(running(pid)).toBe(false)
  expect(readdirSync(temporary)).toEqual([])
})

test('interrupted while a processor runs: its processes end and its directory goes', { timeout: 60_000 }, async () => {
  const { temporary, child, ended } = demo('--products', '60', '--edits', '400', '--kills', '3')
  await new Promise<void>((resolve) => child.stdout.on('data', (bytes: Buffer) => void (bytes.includes('kill 1') && resolve())))
  child.kill('SIGINT')
  expect((await ended).code).toBe(130)
  expect(readdirSync(temporary)).toEqual([])
})

test('a bad number is refused', async () => {
  expect(await demo('--kills', 'many').ended).toEqual({ code: 2, errors: 'demo: many is no whole number\n', out: '' })
})

test('a table that is not the oracle’s: no, with the first differences', () => {
  const delivery = deliveryOf({ products: 30, edits: 200 }, 3)
  const expected = catalogOf(delivery.events)
  const outputs = [...expected].map(([key, value]): CatalogOutput => ({ key, value }))
  expect(verdict(outputs, expected)).toEqual({ equal: true, text: 'catalog equals the oracle: yes' })
  const { equal, text: said } = verdict(outputs.slice(8), expected)
  expect(equal).toBe(false)
  expect(said.split('\n')[0]).toBe('catalog equals the oracle: no')
  expect(said.match(/: is no row, should be \{/g)).toHaveLength(5)
  expect(said).toMatch(/and 3 more$/)
  const first = outputs[0] as CatalogOutput
  const older = { ...first, value: { ...first.value, versions: { ...first.value?.versions, product: 0 } } } as CatalogOutput
  expect(verdict([first, older, ...outputs], expected).text).toMatch(/product version 0 after/)
  expect(table(figuresOf(delivery, { outputs, restarts: 2, sentAgain: 7 }, 2))).toMatch(/sent again after a kill +7\n/)
})
