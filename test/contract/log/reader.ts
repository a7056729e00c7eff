// Contract of a log: reading. Positions, pausing, waiting, and offsets that are not there.
import { describe, expect, it } from 'vitest'
import { commitOnce, freshTopic, readerAt, readUntil, refusal, type SuiteOf, take, textOf, values, world } from './steps.ts'

export function readerContract(suite: SuiteOf): void {
  describe('a reader', () => {
    it('starts at the offset it is given', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      await commitOnce(log, topic, ['a', 'b', 'c'])
      const [records] = await readUntil(log, topic, ([first]) => first?.length === 3)
      const reader = readerAt(log, [{ topic, partition: 0, offset: records?.[1]?.offset as number }])
      expect(await take(reader, 2)).toEqual(['b', 'c'])
      await reader.close()
    })

    it('reads nothing before it is assigned and nothing twice', async () => {
      const { log, options } = suite()
      const topic = await freshTopic(log)
      await commitOnce(log, topic, ['a'])
      const reader = log.reader()
      expect(await reader.poll(0)).toEqual([])
      reader.assign([{ topic, partition: 0, offset: 0 }])
      expect(await take(reader, 1)).toEqual(['a'])
      expect(await values(reader, options.settleMs)).toEqual([])
      await commitOnce(log, topic, ['b'])
      expect(await take(reader, 1)).toEqual(['b'])
      await reader.close()
    })

    it('hands out chunks that go on where the one before ended', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const wide = 'x'.repeat(1_000)
      for (let epoch = 0; epoch < 4; epoch++)
        await commitOnce(
          log,
          topic,
          Array.from({ length: 3_000 }, (_, i) => `${epoch * 3_000 + i} ${wide}`),
        )
      const reader = readerAt(log, [{ topic, partition: 0, offset: 0 }])
      const seen: number[] = []
      let at = 0
      let bytes = 0
      while (seen.length < 12_000) {
        const chunks = await reader.poll(10_000)
        expect(chunks.length, 'records come').toBe(1)
        for (const chunk of chunks) {
          for (const record of chunk.records) {
            expect(record.offset).toBeGreaterThanOrEqual(at)
            at = record.offset + 1
            seen.push(Number.parseInt(textOf(record), 10))
          }
          expect(chunk.position).toBeGreaterThanOrEqual(at)
          expect(chunk.endOffset).toBeGreaterThanOrEqual(at)
          at = chunk.position
          bytes += chunk.bytes
        }
      }
      expect(seen).toEqual(Array.from({ length: 12_000 }, (_, i) => i))
      expect(bytes).toBeGreaterThan(1_000)
      // The same in columns, of a log that has them.
      reader.seek({ topic, partition: 0, offset: 0 })
      const again: number[] = []
      while (reader.pollColumns !== undefined && again.length < 12_000) {
        for (const { columns: of } of await reader.pollColumns(10_000))
          for (let i = 0; i < of.count; i++)
            again.push(Number.parseInt(of.bytes.toString('latin1', of.valueAts[i], (of.valueAts[i] as number) + 8), 10))
      }
      expect(again).toEqual(reader.pollColumns === undefined ? [] : seen)
      await reader.close()
    })

    it('keeps its place over assign, takes what is new and drops what is gone', async () => {
      const { log, options } = suite()
      const [one, two] = [await freshTopic(log), await freshTopic(log)]
      await commitOnce(log, one, ['a1', 'a2'])
      await commitOnce(log, two, ['b1'])
      const reader = readerAt(log, [{ topic: one, partition: 0, offset: 0 }])
      let position = 0
      const seen: string[] = []
      while (seen.length < 2)
        for (const chunk of await reader.poll(200)) {
          seen.push(...chunk.records.map(textOf))
          position = chunk.position
        }
      reader.assign([
        { topic: one, partition: 0, offset: position },
        { topic: two, partition: 0, offset: 0 },
      ])
      expect(await take(reader, 1)).toEqual(['b1'])
      await commitOnce(log, one, ['a3'])
      expect(await take(reader, 1)).toEqual(['a3'])
      reader.assign([{ topic: one, partition: 0, offset: 0 }])
      expect(await take(reader, 3)).toEqual(['a1', 'a2', 'a3'])
      await commitOnce(log, two, ['b2'])
      expect(await values(reader, options.settleMs)).toEqual([])
      await reader.close()
    })

    it('seeks back and forth; what was fetched before is dropped', async () => {
      const { log, options } = suite()
      const topic = await freshTopic(log)
      await commitOnce(log, topic, ['a', 'b', 'c'])
      const [records] = await readUntil(log, topic, ([first]) => first?.length === 3)
      const reader = readerAt(log, [{ topic, partition: 0, offset: 0 }])
      for (const afterMs of [0, 1, 50]) {
        reader.seek({ topic, partition: 0, offset: 0 })
        await reader.poll(0)
        if (afterMs > 0) await world.timers.sleep(afterMs)
        reader.seek({ topic, partition: 0, offset: records?.[2]?.offset as number })
        expect(await take(reader, 1)).toEqual(['c'])
      }
      reader.seek({ topic, partition: 0, offset: 0 })
      expect(await take(reader, 3)).toEqual(['a', 'b', 'c'])
      expect(await values(reader, options.settleMs)).toEqual([])
      const other = await freshTopic(log)
      await commitOnce(log, other, ['d'])
      reader.seek({ topic: other, partition: 0, offset: 0 })
      expect(await take(reader, 1)).toEqual(['d'])
      await commitOnce(log, topic, ['e'])
      expect(await take(reader, 1)).toEqual(['e'])
      await reader.close()
    })

    it('does not fetch what is paused, and goes on after resume', async () => {
      const { log, options } = suite()
      const topic = await freshTopic(log, 2)
      const reader = readerAt(
        log,
        [0, 1].map((partition) => ({ topic, partition, offset: 0 })),
      )
      await commitOnce(log, topic, [
        { partition: 0, value: 'p' },
        { partition: 1, value: 'q' },
      ])
      expect((await take(reader, 2)).sort()).toEqual(['p', 'q'])
      reader.pause({ topic, partition: 0 })
      expect(await values(reader, options.settleMs)).toEqual([])
      await commitOnce(log, topic, [
        { partition: 0, value: 'p2' },
        { partition: 1, value: 'q2' },
      ])
      expect(await take(reader, 1)).toEqual(['q2'])
      expect(await values(reader, options.settleMs)).toEqual([])
      reader.resume({ topic, partition: 0 })
      expect(await take(reader, 1)).toEqual(['p2'])
      await reader.close()
    })

    it('waits as long as it is told, and no longer when records come', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const reader = readerAt(log, [{ topic, partition: 0, offset: 0 }])
      const start = world.clock.monotonic()
      expect(await reader.poll(0)).toEqual([])
      const afterNone = world.clock.monotonic()
      expect(afterNone - start).toBeLessThan(5_000)
      expect(await reader.poll(150)).toEqual([])
      const afterWait = world.clock.monotonic()
      expect(afterWait - afterNone).toBeGreaterThan(100)
      expect(afterWait - afterNone).toBeLessThan(10_000)
      const waiting = take(reader, 1)
      await commitOnce(log, topic, ['a'])
      expect(await waiting).toEqual(['a'])
      await reader.close()
    })

    it('is woken', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const reader = readerAt(log, [{ topic, partition: 0, offset: 0 }])
      const start = world.clock.monotonic()
      const waiting = reader.poll(25_000)
      await world.timers.sleep(20)
      reader.wake()
      expect(await waiting).toEqual([])
      expect(world.clock.monotonic() - start).toBeLessThan(10_000)
      await reader.close()
    })

    it('names an offset that is out of range, and goes on after a seek', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      await commitOnce(log, topic, ['a', 'b'])
      await readUntil(log, topic, ([first]) => first?.length === 2)
      const reader = readerAt(log, [{ topic, partition: 0, offset: 1_000 }])
      const error = await refusal('STREAM_OFFSET_OUT_OF_RANGE', async () => {
        const end = world.clock.monotonic() + 30_000
        while (world.clock.monotonic() < end) await reader.poll(200)
      })
      expect(error.message).toContain(`${topic}-0`)
      expect(error.message).toContain('1000')
      reader.seek({ topic, partition: 0, offset: 0 })
      expect(await take(reader, 2)).toEqual(['a', 'b'])
      await reader.close()
    })
  })
}
