// What LevelDB lets pass, ours must not: each damage to a store at rest is found at the open (set aside, empty, to be restored) or
// harmless (exactly what the checkpoint promises). Never a wrong answer, never an abort.
import {
  closeSync,
  cpSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silent } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { applyBatch, judge, nextBatch, STORE, TASK, type Verdict } from './store-model.ts'
import { run } from './store-process.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'

const BATCHES = 300
const FLIPS = Number(process.env.MILLRACE_STORE_FLIPS ?? runsOf(60, 300))
const CUTS = runsOf(8, 50)
const FLIP_SEED = Number(process.env.MILLRACE_STORE_FLIP_SEED ?? 1)
const world = systemWorld(silent)

let base = ''
let pristine = ''
let copies = 0
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'millrace-damage-'))
  pristine = join(base, 'pristine')
  const { lines } = await run(['fill', pristine, `${BATCHES}`, 'boot-a', 'unclean'])
  expect(lines).toEqual(['filled'])
}, 60_000)
afterAll(() => rmSync(base, { recursive: true, force: true }))

interface Copy {
  readonly dir: string
  readonly path: string
  file(pattern: RegExp): string
}

function copyOf(dir: string): Copy {
  const copy = join(base, `copy-${copies++}`)
  cpSync(dir, copy, { recursive: true })
  const path = join(copy, TASK, STORE)
  const file = (pattern: RegExp): string => {
    const name = readdirSync(path).find((one) => pattern.test(one))
    if (name === undefined) throw new Error(`no ${pattern} among ${readdirSync(path).join(' ')}`)
    return join(path, name)
  }
  return { dir: copy, path, file }
}

const truncate = (file: string, bytes: number): void => {
  const open = openSync(file, 'r+')
  ftruncateSync(open, bytes)
  closeSync(open)
}

const flip = (file: string, at: number, bit = 0): void => {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] as number) ^ (1 << bit)
  writeFileSync(file, bytes)
}

const judged = (copy: Copy): Promise<Verdict> => judge(levelProvider({ dir: copy.dir, world, bootId: 'boot-a' }))

async function expectRebuilt(copy: Copy, why: RegExp): Promise<void> {
  expect(await judged(copy)).toEqual({ kind: 'rebuilt', batches: 0, why: expect.stringMatching(why) })
  expect(readdirSync(join(copy.dir, TASK)).sort()).toEqual([STORE, `${STORE}.damaged`])
  // The new store is a sound one: it takes writes and comes back.
  const provider = levelProvider({ dir: copy.dir, world, bootId: 'boot-a' })
  const { store } = await provider.open(TASK, STORE, true)
  await applyBatch(store, 0)
  await store.close()
  expect(await judge(provider)).toEqual({ kind: 'exact', batches: 1, why: '' })
}

