import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { systemWorld } from '../../src/base/system.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { gapOf, type Held, refuseGap } from '../../src/runtime/changelog.ts'

const held = (checkpoint: number | null, earliest: number, end: number): Held => ({
  checkpoint: checkpoint === null ? null : { changelogOffset: checkpoint },
  earliest,
  end,
})

describe('what a changelog lacks', () => {
  it('is nothing where the checkpoint lies in it, or there is none and it is whole', () => {
    for (const sound of [held(null, 0, 0), held(null, 0, 9), held(0, 0, 0), held(5, 0, 9), held(5, 5, 5), held(9, 3, 9)])
      expect(gapOf(sound)).toBeNull()
  })

  it('is its head or its end', () => {
    expect(gapOf(held(null, 1, 9))).toMatch(/begins at offset 1, and the store needs it from 0/)
    expect(gapOf(held(4, 5, 9))).toMatch(/begins at offset 5, and the store needs it from 4/)
    expect(gapOf(held(10, 0, 9))).toMatch(/ends at offset 9, and the store has been at 10/)
  })

  it('is refused by name once the group has committed, and only then', async () => {
    const log = memoryLog(systemWorld())
    await log.createTopics([{ name: 'in', partitions: 1, kind: 'plain' }])
    const [changelog, inputs] = [{ topic: 'app-n-changelog', partition: 0 }, [{ topic: 'in', partition: 0 }]]
    const look = (of: Held): Promise<void> => refuseGap(log, 'app', 'n', changelog, of, inputs)
    await look(held(10, 0, 9))
    const writer = log.writer({ transactionalId: 'w', guarantee: 'exactly_once' })
    await writer.init()
    writer.seal()
    await writer.commit(null, 'app', [{ topic: 'in', partition: 0, offset: 3, metadata: '' }])
    await look(held(9, 0, 9))
    const error = await look(held(10, 0, 9)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({ code: 'STREAM_TOPIC_MISMATCH', disposition: 'stop' })
    expect((error as MillraceError).message).toMatch(/store n: its changelog app-n-changelog-0 ends at offset 9/)
    await log.close()
  })
})
