import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { refuseOtherTopics, rememberTopics } from '../../src/app/topic-ids.ts'
import { watchPartitions } from '../../src/app/topic-watch.ts'
import type { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { json, string, topology } from '../../src/index.ts'
import type { Log, TopicInfo } from '../../src/log/log.ts'
import { type VirtualWorld, virtualWorld } from '../../src/testing/virtual-world.ts'
import { plan as planOf } from '../../src/topology/plan.ts'

const counts = topology('app', (t) => {
  t.stream('in', { key: string(), value: json<number>() })
    .groupByKey()
    .count({ store: 'n' })
    .toStream()
    .to('out', { key: string(), value: json<number>() })
})
const plan = planOf(counts, 'app')
const changelog = 'app-n-changelog'
const dirs: string[] = []
const freshDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-topics-'))
  dirs.push(dir)
  return dir
}
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true })
})

/** A log that knows nothing but topics. */
function topicsOnly(ids: Readonly<Record<string, string>>, partitions = 1): Log {
  const topics = async (names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> =>
    new Map(names.filter((name) => name in ids).map((name) => [name, { name, partitions, id: ids[name] as string }]))
  return { topics } as unknown as Log
}

describe('topics that a state directory has worked on', () => {
  it('may be there as they were, in a new directory or in the same', async () => {
    const dir = freshDir()
    const log = topicsOnly({ in: '1', [changelog]: '2', out: '3' })
    await refuseOtherTopics(log, plan, dir)
    await rememberTopics(log, plan, dir)
    await refuseOtherTopics(log, plan, dir)
  })

  it('are refused by name when one was made anew, or one of its own is gone', async () => {
    const dir = freshDir()
    await rememberTopics(topicsOnly({ in: '1', [changelog]: '2' }), plan, dir)
    await expect(refuseOtherTopics(topicsOnly({ in: '9', [changelog]: '2' }), plan, dir)).rejects.toThrow(
      /^topic in was deleted and made anew/,
    )
    await expect(refuseOtherTopics(topicsOnly({ in: '1', [changelog]: '9' }), plan, dir)).rejects.toThrow(
      /^topic app-n-changelog was deleted/,
    )
    await expect(refuseOtherTopics(topicsOnly({ in: '1' }), plan, dir)).rejects.toThrow(/^topic app-n-changelog has been deleted/)
    await refuseOtherTopics(topicsOnly({ [changelog]: '2' }), plan, dir) // a missing input has a message of its own
  })

  it('a damaged list is named', async () => {
    const dir = freshDir()
    writeFileSync(join(dir, 'topics.json'), '{"in":')
    await expect(refuseOtherTopics(topicsOnly({}), plan, dir)).rejects.toThrow(/topics\.json is damaged/)
  })
})

async function advance(world: VirtualWorld): Promise<void> {
  for (let look = 0; look < 3; look++) {
    await world.advance(LIMITS.topicLookMs)
    for (let turn = 0; turn < 5; turn++) await Promise.resolve() // the answer comes, the next look is set
  }
}

describe('the watch over partition counts', () => {
  it('tells once of an input that has grown, and of nothing when it was ended', async () => {
    const world = virtualWorld()
    const found: MillraceError[] = []
    watchPartitions(
      topicsOnly({ in: '1' }, 1),
      ['in'],
      () => 1,
      world,
      (error) => void found.push(error),
    )
    await advance(world)
    expect(found).toEqual([])
    watchPartitions(
      topicsOnly({ in: '1' }, 4),
      ['in'],
      () => 2,
      world,
      (error) => void found.push(error),
    )
    await advance(world)
    expect(found.map(({ message }) => message)).toEqual([expect.stringMatching(/^topic in had 2 partitions at the start and has 4 now/)])
    watchPartitions(
      topicsOnly({ in: '1' }, 4),
      ['in'],
      () => 2,
      world,
      (error) => void found.push(error),
    )()
    await advance(world)
    expect(found).toHaveLength(1)
  })
})
