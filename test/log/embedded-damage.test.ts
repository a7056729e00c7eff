// Bytes that are not what was written: whatever is flipped, cut off or lost of what was committed and acknowledged, the log either
// answers every record or STREAM_LOG_DAMAGED; what was not acknowledged may be there whole or not at all.
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LocalLog } from '../../src/log/local/log.ts'
import { append, commit, freshWriter, position, readUntil } from '../contract/log/steps.ts'
import { child, withDirectory, withLog, world } from './directories.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'

const OLD = 12
const NEW = 8
const FLIPS = runsOf(90, 300)

interface Found {
  readonly code?: string
  readonly message?: string
  readonly records?: Record<string, string[]>
  readonly offsets?: (number | null)[]
}

async function commits(log: LocalLog, from: number, to: number, acknowledged: (n: number) => void): Promise<void> {
  await log.createTopics([{ name: 'out', partitions: 2, kind: 'plain' }])
  const writer = await freshWriter(log)
  for (let n = from; n < to; n++) {
    for (let i = 0; i < 20; i++) append(writer, 'out', [{ partition: i % 2, timestamp: n, key: `${n}:${i}`, value: `${n}`.repeat(50) }])
    await commit(writer, { groupId: 'g', offsets: [position('in', n % 2, n)] })
    acknowledged(n)
  }
  await writer.close()
}

/** A directory as it lies on disk while its process runs: old commits in tables, new ones in the write-ahead log. */
async function makeLog(dir: string, copy: string): Promise<{ readonly sizes: number[]; readonly marks: Buffer[] }> {
  await withLog(dir, (log) => commits(log, 0, OLD, () => {}))
  const sizes: number[] = []
  const marks: Buffer[] = []
  await withLog(dir, async (log) => {
    await commits(log, OLD, OLD + NEW, () => {
      sizes.push(readFileSync(join(dir, journal(dir))).length)
      marks.push(readFileSync(join(dir, 'mark')))
    })
    cpSync(dir, copy, { recursive: true })
    rmSync(join(copy, 'owner.json'))
  })
  return { sizes, marks }
}

function journal(dir: string): string {
  const name = readdirSync(dir).findLast((file) => file.endsWith('.log'))
  if (name === undefined) throw new Error('there is no write-ahead log')
  return name
}

/** What each directory holds. A process that LevelDB aborted has found the damage too, in its own way. */
async function inspect(dirs: readonly string[]): Promise<Found[]> {
  const found: Found[] = []
  while (found.length < dirs.length) {
    const inspector = child('inspector.ts', dirs.slice(found.length))
    await inspector.ended
    found.push(...inspector.lines.map((line) => JSON.parse(line) as Found))
    if (found.length < dirs.length) found.push({ code: 'aborted' })
  }
  return found
}

