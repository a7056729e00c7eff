// What the barrier asks of its writer and its participants, and in which order: every step of an epoch may fail, and after that nothing
// is asked again before `recover`.
import { describe, expect, it } from 'vitest'
import { Barrier, type Participant } from '../../src/barrier/barrier.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import type { Guarantee, Writer } from '../../src/log/log.ts'

type Step = 'seal' | 'flush' | 'commit' | 'apply'

function made(guarantee: Guarantee, fails: Step | null): { readonly barrier: Barrier; readonly steps: string[]; begin(): void } {
  const steps: string[] = []
  const step = (name: Step): void => {
    steps.push(name)
    if (name === fails) throw new MillraceError('STREAM_DOUBT', `injected at ${name}`)
  }
  const writer: Writer = {
    bufferedBytes: 0,
    async init() {},
    append: () => void steps.push('changelog'),
    async drain() {},
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
  return { barrier, steps, begin }
}

describe('an epoch', () => {
  it('exactly_once: changelogs, flush, offsets with the end, and only then the disk', async () => {
    const { barrier, steps, begin } = made('exactly_once', null)
    begin()
    await barrier.settled()
    expect(steps).toEqual(['changelog', 'seal', 'flush', 'app@5', 'commit', 'end 7', 'apply'])
  })

  it('at_least_once: the disk before the offsets, so that no state is behind what was taken', async () => {
    const { barrier, steps, begin } = made('at_least_once', null)
    begin()
    await barrier.settled()
    expect(steps).toEqual(['changelog', 'seal', 'flush', 'end 7', 'apply', 'app@5', 'commit'])
  })

  const upTo: readonly (readonly [Guarantee, Step, readonly string[]])[] = [
    ['exactly_once', 'seal', ['changelog', 'seal']],
    ['exactly_once', 'flush', ['changelog', 'seal', 'flush']],
    ['exactly_once', 'commit', ['changelog', 'seal', 'flush', 'app@5', 'commit']],
    ['exactly_once', 'apply', ['changelog', 'seal', 'flush', 'app@5', 'commit', 'end 7', 'apply']],
    ['at_least_once', 'apply', ['changelog', 'seal', 'flush', 'end 7', 'apply']],
    ['at_least_once', 'commit', ['changelog', 'seal', 'flush', 'end 7', 'apply', 'app@5', 'commit']],
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
