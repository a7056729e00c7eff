// kill -9 in the middle of commits: every acknowledged epoch is there whole and once, no other is there in part.
import { expect, it } from 'vitest'
import { readUntil, waitFor } from '../contract/log/steps.ts'
import { child, withDirectory, withLog, world } from './directories.ts'
import { runsOf } from '../support/tier.ts'

const KILLS = runsOf(12, 30)
const RECORDS = 200

it(`keeps what was acknowledged over ${KILLS} kills, whole and once`, { timeout: runsOf(120_000, 600_000) }, async () => {
  await withDirectory(async (dir) => {
    const acknowledged = [-1, -1]
    let unacknowledged = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const committer = child('committer.ts', [dir, String(RECORDS)])
      await waitFor('the first commit', () => committer.lines.length > 0 || committer.process.exitCode !== null)
      await world.timers.sleep(world.random.below(120))
      expect(committer.process.exitCode, 'it ran until it was killed').toBeNull()
      committer.process.kill('SIGKILL')
      await committer.ended
      for (const line of committer.lines) {
        const [writer = 0, epoch = 0] = line.split(' ').map(Number)
        expect(epoch, 'epochs follow each other').toBe((acknowledged[writer] as number) + 1)
        acknowledged[writer] = epoch
      }
      await withLog(dir, async (log) => {
        const offsets = await log.committed('group', [
          { topic: 'in', partition: 0 },
          { topic: 'in', partition: 1 },
        ])
        const epochs = offsets.map((of) => of?.offset ?? 0)
        for (const writer of [0, 1]) {
          const extra = (epochs[writer] as number) - ((acknowledged[writer] as number) + 1)
          expect([0, 1], `writer ${writer}: at most the commit under way is there beside the acknowledged ones`).toContain(extra)
          unacknowledged += extra
          acknowledged[writer] = (epochs[writer] as number) - 1
        }
        const ends = await log.offsets(
          [0, 1].map((partition) => ({ topic: 'out', partition })),
          'latest',
        )
        const records = await readUntil(log, 'out', (_, positions) => positions.every((at, i) => at === ends[i]), { partitions: 2 })
        for (const partition of [0, 1]) {
          const keys = (records[partition] ?? []).map((record) => String(record.key))
          for (const writer of [0, 1]) {
            const expected = Array.from({ length: (epochs[writer] as number) * (RECORDS / 2) }, (_, n) => {
              const epoch = Math.floor(n / (RECORDS / 2))
              return `${writer}:${epoch}:${(n % (RECORDS / 2)) * 2 + partition}`
            })
            expect(keys.filter((key) => key.startsWith(`${writer}:`))).toEqual(expected)
          }
          expect(keys).toHaveLength(((epochs[0] as number) + (epochs[1] as number)) * (RECORDS / 2))
        }
      })
    }
    expect(acknowledged[0]).toBeGreaterThan(KILLS)
    console.info(
      `${KILLS} kills, ${acknowledged.map((epoch) => epoch + 1).join(' and ')} epochs, ${unacknowledged} committed but not acknowledged`,
    )
  })
})