describe('damage of an embedded log', { timeout: runsOf(180_000, 600_000) }, () => {
  it(`is found or harmless: ${FLIPS} flipped bytes, files cut short, emptied or lost`, async () => {
    await withDirectory(async (dir) => {
      const copy = `${dir}-copy`
      await makeLog(dir, copy)
      const files = readdirSync(copy).filter((file) => /\.(ldb|log)$|^(MANIFEST|CURRENT)/.test(file))
      expect(files.some((file) => file.endsWith('.ldb'))).toBe(true)
      const cases: [string, (target: string) => void][] = [['nothing', () => {}]]
      for (let i = 0; i < FLIPS; i++) {
        const file = files[i % files.length] as string
        cases.push([
          `flip in ${file}`,
          (target) => {
            const bytes = readFileSync(join(target, file))
            const at = world.random.below(bytes.length)
            bytes[at] = (bytes[at] as number) ^ (1 << world.random.below(8))
            writeFileSync(join(target, file), bytes)
          },
        ])
      }
      for (const file of files) {
        cases.push([`${file} lost`, (target) => rmSync(join(target, file))])
        cases.push([`${file} empty`, (target) => truncateSync(join(target, file), 0)])
        cases.push([`${file} cut`, (target) => truncateSync(join(target, file), Math.floor(readFileSync(join(target, file)).length / 2))])
      }
      const dirs = cases.map(([, damage], i) => {
        const target = `${dir}-${i}`
        cpSync(copy, target, { recursive: true })
        damage(target)
        return target
      })
      const [whole, ...rest] = await inspect(dirs)
      expect(whole?.records?.['out-0']).toHaveLength((OLD + NEW) * 10)
      expect(whole?.offsets).toEqual([OLD + NEW - 2, OLD + NEW - 1])
      const tally = { found: 0, harmless: 0, aborted: 0 }
      rest.forEach((one, i) => {
        if (one.code === undefined) {
          expect(one, cases[i + 1]?.[0]).toEqual(whole)
          tally.harmless++
        } else if (one.code === 'aborted') tally.aborted++
        else {
          expect(one.code, `${cases[i + 1]?.[0]}: ${one.message}`).toBe('STREAM_LOG_DAMAGED')
          tally.found++
        }
      })
      console.info(`damage: ${JSON.stringify(tally)} of ${rest.length}`)
      expect(tally.found).toBeGreaterThan(FLIPS / 4)
      // what was found once is found again: opening must not make a hole permanent and silent
      const again = await inspect(dirs.filter((_, i) => i > 0 && rest[i - 1]?.code === 'STREAM_LOG_DAMAGED'))
      for (const one of again) expect(one.code).toBe('STREAM_LOG_DAMAGED')
    })
  })

  it('a torn end of the write-ahead log: acknowledged commits are missed, the one under way is invisible', async () => {
    await withDirectory(async (dir) => {
      const copy = `${dir}-copy`
      const { sizes, marks } = await makeLog(dir, copy)
      const [from, to] = [sizes.at(-2) as number, sizes.at(-1) as number]
      const cuts = [from, from + 1, from + 6, from + 7, from + 8, to - 1]
      for (let i = 0; i < 25; i++) cuts.push(from + world.random.below(to - from))
      const dirs = cuts.flatMap((cut, i) =>
        ['acknowledged', 'under way'].map((which) => {
          const target = `${dir}-${which}-${i}`
          cpSync(copy, target, { recursive: true })
          truncateSync(join(target, journal(target)), cut)
          if (which === 'under way') writeFileSync(join(target, 'mark'), marks.at(-2) as Buffer)
          return target
        }),
      )
      const found = await inspect(dirs)
      found.forEach((one, i) => {
        if (i % 2 === 0) expect(one.code, `cut at ${cuts[i / 2]}, acknowledged`).toBe('STREAM_LOG_DAMAGED')
        else {
          expect(one.code, `cut at ${cuts[(i - 1) / 2]}, under way: ${one.message}`).toBeUndefined()
          expect(one.records?.['out-0']).toHaveLength((OLD + NEW - 1) * 10)
          expect(one.records?.['out-1']).toHaveLength((OLD + NEW - 1) * 10)
          expect(one.offsets).toEqual([OLD + NEW - 2, OLD + NEW - 3])
        }
      })
    })
  })

  it('torn at every byte of its last three commits: a commit is there whole or not at all, and one that is missed is found', async () => {
    await withDirectory(async (dir) => {
      const copy = `${dir}-copy`
      const sizes: number[] = []
      const marks: Buffer[] = []
      const records = runsOf(1, 3)
      await withLog(dir, async (log) => {
        await log.createTopics([{ name: 'out', partitions: 1, kind: 'plain' }])
        const writer = await freshWriter(log)
        for (let n = 0; n < 5; n++) {
          for (let i = 0; i < records; i++) append(writer, 'out', [{ timestamp: n, key: `${n}:${i}`, value: `${n}` }])
          await commit(writer, { groupId: 'g', offsets: [position('in', 0, n)] })
          sizes.push(readFileSync(join(dir, journal(dir))).length)
          marks.push(readFileSync(join(dir, 'mark')))
        }
        await writer.close()
        cpSync(dir, copy, { recursive: true })
        rmSync(join(copy, 'owner.json'))
      })
      // at each byte: the last commit that the mark knows is the one before the tear (it was under way), or the one that is torn
      const cases: { readonly cut: number; readonly whole: number; readonly acknowledged: boolean }[] = []
      for (let cut = sizes[1] as number; cut < (sizes[4] as number); cut++) {
        const whole = sizes.findLastIndex((size) => size <= cut)
        cases.push({ cut, whole, acknowledged: false })
        if (runsOf(cut % 8, 0) === 0) cases.push({ cut, whole, acknowledged: true })
      }
      expect(cases.length).toBeGreaterThan(300)
      for (let from = 0; from < cases.length; from += 200) {
        const part = cases.slice(from, from + 200)
        const dirs = part.map(({ cut, whole, acknowledged }, i) => {
          const target = `${dir}-${i}`
          cpSync(copy, target, { recursive: true })
          truncateSync(join(target, journal(target)), cut)
          writeFileSync(join(target, 'mark'), marks[acknowledged ? whole + 1 : whole] as Buffer)
          return target
        })
        const found = await inspect(dirs)
        found.forEach((one, i) => {
          const { cut, whole, acknowledged } = part[i] as (typeof part)[number]
          if (acknowledged) expect(one.code, `cut at ${cut}, acknowledged`).toBe('STREAM_LOG_DAMAGED')
          else {
            expect(one.code, `cut at ${cut}, under way: ${one.message}`).toBeUndefined()
            expect(one.records?.['out-0'], `cut at ${cut}`).toHaveLength((whole + 1) * records)
            expect(one.offsets?.[0], `cut at ${cut}`).toBe(whole)
          }
        })
        for (const target of dirs) rmSync(target, { recursive: true })
      }
      console.info(`torn at ${(sizes[4] as number) - (sizes[1] as number)} bytes, ${cases.length} cases`)
    })
  })

  it('a full disk: nothing is acknowledged after the first failure, and everything that was is there', async (context) => {
    if (spawnSync('prlimit', ['--version']).status !== 0) context.skip('prlimit is not installed: no full disk can be played')
    const disks = runsOf(1, 17)
    for (let i = 0; i < disks; i++) {
      await withDirectory(async (dir) => {
        const filler = child('filler.ts', [dir], 700 + world.random.below(600))
        await filler.ended
        const refusals = filler.lines.filter((line) => !/^\d+$/.test(line))
        expect(refusals).toEqual(Array.from({ length: 3 }, () => 'STREAM_LOG_DAMAGED stop'))
        const acknowledged = filler.lines.length - refusals.length
        expect(acknowledged).toBeGreaterThan(20)
        await withLog(dir, async (log) => {
          const [offset] = await log.committed('group', [{ topic: 'first', partition: 0 }])
          const epochs = offset?.offset ?? 0
          expect([acknowledged, acknowledged + 1]).toContain(epochs)
          expect(await log.committed('group', [{ topic: 'second', partition: 0 }])).toEqual([null])
          const [end] = await log.offsets([{ topic: 'out', partition: 0 }], 'latest')
          const [records] = await readUntil(log, 'out', (_, positions) => positions[0] === end)
          const expected = Array.from({ length: epochs * 10 }, (_, n) => `first ${Math.floor(n / 10)} ${n % 10}`)
          expect(records?.map((record) => String(record.key))).toEqual(expected)
        })
      })
    }
    ran('12', disks)
  })

  it('a hole in the write-ahead log stays damage when it is opened a second time', async () => {
    await withDirectory(async (dir) => {
      const copy = `${dir}-copy`
      await withLog(dir, async (log) => {
        const writer = await freshWriter(log)
        // overwritten offsets only: neither a chain nor a count would miss the commits in the hole
        for (let n = 0; n < 400; n++)
          await commit(writer, { groupId: 'g', offsets: [{ ...position('in', n % 40, n), metadata: 'm'.repeat(200) }] })
        cpSync(dir, copy, { recursive: true })
        rmSync(join(copy, 'owner.json'))
      })
      const path = join(copy, journal(copy))
      const bytes = readFileSync(path)
      expect(bytes.length, 'several blocks').toBeGreaterThan(100_000)
      bytes[40_000] = (bytes[40_000] as number) ^ 1
      writeFileSync(path, bytes)
      for (const found of await inspect([copy, copy])) expect(found.code).toBe('STREAM_LOG_DAMAGED')
    })
  })

  it('a lost mark is no damage', async () => {
    await withDirectory(async (dir) => {
      const copy = `${dir}-copy`
      await makeLog(dir, copy)
      for (const mark of [Buffer.alloc(0), Buffer.alloc(12), Buffer.from('not a mark at all')]) {
        writeFileSync(join(copy, 'mark'), mark)
        const [found] = await inspect([copy])
        expect(found?.records?.['out-0']).toHaveLength((OLD + NEW) * 10)
      }
    })
  })
})
