// What an embedded log holds after it was closed, or its process died: exactly what was committed, whoever wrote between whom.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import {
  append,
  commit,
  commitOnce,
  committedValues,
  freshWriter,
  position,
  readUntil,
  refusal,
  take,
  textOf,
} from '../contract/log/steps.ts'
import { withDirectory, withLog, world } from './directories.ts'

const topic = 'topic'

async function everything(log: Log): Promise<string[]> {
  const [end] = await log.offsets([{ topic, partition: 0 }], 'latest')
  const [records] = await readUntil(log, topic, (_, positions) => positions[0] === end)
  return (records ?? []).map((record) => `${record.offset} ${textOf(record)}`)
}

describe('an embedded log that is opened again', { timeout: 120_000 }, () => {
  it('has topics, records, offsets and the ends of its partitions', async () => {
    await withDirectory(async (dir) => {
      await withLog(dir, async (log) => {
        await log.createTopics([{ name: topic, partitions: 3, kind: 'repartition' }])
        const writer = await freshWriter(log)
        writer.append(topic, 1, 7, Buffer.from('k'), null, [
          ['h', Buffer.from('v')],
          ['n', null],
        ])
        writer.append(topic, 1, 8, null, Buffer.alloc(LIMITS.recordBytesMax, 'x'), NO_HEADERS)
        await commit(writer, { groupId: 'grüppe', offsets: [position(topic, 2, 5, 'µ'), position('gone', 0, 1)] })
        append(writer, topic, [{ partition: 1, value: 'open' }])
      })
      await withLog(dir, async (log) => {
        expect([...(await log.topics([topic])).values()]).toEqual([{ name: topic, partitions: 3 }])
        expect(
          await log.offsets(
            [0, 1, 2].map((partition) => ({ topic, partition })),
            'latest',
          ),
        ).toEqual([0, 2, 0])
        expect(await log.committed('grüppe', [{ topic, partition: 2 }])).toEqual([position(topic, 2, 5, 'µ')])
        const [, records] = await readUntil(log, topic, (of) => of[1]?.length === 2, { partitions: 3 })
        expect(records?.[0]).toEqual({
          offset: 0,
          timestamp: 7,
          key: Buffer.from('k'),
          value: null,
          headers: [
            ['h', Buffer.from('v')],
            ['n', null],
          ],
        })
        expect(records?.[1]?.value?.equals(Buffer.alloc(LIMITS.recordBytesMax, 'x'))).toBe(true)
      })
    })
  })

  it('never gives an offset again that a reader may have passed', async () => {
    await withDirectory(async (dir) => {
      const before = await withLog(dir, async (log) => {
        await log.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
        await commitOnce(log, topic, ['a'])
        const writer = await freshWriter(log)
        append(writer, topic, ['dropped', 'dropped'])
        await writer.init()
        const [end] = await log.offsets([{ topic, partition: 0 }], 'latest')
        let at = -1
        await readUntil(log, topic, (_, positions) => {
          at = positions[0] as number
          return at === end
        })
        return at
      })
      await withLog(dir, async (log) => {
        await commitOnce(log, topic, ['b'])
        const [records] = await readUntil(log, topic, ([of]) => of?.length === 2)
        expect(records?.map(textOf)).toEqual(['a', 'b'])
        expect(records?.[1]?.offset).toBeGreaterThanOrEqual(before)
      })
    })
  })

  it('has forgotten a deleted topic, its records and its offsets', async () => {
    await withDirectory(async (dir) => {
      await withLog(dir, async (log) => {
        await log.createTopics([
          { name: topic, partitions: 2, kind: 'plain' },
          { name: 'kept', partitions: 1, kind: 'plain' },
        ])
        const writer = await freshWriter(log)
        append(writer, topic, ['a', 'b'])
        append(writer, 'kept', ['c'])
        await commit(writer, { groupId: 'g', offsets: [position(topic, 0, 2), position('kept', 0, 1)] })
        await log.deleteTopics([topic])
      })
      await withLog(dir, async (log) => {
        expect(await log.topicNames()).toEqual(['kept'])
        await log.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
        expect(await everything(log)).toEqual([])
        expect(
          await log.committed('g', [
            { topic, partition: 0 },
            { topic: 'kept', partition: 0 },
          ]),
        ).toEqual([null, position('kept', 0, 1)])
        expect(await committedValues(log, 'kept')).toEqual(['c'])
      })
    })
  })

  it('reads on while partitions that were loaded first are paused', async () => {
    await withDirectory(async (dir) => {
      const partitions = Array.from({ length: 12 }, (_, partition) => ({ topic, partition }))
      await withLog(dir, async (log) => {
        await log.createTopics([{ name: topic, partitions: 12, kind: 'plain' }])
        await commitOnce(
          log,
          topic,
          partitions.map(({ partition }) => ({ partition, value: `p${partition}` })),
        )
      })
      await withLog(dir, async (log) => {
        for (const afterMs of [0, 20]) {
          const reader = log.reader()
          reader.assign(partitions.map((of) => ({ ...of, offset: 0 })))
          expect(await reader.poll(0)).toEqual([])
          if (afterMs > 0) await world.timers.sleep(afterMs)
          for (const of of partitions.slice(0, 8)) reader.pause(of)
          expect((await take(reader, 4)).sort()).toEqual(['p10', 'p11', 'p8', 'p9'])
          for (const of of partitions.slice(0, 8)) reader.resume(of)
          expect((await take(reader, 8)).sort()).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'])
          await reader.close()
        }
      })
    })
  })

  it('keeps a commit that was under way when its writer was replaced, or nothing of it', async () => {
    await withDirectory(async (dir) => {
      await withLog(dir, async (log) => {
        await log.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
        const [first, second, third] = [0, 1, 2].map(() => log.writer({ transactionalId: 'w', guarantee: 'exactly_once' }))
        await first?.init()
        append(first as Writer, topic, ['under way'])
        first?.seal()
        append(first as Writer, topic, ['open'])
        await first?.flush()
        const under = first?.commit(null, 'g', [position(topic, 0, 1)])
        // offsets of a commit under way are waited for
        expect(await log.committed('g', [{ topic, partition: 0 }])).toEqual([position(topic, 0, 1)])
        await under
        first?.seal()
        const again = first?.flush().then(() => first.commit(null, 'g', [position(topic, 0, 2)]))
        await Promise.resolve()
        await Promise.all([refusal('STREAM_FENCED', async () => await second?.init()), third?.init(), again])
        expect(await log.committed('g', [{ topic, partition: 0 }])).toEqual([position(topic, 0, 2)])
        await refusal('STREAM_FENCED', async () => await first?.flush())
        await refusal('STREAM_FENCED', async () => await second?.flush())
        append(third as Writer, topic, ['third'])
        await commit(third as Writer)
        expect(await everything(log)).toEqual(['0 under way', '1 open', '2 third'])
      })
      await withLog(dir, async (log) => expect(await everything(log)).toEqual(['0 under way', '1 open', '2 third']))
    })
  })

  it('has exactly the committed epochs of writers that came between each other', async () => {
    const step = fc.record({
      writer: fc.nat(2),
      kind: fc.constantFrom('append', 'append', 'seal', 'commit', 'commitTogether', 'drop'),
      count: fc.integer({ min: 1, max: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), fc.constantFrom(0, undefined), async (steps, cacheBytesMax) => {
        await withDirectory(async (dir) => {
          const expected = await withLog(
            dir,
            async (log) => {
              await log.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
              const writers: Writer[] = []
              for (let i = 0; i < 3; i++) writers.push(await freshWriter(log))
              const sealed = [false, false, false]
              const seal = (i: number): void => {
                if (!sealed[i]) writers[i]?.seal()
                sealed[i] = true
              }
              const end = async (i: number): Promise<void> => {
                seal(i)
                await writers[i]?.flush()
                await writers[i]?.commit(null, 'g', [position(topic, i, 1)])
                sealed[i] = false
              }
              let next = 0
              for (const { writer, kind, count } of steps) {
                if (kind === 'append') for (let i = 0; i < count; i++) append(writers[writer] as Writer, topic, [`${writer}-${next++}`])
                else if (kind === 'seal') seal(writer)
                else if (kind === 'commit') await end(writer)
                else if (kind === 'commitTogether') await Promise.all([end(0), end(1), end(2)])
                else {
                  await writers[writer]?.init()
                  sealed[writer] = false
                }
              }
              for (const writer of writers) await writer.init()
              return everything(log)
            },
            cacheBytesMax,
          )
          await withLog(dir, async (log) => expect(await everything(log)).toEqual(expected))
        })
      }),
      { numRuns: 60 },
    )
  })
})
