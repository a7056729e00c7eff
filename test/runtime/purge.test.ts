// Processed records of repartition topics: deleted up to what is committed, now and then; and what a worker does that finds them deleted.
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { type Logger, silent } from '../../src/base/ports.ts'
import type { TopicPartition } from '../../src/base/record.ts'
import { type CommittedOffset, OffsetOutOfRange, type ReadFrom } from '../../src/log/log.ts'
import { isFinal } from '../../src/runtime/final.ts'
import { purgeProcessed } from '../../src/runtime/purge.ts'
import { virtualWorld } from '../../src/testing/virtual-world.ts'

const TOPIC = 'shop-by-item-repartition'
const at = (partition: number): TopicPartition => ({ topic: TOPIC, partition })

function play(purges = true) {
  const committed = new Map<number, number>()
  const asked: string[][] = []
  const said: string[] = []
  const state = { partitions: [at(0), at(1)], refuses: null as Error | null }
  const logger: Logger = { ...silent, warn: (_of: object, text: string) => void said.push(`warn: ${text}`) }
  const world = virtualWorld(0, 1, logger)
  const log = {
    committed: async (_groupId: string, partitions: readonly TopicPartition[]) =>
      partitions.map(({ topic, partition }): CommittedOffset | null => {
        const offset = committed.get(partition)
        return offset === undefined ? null : { topic, partition, offset, metadata: '' }
      }),
    async purge(before: readonly ReadFrom[]) {
      asked.push(before.map(({ topic, partition, offset }) => `${topic}-${partition} ${offset}`))
      if (state.refuses !== null) throw state.refuses
    },
  }
  const end = purgeProcessed({
    log: purges ? log : { committed: log.committed },
    groupId: 'shop',
    world,
    partitions: () => state.partitions,
  })
  const round = async (): Promise<void> => {
    await world.advance(LIMITS.purgeIntervalMs)
    for (let i = 0; i < 10; i++) await Promise.resolve()
  }
  return { committed, asked, said, state, end, round, log }
}

describe('processed records of repartition topics', () => {
  test('are deleted up to what is committed, of the partitions that are read here, where something has moved', async () => {
    const { committed, asked, state, end, round } = play()
    await round()
    expect(asked, 'nothing is committed').toEqual([])
    committed.set(0, 5)
    await round()
    await round()
    committed.set(0, 7).set(1, 2)
    await round()
    state.partitions = [at(1)]
    committed.set(0, 9).set(1, 3)
    await round()
    end()
    committed.set(1, 4)
    await round()
    expect(asked).toEqual([[`${TOPIC}-0 5`], [`${TOPIC}-0 7`, `${TOPIC}-1 2`], [`${TOPIC}-1 3`]])
  })

  test('where that fails it is said once, and tried again', async () => {
    const { committed, asked, said, state, round } = play()
    committed.set(0, 5)
    state.refuses = new MillraceError('STREAM_BROKER', 'no right')
    await round()
    await round()
    state.refuses = null
    await round()
    await round()
    expect(asked).toEqual([[`${TOPIC}-0 5`], [`${TOPIC}-0 5`], [`${TOPIC}-0 5`]])
    const once = expect.stringMatching(/^warn: .*could not be deleted \(it takes the right Delete\)/)
    expect(said).toEqual([once])
    committed.set(0, 6)
    state.refuses = new MillraceError('STREAM_BROKER', 'taken back')
    await round()
    await round()
    expect(said, 'after it went well').toEqual([once, once])
  })

  test('stay where the log never takes records away', async () => {
    const { committed, asked, round } = play(false)
    committed.set(0, 5)
    await round()
    expect(asked).toEqual([])
  })
})

describe('a worker that finds records gone before it has read them', () => {
  const gone = new OffsetOutOfRange({ ...at(0), offset: 5 }, 'gone')
  test('goes on where another one has processed them, and ends where nobody has', async () => {
    const { committed, log } = play()
    const world = virtualWorld(0, 1)
    const of = { log, groupId: 'shop', world }
    expect(await isFinal(gone, of), 'nothing is committed').toBe(true)
    committed.set(0, 5)
    expect(await isFinal(gone, of), 'nobody is further').toBe(true)
    committed.set(0, 6)
    expect(await isFinal(gone, of)).toBe(false)
    const unstable = { committed: () => Promise.reject(new MillraceError('STREAM_UNSTABLE', 'open')) }
    expect(await isFinal(gone, { ...of, log: unstable }), 'it cannot be asked').toBe(false)
    const waiting = isFinal(gone, { ...of, log: { committed: () => new Promise<never>(() => {}) } })
    await world.advance(LIMITS.finalWaitMs)
    expect(await waiting, 'the answer waits for a transaction').toBe(false)
  })
  test('of other failures their disposition says it', async () => {
    const of = { log: { committed: () => expect.fail('nobody asks') }, groupId: 'shop', world: virtualWorld(0, 1) }
    expect(await isFinal(new Error('unknown'), of)).toBe(false)
    expect(await isFinal(new MillraceError('STREAM_FENCED', ''), of)).toBe(false)
    expect(await isFinal(new MillraceError('STREAM_TOPIC_MISSING', ''), of)).toBe(true)
  })
})
