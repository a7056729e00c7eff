// `init`: what it makes and what it refuses. That the project passes its test with the packed package is in test/package.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { spawnSync } from 'node:child_process'
import { millrace, node, root, type Scratch, scratch } from './binary.ts'

let place: Scratch
beforeEach(() => {
  place = scratch()
})
afterEach(() => place.remove())
const init = (...args: string[]) => millrace(['init', ...args], { cwd: place.folder })

test('the project that it makes: its files, its name, and its test passes with this very package', { timeout: 60_000 }, async () => {
  const made = await init('shop')
  expect(made).toMatchObject({ status: 0, err: '' })
  expect(made.out.split('\n').filter(Boolean)).toEqual([
    'shop/package.json',
    'shop/tsconfig.json',
    'shop/.gitignore',
    'shop/README.md',
    'shop/topologies/latest.ts',
    'shop/test/latest.test.ts',
    'next: cd shop && npm install && npm test',
  ])
  const folder = join(place.folder, 'shop')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  expect(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))).toMatchObject({
    name: 'shop',
    private: true,
    type: 'module',
    dependencies: { millrace: `^${version}` },
  })
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/millrace'))
  symlinkSync(join(root, 'node_modules/fast-check'), join(folder, 'node_modules/fast-check'))
  const tested = spawnSync(node, ['--test'], { cwd: folder, encoding: 'utf8' })
  expect(tested.status, tested.stdout).toBe(0)
  expect(tested.stdout).toMatch(/pass 1\b/)
  const described = await millrace(['describe', 'topologies/latest.ts'], { cwd: folder })
  expect(described).toMatchObject({ status: 0, out: expect.stringContaining('listed') })
})

test('an empty folder is taken, one that holds something is not; a name that npm would not take is refused', async () => {
  mkdirSync(join(place.folder, 'empty'))
  expect((await init('empty', '--name', 'other')).status).toBe(0)
  expect(readFileSync(join(place.folder, 'empty/topologies/latest.ts'), 'utf8')).toContain("topology('other'")
  const before = readdirSync(join(place.folder, 'empty'))
  const again = await init('empty')
  expect(again).toMatchObject({
    status: 2,
    out: '',
    err: 'millrace: empty is there already: name a folder that is not, or one that is empty\n',
  })
  expect(readdirSync(join(place.folder, 'empty'))).toEqual(before)
  place.write('file', 'x')
  expect((await init('file')).err).toMatch(/file is there already/)
  for (const name of ['_x', 'a/b', 'Ä']) {
    expect(await init('fresh', '--name', name), name).toMatchObject({
      status: 2,
      out: '',
      err: expect.stringMatching(/project name .* is not allowed/),
    })
  }
  expect(existsSync(join(place.folder, 'fresh'))).toBe(false)
})
