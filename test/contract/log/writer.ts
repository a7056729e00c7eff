// Contract of a log: epochs. What is committed, what is not, and who may.
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/base/limits.ts'
import { NO_HEADERS, partitionName } from '../../../src/base/record.ts'
import {
  append,
  commit,
  commitOnce,
  committedValues,
  fresh,
  freshTopic,
  freshWriter,
  position,
  readerAt,
  readUntil,
  refusal,
  type SuiteOf,
  textOf,
  values,
  valuesUpTo,
} from './steps.ts'

export function writerContract(suite: SuiteOf): void {
  describe('an epoch', () => {
    it('is seen in order, partition by partition, byte for byte', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 2)
      const writer = await freshWriter(log)
      const headers = [
        ['first', Buffer.from('1')],
        ['first', Buffer.from('again')],
        ['näme', null],
        ['empty', Buffer.alloc(0)],
      ] as const
      const binary = Buffer.from([0, 255, 128, 10, 13])
      writer.append(topic, 0, 1_700_000_000_000, Buffer.from('k'), Buffer.from('v'), headers)
      writer.append(topic, 1, 0, null, binary, NO_HEADERS)
      writer.append(topic, 0, 5, binary, null, NO_HEADERS)
      writer.append(topic, 0, 1_262_304_000_000, null, null, NO_HEADERS)
      writer.append(topic, 1, 3, Buffer.alloc(0), Buffer.alloc(0), [['only', null]])
      await commit(writer)
      await writer.close()
      const records = await readUntil(log, topic, (of) => of[0]?.length === 3 && of[1]?.length === 2, { partitions: 2 })
      expect(
        records.map((of) => of.map(({ timestamp, key, value, headers: found }) => ({ timestamp, key, value, headers: found }))),
      ).toEqual([
        [
          { timestamp: 1_700_000_000_000, key: Buffer.from('k'), value: Buffer.from('v'), headers },
          { timestamp: 5, key: binary, value: null, headers: [] },
          { timestamp: 1_262_304_000_000, key: null, value: null, headers: [] },
        ],
        [
          { timestamp: 0, key: null, value: binary, headers: [] },
          { timestamp: 3, key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [['only', null]] },
        ],
      ])
    })

    it('holds many records, over many epochs, and flush tells where each partition ends', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 2)
      const writer = await freshWriter(log)
      let ends: ReadonlyMap<string, number> = new Map()
      for (let epoch = 0; epoch < 3; epoch++) {
        for (let i = 0; i < 4_000; i++)
          append(writer, topic, [{ partition: i % 2, key: `k${i}`, value: `${epoch}-${i}-${'x'.repeat(100)}` }])
        await writer.drain()
        ends = await commit(writer)
      }
      expect(writer.bufferedBytes).toBe(0)
      await writer.close()
      const records = await readUntil(log, topic, (of) => of[0]?.length === 6_000 && of[1]?.length === 6_000, { partitions: 2 })
      for (const partition of [0, 1]) {
        const of = records[partition] ?? []
        expect(of.map((record) => textOf(record).split('-', 2).join('-'))).toEqual(
          Array.from({ length: 6_000 }, (_, i) => `${Math.floor(i / 2_000)}-${(i % 2_000) * 2 + partition}`),
        )
        expect(ends.get(partitionName(topic, partition))).toBe((of.at(-1)?.offset as number) + 1)
      }
    })

    it('is invisible until it is committed', async () => {
      const { log, another, options } = suite()
      const topic = await freshTopic(log)
      await commitOnce(log, topic, ['before'])
      const writer = await freshWriter(log)
      append(writer, topic, ['open'])
      writer.seal()
      await writer.flush()
      const reader = readerAt(await another(), [{ topic, partition: 0, offset: 0 }])
      expect(await values(reader, options.settleMs)).toEqual(['before'])
      await writer.commit(null, '', [])
      expect(await valuesUpTo(log, topic, 'open')).toEqual(['before', 'open'])
      await reader.close()
      await writer.close()
    })

    it('is seen while open by an uncommitted reader, where that is offered', async (context) => {
      const { log, options } = suite()
      if (!options.uncommitted) context.skip('this log does not offer uncommitted reads')
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      append(writer, topic, ['open'])
      expect(await valuesUpTo(log, topic, 'open', 'uncommitted')).toEqual(['open'])
      await writer.init()
      append(writer, topic, ['second'])
      await commit(writer)
      expect(await valuesUpTo(log, topic, 'second')).toEqual(['second'])
      await writer.close()
    })

    it('ends at seal: what comes after belongs to the next', async () => {
      const { log, options } = suite()
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      append(writer, topic, ['a1', 'a2'])
      writer.seal()
      append(writer, topic, ['b1'])
      const ends = await writer.flush()
      append(writer, topic, ['b2'])
      await writer.commit(null, '', [])
      const reader = readerAt(log, [{ topic, partition: 0, offset: 0 }])
      expect(await values(reader, options.settleMs)).toEqual(['a1', 'a2'])
      await reader.close()
      append(writer, topic, ['b3'])
      const nextEnds = await commit(writer)
      await writer.close()
      const [records] = await readUntil(log, topic, ([first]) => first?.length === 5)
      expect(records?.map(textOf)).toEqual(['a1', 'a2', 'b1', 'b2', 'b3'])
      expect(ends.get(partitionName(topic, 0))).toBe((records?.[1]?.offset as number) + 1)
      expect(nextEnds.get(partitionName(topic, 0))).toBe((records?.[4]?.offset as number) + 1)
    })

    it('that is sealed twice is a broken caller', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      append(writer, topic, ['a'])
      writer.seal()
      expect(() => writer.seal()).toThrow()
      await writer.flush()
      await writer.commit(null, '', [])
      writer.seal()
      await writer.close()
    })

    it('may be empty', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      const groupId = fresh('group')
      expect((await commit(writer, { groupId })).size).toBe(0)
      await commit(writer, { groupId, offsets: [position(topic, 0, 7)] })
      expect((await commit(writer, { groupId })).size).toBe(0)
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 7)])
      append(writer, topic, ['a'])
      await commit(writer)
      await writer.close()
      expect(await valuesUpTo(log, topic, 'a')).toEqual(['a'])
    })

    it('refuses a record that is too large before anything of it is taken', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      append(writer, topic, ['small'])
      const large = Buffer.alloc(LIMITS.recordBytesMax + 1)
      const error = await refusal('STREAM_RECORD_TOO_LARGE', () => writer.append(topic, 0, 1, null, large, NO_HEADERS))
      expect(error.message).toContain(topic)
      const fits = Buffer.alloc(LIMITS.recordBytesMax - 2_000, 'x')
      writer.append(topic, 0, 1, null, fits, NO_HEADERS)
      append(writer, topic, ['last'])
      await commit(writer)
      await writer.close()
      const found = await valuesUpTo(log, topic, 'last')
      expect(found.map((text) => text.length)).toEqual([5, fits.length, 4])
    })
  })

  describe('what was not committed', () => {
    it('is dropped by init and never appears', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      append(writer, topic, ['a'])
      await commit(writer)
      append(writer, topic, ['flushed'])
      writer.seal()
      await writer.flush()
      append(writer, topic, ['behind'])
      await writer.init()
      append(writer, topic, ['open'])
      await writer.init()
      append(writer, topic, ['b'])
      await commit(writer)
      await writer.close()
      expect(await valuesUpTo(log, topic, 'b')).toEqual(['a', 'b'])
    })

    it('does not hold up a reader: its position reaches the end of what is committed', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const writer = await freshWriter(log)
      for (const value of ['a', 'b']) {
        append(writer, topic, ['dropped', 'dropped'])
        writer.seal()
        await writer.flush()
        await writer.init()
        append(writer, topic, [value])
        await commit(writer)
      }
      append(writer, topic, ['dropped', 'dropped'])
      writer.seal()
      await writer.flush()
      await writer.init()
      await writer.close()
      await valuesUpTo(log, topic, 'b')
      const [end] = (await log.offsets([{ topic, partition: 0 }], 'latest')) as [number]
      const [records] = await readUntil(log, topic, (_, positions) => (positions[0] as number) >= end)
      expect(records?.map(textOf)).toEqual(['a', 'b'])
      expect(end).toBeGreaterThan(records?.[1]?.offset as number)
    })

    it('of a writer that went away is settled by the next of the same id', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log)
      const id = fresh('writer')
      const first = await freshWriter(log, 'exactly_once', id)
      append(first, topic, ['left open'])
      first.seal()
      await first.flush()
      const other = await another()
      await other.topics([topic])
      const second = await freshWriter(other, 'exactly_once', id)
      append(second, topic, ['second'])
      await commit(second)
      expect(await committedValues(log, topic)).toEqual(['second'])
      await first.close()
      await second.close()
    })
  })

  describe('fencing', () => {
    it('a second writer of the same id fences the first', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log)
      const groupId = fresh('group')
      const id = fresh('writer')
      const first = await freshWriter(log, 'exactly_once', id)
      append(first, topic, ['a'])
      await commit(first)
      append(first, topic, ['fenced'])
      const other = await another()
      await other.topics([topic])
      const second = await freshWriter(other, 'exactly_once', id)
      await refusal('STREAM_FENCED', () => commit(first, { groupId, offsets: [position(topic, 0, 1)] }))
      append(second, topic, ['b'])
      await commit(second)
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([null])
      expect(await committedValues(log, topic)).toEqual(['a', 'b'])
      await first.close()
      await second.close()
    })

    it('also strikes between flush and commit', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log)
      const groupId = fresh('group')
      const id = fresh('writer')
      const first = await freshWriter(log, 'exactly_once', id)
      append(first, topic, ['fenced'])
      first.seal()
      await first.flush()
      const other = await another()
      await other.topics([topic])
      const second = await freshWriter(other, 'exactly_once', id)
      await refusal('STREAM_FENCED', () => first.commit(null, groupId, [position(topic, 0, 1)]))
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([null])
      expect(await committedValues(log, topic)).toEqual([])
      await first.close()
      await second.close()
    })
  })

  describe('committed offsets', () => {
    it('are null where there are none, and keep their metadata', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log, 3)
      const groupId = fresh('group')
      const ask = [2, 1, 0].map((partition) => ({ topic, partition }))
      expect(await log.committed(groupId, ask)).toEqual([null, null, null])
      const writer = await freshWriter(log)
      await commit(writer, { groupId, offsets: [position(topic, 0, 5, 'pt=17'), position(topic, 2, 0)] })
      expect(await (await another()).committed(groupId, ask)).toEqual([position(topic, 2, 0), null, position(topic, 0, 5, 'pt=17')])
      await commit(writer, { groupId, offsets: [position(topic, 0, 6, 'pt=18 ä')] })
      expect(await log.committed(groupId, ask)).toEqual([position(topic, 2, 0), null, position(topic, 0, 6, 'pt=18 ä')])
      expect(await log.committed(fresh('group'), ask)).toEqual([null, null, null])
      await writer.close()
    })

    it('are kept or dropped with the records of their epoch', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const groupId = fresh('group')
      const writer = await freshWriter(log)
      append(writer, topic, ['a'])
      await commit(writer, { groupId, offsets: [position(topic, 0, 1)] })
      append(writer, topic, ['dropped'])
      writer.seal()
      await writer.flush()
      await writer.init()
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 1)])
      append(writer, topic, ['b'])
      await commit(writer, { groupId, offsets: [position(topic, 0, 2)] })
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 2)])
      expect(await committedValues(log, topic)).toEqual(['a', 'b'])
      await writer.close()
    })
  })

  describe('an at_least_once writer', () => {
    it('writes records and offsets', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const groupId = fresh('group')
      const writer = await freshWriter(log, 'at_least_once')
      append(writer, topic, ['a', 'b'])
      writer.seal()
      append(writer, topic, ['c'])
      const ends = await writer.flush()
      await writer.commit(null, groupId, [position(topic, 0, 2, 'm')])
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 2, 'm')])
      await commit(writer)
      await writer.close()
      const [records] = await readUntil(log, topic, ([first]) => first?.length === 3)
      expect(records?.map(textOf)).toEqual(['a', 'b', 'c'])
      expect(ends.get(partitionName(topic, 0))).toBe((records?.[1]?.offset as number) + 1)
    })

    it('does not take the place of an exactly_once writer of the same id', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const id = fresh('writer')
      const first = await freshWriter(log, 'exactly_once', id)
      append(first, topic, ['a'])
      const second = await freshWriter(log, 'at_least_once', id)
      await commit(first)
      await first.close()
      await second.close()
      expect(await valuesUpTo(log, topic, 'a')).toEqual(['a'])
    })
  })
}
