// The words of the binary: help, version, what is misspelled, files that are no topologies, and the launcher under an older Node.
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COUNT, millrace, root, type Scratch, scratch, start } from './binary.ts'

let place: Scratch
beforeAll(() => {
  place = scratch()
})
afterAll(() => place.remove())

const refused = async (args: readonly string[], why: RegExp, status = 2): Promise<void> => {
  const ended = await millrace(args, { cwd: place.folder })
  expect(ended.err).toMatch(why)
  expect(ended.err.trim().split('\n'), ended.err).toHaveLength(1)
  expect(ended.err).toMatch(/^millrace: /)
  expect(ended).toMatchObject({ status, out: '' })
}

describe('words', () => {
  test('--version', async () =>
    expect(await millrace(['--version'])).toMatchObject({ status: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), err: '' }))
  test('every command has help with an example', async () => {
    const all = await millrace(['--help'])
    expect(all.status).toBe(0)
    const names = [...all.out.matchAll(/^ {2}([a-z-]+) .*[A-Z]/gm)].map((match) => match[1] as string).filter((name) => name !== 'help')
    expect(names).toEqual([
      'run',
      'dev',
      'try',
      'describe',
      'produce',
      'consume',
      'query',
      'dead-letter',
      'outbox',
      'reset',
      'verify',
      'top',
      'init',
      'completion',
    ])
    for (const name of names) {
      const help = await millrace([name, '--help'])
      expect(help.status).toBe(0)
      expect(help.out).toContain('Example')
      expect(help.out).toContain(`millrace ${name}`)
    }
  }, 60_000)
  test('nothing: the help, as misuse', async () =>
    expect(await millrace([])).toMatchObject({ status: 2, out: '', err: expect.stringContaining('Usage: millrace') }))
  test('a command', () => refused(['rnu'], /unknown command 'rnu' \(Did you mean run\?\)/))
  test('a flag', () => refused(['try', 'x.ts', '--partition', '2'], /unknown option '--partition' \(Did you mean --partitions\?\)/))
  test('too many words', () => refused(['describe', 'a.ts', 'b.ts'], /too many arguments/))
  test('a number', () => refused(['try', 'x.ts', '--partitions', '0'], /whole number from 1 to 1024/))
  test('a choice', () => refused(['describe', 'x.ts', '--format', 'pdf'], /Allowed choices are text, mermaid, svg, json/))
})

describe('files', () => {
  test('missing', () => refused(['describe', 'nowhere.ts'], /nowhere\.ts: there is no such file/))
  test('a folder', () => refused(['describe', '.'], /\.: it is no file/))
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['throws.ts', "throw new Error('the reason')", /throws\.ts: it throws when it is loaded: the reason/],
    ['syntax.ts', '\nexport default {{', /syntax\.ts: it throws when it is loaded: .*syntax\.ts:2\)$/m],
    ['null.ts', 'throw null', /null\.ts: it throws when it is loaded: null, which is no Error/],
    ['lines.ts', "throw new Error('one\\ntwo')", /lines\.ts: it throws when it is loaded: one two$/m],
    ['nothing.ts', 'const a = 1', /nothing\.ts: it exports nothing; end it with: export default topology/],
    ['named.ts', 'export const shop = 1', /named\.ts: it exports only shop; end it with/],
    ['other.ts', 'export default { name: 1 }', /other\.ts: its default export is an object, not a topology/],
    ['missing-import.ts', "import 'no-such-package'\nexport default 1", /no-such-package/],
    ['enum.ts', 'enum A { b }\nexport default A', /enum\.ts: it throws when it is loaded/],
    ['bad.ts', "import { topology } from 'millrace'\nexport default topology('no source', () => {})", /bad\.ts: .*name/],
  ]
  for (const [name, text, why] of cases) {
    test(name, async () => {
      place.write(name, text)
      await refused(['describe', name], why)
    })
  }
  test('--verbose shows where', async () => {
    place.write('throws.ts', "throw new Error('the reason')")
    const ended = await millrace(['describe', 'throws.ts', '--verbose'], { cwd: place.folder })
    expect(ended.err).toContain('throws.ts:1')
  })
  test('a .js file, a file in a folder without package.json, no warnings', async () => {
    place.write('deep/er/count.mjs', COUNT)
    place.write('deep/er/part.ts', COUNT)
    for (const name of ['deep/er/count.mjs', 'deep/er/part.ts']) {
      expect(await millrace(['try', name], { cwd: place.folder, input: '{"topic":"in","key":"a","value":"x"}' }), name).toMatchObject({
        status: 0,
        err: '',
      })
    }
  })
  for (const format of ['text', 'mermaid', 'svg', 'json']) {
    test(`describe as ${format}`, async () => {
      place.write('count.ts', COUNT)
      const ended = await millrace(['describe', 'count.ts', '--format', format], { cwd: place.folder })
      expect(ended).toMatchObject({ status: 0, err: '' })
      expect(ended.out).toContain('echoed')
    })
  }
})

describe('the launcher under an older Node', () => {
  const old = process.env.npm_node_execpath ?? '/usr/bin/node'
  const others = [old, '/usr/local/bin/node', '/usr/bin/node'].filter((path) => existsSync(path))
  const find = async (): Promise<string | null> => {
    for (const path of others) {
      const { out } = await start(['-p', 'process.versions.node'], { node: path, bin: '--no-warnings', input: '' }).ended
      if (Number(out.split('.')[0]) < 24) return path
    }
    return null
  }
  test('hands over, keeps the status and what comes in and out', async ({ skip }) => {
    const node = await find()
    if (node === null) {
      console.warn('skipped: no Node older than 24 is installed here')
      return skip()
    }
    place.write('count.ts', COUNT)
    const input = '{"topic":"in","key":"a","value":"x","timestamp":1}\nbad\n'
    const ended = await start(['try', `${place.folder}/count.ts`], { node, cwd: root, input }).ended
    expect(ended).toEqual({
      status: 2,
      signal: null,
      out: '{"topic":"out","key":"a","value":1,"timestamp":1}\n',
      err: 'millrace: line 2: not JSON\n',
    })
  })
  test('a signal goes through, and killing it takes the other along', async ({ skip }) => {
    const node = await find()
    if (node === null) {
      console.warn('skipped: no Node older than 24 is installed here')
      return skip()
    }
    place.write('slow.ts', `process.stderr.write(String(process.pid) + '\\n')\n${COUNT}`)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { child, ended } = start(['try', `${place.folder}/slow.ts`], { node })
      const inner = await new Promise<number>((resolve) => child.stderr?.once('data', (chunk: Buffer) => resolve(Number(chunk.toString()))))
      expect(inner).not.toBe(child.pid)
      child.kill(signal)
      expect((await ended).signal).toBe(signal)
      await expect.poll(() => alive(inner), { timeout: 5_000 }).toBe(false)
    }
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
