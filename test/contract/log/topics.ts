// Contract of a log: topics and offsets.
import { describe, expect, it } from 'vitest'
import { append, commit, commitOnce, fresh, freshTopic, freshWriter, readUntil, refusal, type SuiteOf, until, world } from './steps.ts'

export function topicsContract(suite: SuiteOf): void {
  describe('topics', () => {
    it('are created with their partitions and found by name', async () => {
      const { log } = suite()
      const [one, three, changelog] = [fresh('one'), fresh('three'), fresh('changelog')]
      await log.createTopics([
        { name: one, partitions: 1, kind: 'plain' },
        { name: three, partitions: 3, kind: 'repartition' },
        { name: changelog, partitions: 2, kind: 'changelog' },
      ])
      const found = await log.topics([one, three, changelog, fresh('absent')])
      const described = [...found.values()].map(({ name, partitions }) => ({ name, partitions }))
      expect(described.sort((a, b) => a.partitions - b.partitions)).toEqual([
        { name: one, partitions: 1 },
        { name: changelog, partitions: 2 },
        { name: three, partitions: 3 },
      ])
      expect(found.get(three)?.partitions).toBe(3)
      const ids = [...found.values()].flatMap(({ id }) => (id === undefined ? [] : [id]))
      if (log.kind === 'kafka') expect(new Set(ids).size, 'each has an id of its own').toBe(3)
      const names = await log.topicNames()
      expect(names).toEqual(expect.arrayContaining([one, three, changelog]))
    })

    it('tell how long tombstones of a changelog can be read', async () => {
      const { log } = suite()
      const changelog = fresh('changelog')
      await log.createTopics([{ name: changelog, partitions: 1, kind: 'changelog' }])
      const keptMs = await log.tombstonesKeptMs?.(changelog)
      expect(keptMs).toBe(log.kind === 'kafka' ? 86_400_000 : Number.POSITIVE_INFINITY)
    })

    it('that exist are left as they are', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 2)
      await commitOnce(log, topic, ['kept'])
      const other = fresh('other')
      await log.createTopics([
        { name: topic, partitions: 2, kind: 'plain' },
        { name: other, partitions: 1, kind: 'plain' },
      ])
      expect((await log.topics([topic, other])).size).toBe(2)
      const records = await readUntil(log, topic, ([first]) => first?.length === 1, { partitions: 2 })
      expect(records[0]).toHaveLength(1)
    })

    it('with another number of partitions are refused, both numbers named', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 2)
      const error = await refusal('STREAM_TOPIC_MISMATCH', () => log.createTopics([{ name: topic, partitions: 3, kind: 'plain' }]))
      expect(error.message).toContain(topic)
      expect(error.message).toMatch(/\b2\b/)
      expect(error.message).toMatch(/\b3\b/)
    })

    it('that are deleted are gone', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      await log.deleteTopics([topic])
      let gone = false
      await until(
        () => gone,
        async () => {
          gone = !(await log.topics([topic])).has(topic)
          if (!gone) await world.timers.sleep(20)
        },
        () => `${topic} is still there`,
      )
    })

    it('that are missing are named when they are read, written or asked for offsets', async () => {
      const { log } = suite()
      const topic = fresh('missing')
      const writer = await freshWriter(log)
      const appended = await refusal('STREAM_TOPIC_MISSING', () => append(writer, topic, ['x']))
      expect(appended.message).toContain(topic)
      await writer.close()

      const reader = log.reader()
      reader.assign([{ topic, partition: 0, offset: 0 }])
      const read = await refusal('STREAM_TOPIC_MISSING', async () => {
        const end = world.clock.monotonic() + 30_000
        while (world.clock.monotonic() < end) await reader.poll(200)
      })
      expect(read.message).toContain(topic)
      await reader.close()

      await refusal('STREAM_TOPIC_MISSING', () => log.offsets([{ topic, partition: 0 }], 'latest'))
    })

    it('a partition beyond the last is missing', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 2)
      const writer = await freshWriter(log)
      await refusal('STREAM_TOPIC_MISSING', () => append(writer, topic, [{ partition: 2, value: 'x' }]))
      append(writer, topic, [{ partition: 1, value: 'y' }])
      await commit(writer)
      await writer.close()
      const records = await readUntil(log, topic, (of) => of[1]?.length === 1, { partitions: 2 })
      expect(records.map((of) => of.length)).toEqual([0, 1])
    })
  })

  describe('offsets', () => {
    it('answer the first and the end of what is committed, in the order asked', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 3)
      const ask = [2, 0, 1].map((partition) => ({ topic, partition }))
      expect(await log.offsets(ask, 'earliest')).toEqual([0, 0, 0])
      expect(await log.offsets(ask, 'latest')).toEqual([0, 0, 0])
      await commitOnce(log, topic, [
        { partition: 1, value: 'a' },
        { partition: 1, value: 'b' },
        { partition: 2, value: 'c' },
      ])
      const read = await readUntil(log, topic, (of) => of[1]?.length === 2 && of[2]?.length === 1, { partitions: 3 })
      expect(await log.offsets(ask, 'earliest')).toEqual([0, 0, 0])
      const [two, zero, one] = (await log.offsets(ask, 'latest')) as [number, number, number]
      expect(two).toBeGreaterThan(read[2]?.at(-1)?.offset as number)
      expect(zero).toBe(0)
      expect(one).toBeGreaterThan(read[1]?.at(-1)?.offset as number)
    })

    it('settled waits for an epoch that is open, and for no later one', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const ask = [{ topic, partition: 0 }]
      expect(await log.offsets(ask, 'settled')).toEqual([0])
      const hung = await freshWriter(log)
      append(hung, topic, ['hung'])
      hung.seal()
      await hung.flush()
      const behind = await freshWriter(log)
      append(behind, topic, ['committed behind it'])
      await commit(behind)
      expect(await log.offsets(ask, 'latest'), 'what is committed is hidden').toEqual([0])
      let settled: readonly number[] | null = null
      const waiting = log.offsets(ask, 'settled').then((ends) => {
        settled = ends
      })
      await world.timers.sleep(50)
      expect(settled).toBe(null)
      await hung.commit(null, '', [])
      append(hung, topic, ['later'])
      hung.seal()
      await hung.flush()
      await waiting
      const [records] = await readUntil(log, topic, ([first]) => first?.length === 2)
      expect(settled?.[0]).toBeGreaterThan(records?.[1]?.offset as number)
      await hung.close()
      await behind.close()
    })

    it('latest stands before an open epoch', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      await commitOnce(log, topic, ['a'])
      await readUntil(log, topic, ([first]) => first?.length === 1)
      const [before] = await log.offsets([{ topic, partition: 0 }], 'latest')
      const writer = await freshWriter(log)
      append(writer, topic, ['open'])
      writer.seal()
      await writer.flush()
      expect(await log.offsets([{ topic, partition: 0 }], 'latest')).toEqual([before])
      await writer.close()
    })
  })
}
