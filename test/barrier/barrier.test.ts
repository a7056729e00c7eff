// What the barrier asks of its writer and its participants, and in which order: every step of an epoch may fail, and after that nothing
// is asked again before `recover`.
import { describe, expect, it } from 'vitest'
import { Barrier, type Participant } from '../../src/barrier/barrier.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import type { Guarantee, Writer } from '../../src/log/log.ts'

type Step = 'seal' | 'flush' | 'commit' | 'apply'

/** At least once: first what others see, then what a store is restored from. */
const OUTPUTS = ['seal', 'flush', 'app@', 'commit']
const CHANGELOGS = ['changelog', 'seal', 'flush']

function made(
  guarantee: Guarantee,
  fails: Step | null,
  drain = async (): Promise<void> => {},
): { readonly barrier: Barrier; readonly steps: string[]; readonly writer: Writer; begin(): void } {
  const steps: string[] = []
  const step = (name: Step): void => {
    steps.push(name)
    if (name === fails) throw new MillraceError('STREAM_DOUBT', `injected at ${name}`)
  }
  const writer: Writer = {
    bufferedBytes: 0,
    async init() {},
    append: () => void steps.push('changelog'),
    drain,
    seal: () => step('seal'),
    async flush() {
      step('flush')
      return new Map([['changelog-0', 7]])
    },
    async commit(_identity, groupId, offsets) {
      steps.push(`${groupId}@${offsets.map(({ offset }) => offset).join()}`)
      step('commit')
    },
    async close() {},
  }
  const participant: Participant = {
    seal(append) {
      append('changelog', 0, 0, null, null, NO_HEADERS)
      return [{ topic: 'in', partition: 0, offset: 5, metadata: '' }]
    },
    async applied(ends) {
      steps.push(`end ${ends.get('changelog-0')}`)
      step('apply')
    },
  }
  const barrier = new Barrier({
    writer,
    guarantee,
    groupId: 'app',
    identity: () => null,
    limits: { intervalMs: 1, recordsMax: 10, bytesMax: 10 },
    world: systemWorld(),
  })
  const begin = (): void => {
    barrier.worked(1)
    barrier.begin([participant])
  }
  return { barrier, steps, writer, begin }
}

describe('an epoch', () => {
  it('exactly_once: changelogs, flush, offsets with the end, and only then the disk', async () => {
    const { barrier, steps, begin } = made('exactly_once', null)
    begin()
    await barrier.settled()
    expect(steps).toEqual(['changelog', 'seal', 'flush', 'app@5', 'commit', 'end 7', 'apply'])
  })

  it('at_least_once: outputs, changelogs, the disk, offsets: no state knows of what was not put out or is ahead of it', async () => {
    const { barrier, steps, begin } = made('at_least_once', null)
    begin()
    await barrier.settled()
    expect(steps).toEqual([...OUTPUTS, ...CHANGELOGS, 'end 7', 'apply', 'app@5', 'commit'])
  })

  it('at_least_once: the changelog of a store is written when those of the stores that it feeds are there', async () => {
    const { barrier, steps, writer } = made('at_least_once', null)
    const flushed: string[] = []
    let appended: string[] = []
    writer.append = (topic) => void appended.push(topic)
    writer.flush = async () => {
      flushed.push(appended.join())
      appended = []
      return new Map(flushed.at(-1) === '' ? [] : [[`${flushed.at(-1)?.split(',')[0]}-0`, flushed.length]])
    }
    const ends: string[][] = []
    const of = (...topics: string[]): Participant => ({
      seal(append) {
        for (const topic of topics) append(topic, 0, 0, null, null, NO_HEADERS)
        return []
      },
      async applied(all) {
        ends.push([...all].map(([at, end]) => `${at}@${end}`))
      },
    })
    barrier.worked(1)
    barrier.begin([of('register', 'register', 'sums', 'totals'), of('other')])
    await barrier.settled()
    expect(flushed).toEqual(['', 'totals,other', 'sums', 'register,register'])
    expect(ends[0]).toEqual(['totals-0@2', 'sums-0@3', 'register-0@4'])
    expect(steps.filter((step) => step === 'seal')).toHaveLength(4)
  })

  it.each<Guarantee>(['exactly_once', 'at_least_once'])(
    '%s: who waits for the writer is let go when a store fails, or nobody would ever rewind',
    async (guarantee) => {
      const { barrier, begin } = made(guarantee, 'apply', () => new Promise(() => {}))
      begin()
      await barrier.drained()
      expect(barrier.failure).not.toBeNull()
      await barrier.drained()
    },
  )

  const upTo: readonly (readonly [Guarantee, Step, readonly string[]])[] = [
    ['exactly_once', 'seal', ['changelog', 'seal']],
    ['exactly_once', 'flush', ['changelog', 'seal', 'flush']],
    ['exactly_once', 'commit', ['changelog', 'seal', 'flush', 'app@5', 'commit']],
    ['exactly_once', 'apply', ['changelog', 'seal', 'flush', 'app@5', 'commit', 'end 7', 'apply']],
    ['at_least_once', 'seal', ['seal']],
    ['at_least_once', 'flush', ['seal', 'flush']],
    ['at_least_once', 'apply', [...OUTPUTS, ...CHANGELOGS, 'end 7', 'apply']],
  ]
  it.each(upTo)('%s, failed at %s: nothing is asked twice and nothing after it', async (guarantee, fails, expected) => {
    const { barrier, steps, begin } = made(guarantee, fails)
    begin()
    await expect(barrier.settled()).rejects.toThrow(`injected at ${fails}`)
    await new Promise((resolve) => setImmediate(resolve))
    expect(steps).toEqual(expected)
    expect(() => barrier.worked(1)).toThrow('injected')
    expect(barrier.due(1_000)).toBe(false)
    barrier.recover()
    barrier.worked(1)
    expect(barrier.open).toBe(true)
  })
})
