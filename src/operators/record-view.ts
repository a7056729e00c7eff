// What callbacks get as `record`: the record they are called for, with where its input came from. Never the context itself, which changes.
import { type Headers, headersToText } from '../base/record.ts'
import type { RecordContext } from './operator.ts'

/** A class, because an object literal with a getter costs ten times as much, and most callbacks do not look. */
export class RecordView {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: unknown
  readonly value: unknown
  readonly #headers: Headers

  constructor(context: RecordContext, key: unknown, value: unknown, timestamp: number) {
    this.topic = context.topic
    this.partition = context.partition
    this.offset = context.offset
    this.timestamp = timestamp
    this.key = key
    this.value = value
    this.#headers = context.headers
  }

  /** Text by name, made when it is asked for. */
  get headers(): Readonly<Record<string, string>> {
    return headersToText(this.#headers)
  }
}

export function recordView(context: RecordContext, key: unknown, value: unknown, timestamp: number): RecordView {
  return new RecordView(context, key, value, timestamp)
}
