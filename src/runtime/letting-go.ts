// A record that a task gives up: whether it may be, what it is called, and what the policy makes of it.
import type { ErrorPolicy } from '../base/error-policy.ts'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { NotYet } from '../base/not-yet.ts'
import type { LogRecord, TopicPartition } from '../base/record.ts'
import type { Blame } from './blame.ts'
import { deadLetter } from './dead-letter.ts'
import type { Head, InputQueue } from './input-queue.ts'
import type { SourceEntry } from './program.ts'
import type { TaskCounts, TaskParts, TaskStore } from './task-parts.ts'

/** Logs take no later time; producers that write nanoseconds do come with one. */
export const TIMESTAMP_MAX = LIMITS.timestampMax

/** A record with another timestamp is skipped or given up. */
export function isTime(timestamp: number): boolean {
  return Number.isSafeInteger(timestamp) && timestamp >= 0 && timestamp <= TIMESTAMP_MAX
}

export interface LettingGo {
  readonly at: string
  /** With the input that it is of, its key's later records may have to wait. */
  readonly from: TopicPartition & { readonly entries?: readonly SourceEntry[] }
  readonly record: LogRecord
  readonly policy: ErrorPolicy
  readonly error: unknown
}

/** Stages the dead letter, where there is one, and keeps its key waiting, where that is wanted. */
export function letGo(parts: TaskParts, counts: TaskCounts, { at, from, record, policy, error }: LettingGo): void {
  const { deadLetterTopic, partitionsOf, program, givenUp } = parts
  if (policy === 'fail') {
    const code = error instanceof MillraceError ? error.code : 'STREAM_CALLBACK'
    const reason = explain(error)
    const what = reason.startsWith(at) ? reason : `${at}: ${reason}`
    throw new MillraceError(code, `${what}; the policy is to stop: mend it, or choose deadLetter or skip`, {
      cause: error,
      disposition: 'stop',
    })
  }
  if (policy === 'skip') {
    counts.skipped++
    givenUp(at, 'skipped', error)
    return
  }
  const partition = from.partition % partitionsOf(deadLetterTopic)
  const { key } = record
  const blocks = key === null || key.length > LIMITS.keyBytesMax ? [] : (from.entries ?? []).flatMap(({ block }) => block ?? [])
  counts.deadLetters++
  givenUp(at, 'dead letter', error)
  program.staged.push({
    topic: deadLetterTopic,
    partition,
    timestamp: Math.min(Math.max(0, record.timestamp), TIMESTAMP_MAX),
    ...deadLetter(from.topic, from.partition, record, error, blocks[0]?.topic ?? null),
  })
  for (const block of blocks) block.mark(from.topic, key as Buffer, record.offset)
}

/** What operators must know of a record although it was undone. Where that fails too, what that one wrote is not kept: the others' is, and so is
 *  what its dead letter has written (the mark of its key). */
export function keepOfUndone({ entries }: Pick<InputQueue, 'entries'>, head: Head, stores: readonly Pick<TaskStore, 'overlay'>[]): void {
  for (const undone of entries.flatMap((entry) => entry.undone)) {
    for (const { overlay } of stores) overlay.mark()
    try {
      undone(head.key, head.value, head.timestamp, head.old)
    } catch (error) {
      for (const { overlay } of stores) overlay.rollback()
      if (!parkable(error)) throw error
    }
  }
}

/** Falls under the policy of the source that reads it. */
export function undecodable(queue: InputQueue, head: Head, { source }: SourceEntry, blame: Blame): MillraceError {
  if (head.problem instanceof NotYet) return head.problem
  const error = new MillraceError('STREAM_SERDE', `${recordName(queue, head.record)} can't be decoded`, { cause: head.problem })
  blame.note(error, source.onError ?? 'deserialization')
  return error
}

export function misdated(queue: InputQueue, { timestamp }: Head, { source }: SourceEntry, blame: Blame): MillraceError {
  const error = new MillraceError('STREAM_SERDE', `timestamp ${timestamp} of a record of ${queue.topic} is no epoch time in ms`)
  blame.note(error, source.onError ?? null)
  return error
}

/** Errors of a record, as against those of the machinery below it (a damaged store, a fenced writer). */
export function parkable(error: unknown): boolean {
  return !(error instanceof MillraceError) || error.disposition === 'park' || error.code === 'STREAM_TOPIC_MISSING'
}

export function recordName({ topic, partition }: TopicPartition, { offset }: { readonly offset: number }): string {
  return `${topic}-${partition}@${offset}`
}