describe('a store at rest', { timeout: runsOf(60_000, 300_000) }, () => {
  test('unharmed after a kill: everything acknowledged is there', async () => {
    expect(await judged(copyOf(pristine))).toEqual({ kind: 'exact', batches: BATCHES, why: '' })
  })

  const damages: readonly (readonly [what: string, why: RegExp, damage: (copy: Copy) => void])[] = [
    ['CURRENT deleted', /can't open it.*does not exist/, (copy) => unlinkSync(copy.file(/^CURRENT$/))],
    ['CURRENT empty', /can't open it.*CURRENT/, (copy) => truncate(copy.file(/^CURRENT$/), 0)],
    ['CURRENT naming another MANIFEST', /can't open it/, (copy) => writeFileSync(copy.file(/^CURRENT$/), 'MANIFEST-000099\n')],
    ['MANIFEST missing', /can't open it/, (copy) => unlinkSync(copy.file(/^MANIFEST/))],
    ['MANIFEST empty', /can't open it/, (copy) => truncate(copy.file(/^MANIFEST/), 0)],
    ['MANIFEST truncated in its first record', /can't open it/, (copy) => truncate(copy.file(/^MANIFEST/), 20)],
    ['MANIFEST with a flipped bit', /can't open it.*Corruption|can't open it.*CORRUPTION/, (copy) => flip(copy.file(/^MANIFEST/), 30)],
    ['a table missing', /can't open it.*missing/, (copy) => unlinkSync(copy.file(/\.ldb$/))],
    ['a table of length 0', /table .* has 0 bytes/, (copy) => truncate(copy.file(/\.ldb$/), 0)],
    ['a table cut in half', /table .* has \d+ bytes, not/, (copy) => truncate(copy.file(/\.ldb$/), 1_000_000)],
    ['a flipped bit in a table', /table .* wrong checksum at byte/, (copy) => flip(copy.file(/\.ldb$/), 123_456, 5)],
    ["a flipped bit in a table's first key", /table .* wrong checksum at byte 0/, (copy) => flip(copy.file(/\.ldb$/), 12)],
    [
      "a flipped bit in a table's footer",
      /table .* damaged/,
      (copy) => flip(copy.file(/\.ldb$/), statSync(copy.file(/\.ldb$/)).size - 47, 2),
    ],
    ['a flipped byte in the write-ahead log', /LevelDB dropped writes/, (copy) => flip(copy.file(/\.log$/), 50_000, 3)],
    ['a mark of an earlier error', /an earlier call failed/, (copy) => writeFileSync(join(copy.path, 'DAMAGED'), '')],
    [
      'a LOG that says an earlier open dropped writes',
      /LevelDB dropped/,
      (copy) => writeFileSync(join(copy.path, 'LOG'), 'x (ignoring error) y: dropping 32768 bytes\n'),
    ],
  ]
  for (const [what, why, damage] of damages) {
    test(`${what}: rebuilt`, async () => {
      const copy = copyOf(pristine)
      damage(copy)
      await expectRebuilt(copy, why)
    })
  }

  test('the write-ahead log torn at any byte: an earlier checkpoint, and exactly its content', async () => {
    const size = statSync(copyOf(pristine).file(/\.log$/)).size
    let shorter = 0
    const cuts = [1, 7, 100, 5_000, 33_000, 200_000, size - 3, size]
    while (cuts.length < CUTS) cuts.push(1 + world.random.below(size))
    for (const cut of cuts) {
      const copy = copyOf(pristine)
      truncate(copy.file(/\.log$/), size - cut)
      const verdict = await judged(copy)
      expect(verdict, `cut ${cut}`).toMatchObject({ kind: 'exact' })
      if (verdict.batches < BATCHES) shorter++
    }
    expect(shorter).toBe(CUTS)
    ran('14', cuts.length)
  })

  test('the write-ahead log missing: what the tables hold, at their checkpoint', async () => {
    const copy = copyOf(pristine)
    unlinkSync(copy.file(/\.log$/))
    const verdict = await judged(copy)
    expect(verdict.kind).toBe('exact')
    expect(verdict.batches).toBeGreaterThan(50)
    expect(verdict.batches).toBeLessThan(BATCHES)
  })

  test(`${FLIPS} random bit flips: each one found or harmless, no abort`, { timeout: 600_000 }, async () => {
    const { lines, code, signal } = await run(['flip', pristine, join(base, 'flips'), `${FLIP_SEED}`, `${FLIPS}`, 'true'])
    expect({ code, signal, last: lines.at(-1) }).toMatchObject({ code: 0, signal: null })
    const verdicts = lines
      .map((line) => JSON.parse(line) as { flip: string; verdict?: Verdict })
      .filter((said) => said.verdict !== undefined)
    expect(verdicts).toHaveLength(FLIPS)
    expect(verdicts.filter(({ verdict }) => verdict?.kind === 'WRONG')).toEqual([])
    expect(verdicts.filter(({ verdict }) => verdict?.kind === 'rebuilt').length).toBeGreaterThan(FLIPS / 2)
    ran('13', verdicts.length)
  })

  test('set-aside copies are numbered, and the oldest goes when there are too many', async () => {
    const copy = copyOf(pristine)
    for (let i = 0; i < 5; i++) {
      writeFileSync(join(copy.path, 'DAMAGED'), `${i}`)
      expect((await judged(copy)).kind).toBe('rebuilt')
    }
    expect(readdirSync(join(copy.dir, TASK)).sort()).toEqual([STORE, `${STORE}.damaged-3`, `${STORE}.damaged-4`, `${STORE}.damaged-5`])
    expect(readFileSync(join(copy.dir, TASK, `${STORE}.damaged-5`, 'DAMAGED'), 'utf8')).toBe('4')
  })
})

describe('a store in use', { timeout: 60_000 }, () => {
  test('a value that rots while the store is open is an error, and the store refuses everything after', async () => {
    const copy = copyOf(pristine)
    const provider = levelProvider({ dir: copy.dir, world, bootId: 'boot-a' })
    const { store } = await provider.open(TASK, STORE, true)
    const damaged = expect.objectContaining({ code: 'STREAM_STORE_DAMAGED', disposition: 'rebuild' })
    // A spare scan from before, to see that it too is refused.
    const scan = store.scan({ from: null, to: null })[Symbol.asyncIterator]()
    await scan.next()
    // A bit in each value's own bytes: LevelDB reads what lies there now, its tables are mapped. (Elsewhere in a block a flip may
    // end the process by an assertion of LevelDB's: only the check at the open helps there.)
    for (const name of readdirSync(copy.path).filter((one) => one.endsWith('.ldb'))) {
      const bytes = readFileSync(join(copy.path, name))
      const values = [...bytes.toString('latin1').matchAll(/\d+:\d+:[\d.]{100}/g)]
      expect(values.length).toBeGreaterThan(1_000)
      for (const value of values) bytes[value.index + 60] = (bytes[value.index + 60] as number) ^ 1
      const open = openSync(join(copy.path, name), 'r+')
      writeFileSync(open, bytes)
      closeSync(open)
    }
    const before = nextBatch(store)
    let caught: unknown = null
    try {
      for await (const chunk of store.scan({ from: null, to: null })) expect(chunk.length).toBeGreaterThan(0)
    } catch (error) {
      caught = error
    }
    expect(caught).toEqual(damaged)
    expect(store.damaged).toMatch(/a value has a wrong checksum/)
    expect(() => store.getSync(Buffer.from('a'))).toThrow(damaged)
    expect(() => store.checkpoint()).toThrow(damaged)
    await expect(store.getMany([Buffer.from('a')])).rejects.toThrow(damaged)
    await expect(scan.next()).rejects.toThrow(damaged)
    await expect(applyBatch(store, before)).rejects.toThrow(damaged)
    await store.close()
    // Nobody set it aside: the next open does, whatever this process remembers.
    expect(await judge(levelProvider({ dir: copy.dir, world, bootId: 'boot-a' }))).toMatchObject({
      kind: 'rebuilt',
      why: 'an earlier call failed on it',
    })
  })
})
