// A worker in little, for tests that kill it or its broker: copies numbers to a topic, epoch by epoch, exactly once.
// As a program (`node copy.ts brokers version input out id count`) it prints a line whenever an epoch is flushed and not yet committed.
import { MillraceError } from '../../src/base/errors.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import { open, world } from './running.ts'

/** Copies numbers 0..count to a topic, epoch by epoch, and goes back to what is committed whenever an epoch is in doubt: the loop of
 *  a worker in little. `between` strikes in the middle of an epoch. */
export async function copyNumbers(
  log: Log,
  writer: Writer,
  out: string,
  input: string,
  count: number,
  between: (epoch: number) => Promise<void> | void,
  flushed: () => void = () => {},
): Promise<number> {
  const groupId = `group-of-${out}`
  let rewinds = 0
  let epoch = 0
  const start = async (): Promise<number> => {
    for (;;) {
      try {
        await writer.init()
        const [found] = await log.committed(groupId, [{ topic: input, partition: 0 }])
        return found?.offset ?? 0
      } catch (error) {
        if (!(error instanceof MillraceError) || error.disposition === 'stop') throw error
        await world.timers.sleep(50)
      }
    }
  }
  for (let next = await start(); next < count; ) {
    try {
      const end = Math.min(next + 500, count)
      for (let i = next; i < end; i++) writer.append(out, i % 4, i, null, Buffer.from(`${i}`), NO_HEADERS)
      await writer.drain()
      await between(epoch++)
      writer.seal()
      await writer.flush()
      flushed()
      await writer.commit(null, groupId, [{ topic: input, partition: 0, offset: end, metadata: '' }])
      next = end
    } catch (error) {
      if (!(error instanceof MillraceError) || error.disposition !== 'rewind') throw error
      rewinds++
      next = await start()
    }
  }
  return rewinds
}

if (import.meta.main) {
  const [brokers = '', version, input = '', out = '', id = '', count] = process.argv.slice(2)
  const log = await open(brokers, { transactionVersion: version === '1' ? 1 : 2 })
  await log.topics([input, out])
  const writer = log.writer({ transactionalId: id, guarantee: 'exactly_once' })
  await copyNumbers(
    log,
    writer,
    out,
    input,
    Number(count),
    () => {},
    () => console.log('flushed'),
  )
  await log.close()
}
