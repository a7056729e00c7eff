// What callbacks get as `record`: the record they are called for, with where its input came from. Never the context itself, which changes.
import { headersToText } from '../base/record.ts'
import type { RecordContext } from './operator.ts'

export interface RecordView {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: unknown
  readonly value: unknown
  /** Text by name, made when it is asked for. */
  readonly headers: Readonly<Record<string, string>>
}

export function recordView(context: RecordContext, key: unknown, value: unknown, timestamp: number): RecordView {
  const { topic, partition, offset, headers } = context
  return {
    topic,
    partition,
    offset,
    timestamp,
    key,
    value,
    get headers() {
      return headersToText(headers)
    },
  }
}
