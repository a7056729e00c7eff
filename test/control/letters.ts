// Dead letters on a log as a task leaves them, what is asked of them, and what lies in topics then.
import type { LogRecord } from '../../src/base/record.ts'
import type { DeadLetterAsk } from '../../src/control/dead-letter-ask.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import { deadLetter } from '../../src/runtime/dead-letter.ts'

/** A letter; what is not said of it does not matter. */
export interface Given {
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly key?: Buffer | null
  readonly value?: Buffer | null
  readonly timestamp?: number
  readonly headers?: LogRecord['headers']
  /** Its key waits, and it comes back by this topic. */
  readonly returnsTo?: string
}

/** As a task leaves them. */
export async function layLetters(log: Log, letters: string, given: readonly Given[]): Promise<void> {
  const writer = log.writer({ transactionalId: 'task', guarantee: 'exactly_once' })
  await writer.init()
  for (const {
    topic = 'in',
    partition = 0,
    offset = 0,
    key = Buffer.from('k'),
    value = Buffer.from('1'),
    timestamp = 5,
    headers = [],
    returnsTo = null,
  } of given) {
    const letter = deadLetter(topic, partition, { offset, timestamp, key, value, headers }, new Error('why\nnot'), returnsTo)
    writer.append(letters, partition % 3, timestamp, letter.key, letter.value, letter.headers)
  }
  await finishEpoch(writer)
}

export async function finishEpoch(writer: Writer): Promise<void> {
  writer.seal()
  await writer.flush()
  await writer.commit(null, '', [])
  await writer.close()
}

/** All that a reader of committed records sees. */
export async function recordsIn(log: Log, topic: string, partition: number): Promise<LogRecord[]> {
  const [end] = (await log.offsets([{ topic, partition }], 'settled')) as [number]
  const reader = log.reader()
  reader.assign([{ topic, partition, offset: 0 }])
  const records: LogRecord[] = []
  for (let position = 0; position < end; )
    for (const chunk of await reader.poll(100)) {
      records.push(...chunk.records)
      position = chunk.position
    }
  await reader.close()
  return records
}
export async function asked(control: ControlHandler, ask: DeadLetterAsk): Promise<Record<string, any>[]> {
  const all: Record<string, any>[] = []
  for await (const lines of control.deadLetters(ask, new AbortController().signal)) all.push(...lines.map((line) => JSON.parse(line)))
  return all
}
