// `millrace reset` on the embedded log: what it shows, what it takes away, what it leaves, and what it refuses.
import { existsSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { COUNT, millrace } from './binary.ts'
import { oneRun } from './running.ts'

const app = oneRun((place) => place.write('count.ts', COUNT))
const input = ['a', 'b', 'a'].map((key) => `{"topic":"in","key":"${key}","value":"x","timestamp":1}\n`).join('')
const reset = (...flags: string[]) => millrace(['reset', app.file, '--state-dir', app.state, ...flags])
const counted = async (topic: string): Promise<number> => {
  const { status, out, err } = await millrace(['consume', topic, '--state-dir', app.state])
  expect(status, err).toBe(0)
  return out.split('\n').filter(Boolean).length
}
async function runUntil(outputs: number): Promise<void> {
  // Not before: a `consume` that reads the log by itself would hold it just when `run` wants it.
  await app.run()
  await expect.poll(() => counted('out'), { timeout: 20_000 }).toBe(outputs)
}

test('after it the input is processed again, from an empty store; outputs stay; a dry run changes nothing', async () => {
  const { file, state } = app
  expect((await millrace(['produce', '--state-dir', state, '--topology', file], { input })).status).toBe(0)
  await runUntil(3)
  const busy = await reset()
  expect(busy).toMatchObject({ status: 2, out: '' })
  expect(busy.err).toMatch(/^millrace: .*in use by process \d+; stop it first[^\n]*\n$/)
  await app.stop()

  const dry = await reset('--dry-run')
  expect(dry).toMatchObject({ status: 0, err: '' })
  expect(dry.out).toMatch(/^offset {3}in-\d: \d -> 0$/m)
  expect(dry.out).toMatch(/^topic {4}count-counts-changelog: deleted$/m)
  expect(dry.out).toMatch(/dry run: nothing was changed\n$/)
  expect(existsSync(join(state, 'count'))).toBe(true)
  expect(JSON.parse((await reset('--dry-run', '--json')).out)).toMatchObject({ dryRun: true, topics: ['count-counts-changelog'] })

  const done = JSON.parse((await reset('--json')).out)
  expect(done.dryRun).toBe(false)
  expect(done.offsets.filter(({ from }: { from: number | null }) => from !== null).every(({ to }: { to: number }) => to === 0)).toBe(true)
  expect(existsSync(join(state, 'count'))).toBe(false)
  expect((await millrace(['consume', 'count-counts-changelog', '--state-dir', state])).status).toBe(2)
  expect(await counted('out')).toBe(3)
  expect((await reset()).out).toBe('nothing to reset\n')

  await runUntil(6)
  const { out } = await millrace(['query', 'counts', 'a', '--state-dir', state])
  expect(out).toBe('2\n') // not 4
  await app.stop()
}, 120_000)

test('refusals are one line and status 2, and make nothing', async () => {
  const { file, place, state } = app
  const nothing = await reset()
  expect(nothing).toMatchObject({
    status: 2,
    out: '',
    err: expect.stringMatching(/^millrace: state directory .* holds no embedded log[^\n]*\n$/),
  })
  expect(existsSync(state)).toBe(false)
  expect(await millrace(['reset', 'nowhere.ts', '--state-dir', state])).toMatchObject({
    status: 2,
    err: expect.stringMatching(/^millrace: nowhere\.ts: there is no such file/),
  })
  expect(await reset('--dry')).toMatchObject({ status: 2, err: expect.stringMatching(/^millrace: unknown option '--dry'/) })
  expect((await millrace(['reset', '--help'])).out).toContain('--dry-run')
  expect((await millrace(['produce', '--state-dir', state, '--topology', file], { input })).status).toBe(0)
  symlinkSync(place.folder, join(state, 'count'))
  expect(await reset()).toMatchObject({ status: 2, err: expect.stringMatching(/is a link or a file/) })
  expect(readdirSync(place.folder)).toContain('count.ts')
}, 60_000)
