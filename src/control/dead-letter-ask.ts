// What is asked of the dead letters of an application: which ones, and what is to become of them. Plain data; it crosses the control socket.

export interface DeadLetterAsk {
  readonly act: 'list' | 'replay' | 'drop'
  /** `partition:offset` in the dead-letter topic. */
  readonly offsets?: readonly string[]
  /** As `list` shows it. */
  readonly key?: string
  /** The topic that the records were read from. */
  readonly topic?: string
  /** Records of this time or later, epoch ms. */
  readonly since?: number
  /** At most so many. */
  readonly limit?: number
  /** Records a second; of replays. */
  readonly rate?: number
  /** Those that keep their key waiting go to the topic that they were read from: the application runs without blockKey now. Of replays. */
  readonly toInput?: boolean
  /** Those that are done with, too; of lists. */
  readonly all?: boolean
}

export const LETTER_PLACE = /^(\d{1,9}):(\d{1,15})$/

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): boolean => typeof value === 'string'

const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  act: (value) => value === 'list' || value === 'replay' || value === 'drop',
  offsets: (value) => Array.isArray(value) && value.every((one) => isText(one) && LETTER_PLACE.test(one as string)),
  key: isText,
  topic: isText,
  since: isCount,
  limit: isCount,
  rate: (value) => isCount(value) && (value as number) >= 1,
  toInput: (value) => typeof value === 'boolean',
  all: (value) => typeof value === 'boolean',
}

/** A field that this version does not know could narrow what is meant: it is refused, not passed over. */
export function isDeadLetterAsk(ask: unknown): ask is DeadLetterAsk {
  if (typeof ask !== 'object' || ask === null || !('act' in ask)) return false
  return Object.entries(ask).every(([name, value]) => Object.hasOwn(FIELDS, name) && FIELDS[name]?.(value) === true)
}
