// Contract of a log: random epochs of two writers, committed or dropped at random. A committed reader sees what was committed,
// all of it, once, each writer's records in the order it wrote them, and nothing else; whatever the two did between each other.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Writer } from '../../../src/log/log.ts'
import { append, commit, commitOnce, fresh, freshTopic, freshWriter, position, readUntil, type SuiteOf, textOf } from './steps.ts'

type Step =
  | { readonly kind: 'append'; readonly writer: number; readonly partition: number; readonly count: number }
  | { readonly kind: 'commit' | 'drop' | 'dropFlushed'; readonly writer: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      writer: fc.nat(1),
      partition: fc.nat(1),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const), writer: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('drop' as const, 'dropFlushed' as const), writer: fc.nat(1) }) },
)

interface Side {
  readonly writer: Writer
  /** By partition: what is committed, and what is in the open epoch. */
  readonly committed: readonly [string[], string[]]
  open: [string[], string[]]
  epochs: number
}

export function propertyContract(suite: SuiteOf): void {
  describe('two writers at random', () => {
    it('a committed reader sees exactly what was committed', async () => {
      const { log, options } = suite()
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25, size: 'max' }), async (steps) => {
          const topic = await freshTopic(log, 2)
          const groupId = fresh('group')
          const sides: Side[] = []
          for (let i = 0; i < 2; i++) sides.push({ writer: await freshWriter(log), committed: [[], []], open: [[], []], epochs: 0 })
          let next = 0
          for (const each of steps) {
            const side = sides[each.writer] as Side
            if (each.kind === 'append') {
              for (let i = 0; i < each.count; i++) {
                const value = `${each.writer}:${next++}`
                append(side.writer, topic, [{ partition: each.partition, value }])
                side.open[each.partition]?.push(value)
              }
            } else if (each.kind === 'commit') {
              side.epochs++
              await commit(side.writer, { groupId, offsets: [position(topic, each.writer, side.epochs)] })
              for (const partition of [0, 1]) side.committed[partition]?.push(...(side.open[partition] ?? []))
              side.open = [[], []]
            } else {
              if (each.kind === 'dropFlushed') {
                side.writer.seal()
                await side.writer.flush()
              }
              await side.writer.init()
              side.open = [[], []]
            }
          }
          for (const side of sides) {
            await side.writer.init()
            await side.writer.close()
          }
          await commitOnce(log, topic, [
            { partition: 0, value: 'end' },
            { partition: 1, value: 'end' },
          ])
          const records = await readUntil(log, topic, (of) => of.every((p) => p.length > 0 && textOf(p.at(-1) as never) === 'end'), {
            partitions: 2,
          })
          for (const partition of [0, 1]) {
            const seen = records[partition]?.map(textOf).slice(0, -1) ?? []
            for (const writer of [0, 1]) {
              expect(seen.filter((value) => value.startsWith(`${writer}:`))).toEqual(sides[writer]?.committed[partition])
            }
            expect(seen.length).toBe(sides.reduce((sum, side) => sum + (side.committed[partition]?.length ?? 0), 0))
          }
          const offsets = await log.committed(groupId, [
            { topic, partition: 0 },
            { topic, partition: 1 },
          ])
          expect(offsets.map((of) => of?.offset ?? 0)).toEqual(sides.map((side) => side.epochs))
        }),
        { numRuns: options.propertyRuns, endOnFailure: options.propertyRuns < 20 },
      )
    })
  })
}
