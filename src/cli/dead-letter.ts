// `millrace dead-letter list | replay | drop`: the records that an application has given up. Status 1 where one that was meant could not be
// replayed, or where a named one is not pending.
import { durationMs } from '../base/duration.ts'
import { explain, MillraceError } from '../base/errors.ts'
import { systemWorld } from '../base/system.ts'
import { type DeadLetterAsk, LETTER_PLACE } from '../control/dead-letter-ask.ts'
import { outputTo } from './output.ts'
import { type ReachFlags, reach } from './reach.ts'

export interface LetterFlags extends ReachFlags {
  readonly offset?: readonly string[]
  readonly key?: string
  readonly since?: string
  readonly limit?: number
  readonly rate?: number
  readonly all?: boolean
  readonly toInput?: boolean
  readonly json?: boolean
}

/** `--topology` names the file; `--topic`, of the letters, comes beside it. */
type Flags = LetterFlags & { readonly topic?: string }

interface ShownLetter {
  readonly offset: string
  readonly from: { readonly topic: string; readonly partition: number; readonly offset: number } | null
  readonly error: string | null
  readonly message: string | null
  readonly key: unknown
  readonly timestamp: number
  readonly done?: boolean
  readonly blocksKey?: boolean
}

type Word = ShownLetter | { readonly absent: string }
type Step = { readonly done: number } | { readonly refused: string; readonly reason: string } | { readonly absent: string }

export async function listLetters(flags: Flags): Promise<void> {
  const absent: string[] = []
  await reachLetters({ ...askOf('list', flags), ...(flags.all === true ? { all: true } : {}) }, flags, async (lines) => {
    const output = outputTo(process.stdout)
    for (const line of lines) {
      const word = JSON.parse(line) as Word
      if ('absent' in word) absent.push(word.absent)
      else output.line(flags.json === true ? line : row(word))
    }
    await output.flush()
  })
  if (absent.length > 0) throw missing(absent)
}

export async function settleLetters(act: 'replay' | 'drop', flags: Flags): Promise<void> {
  const ask = askOf(act, flags)
  const chosen = [flags.offset, flags.key, flags.topic, flags.since, flags.limit].some((one) => one !== undefined)
  if (act === 'drop' && chosen === (flags.all === true))
    throw usage(
      `${chosen ? '--all goes with no other choice' : 'drop which? choose with --offset, --key, --topic, --since or --limit, or say --all'}`,
    )
  const absent: string[] = []
  let done = 0
  let refused = 0
  let failure: unknown = null
  try {
    await reachLetters(ask, flags, async (lines) => {
      for (const line of lines) {
        const step = JSON.parse(line) as Step
        if ('done' in step) done += step.done
        else if ('absent' in step) absent.push(step.absent)
        else {
          refused++
          process.stderr.write(`millrace: ${step.refused} is not replayed: ${step.reason}\n`)
        }
      }
    })
  } catch (error) {
    failure = error
  }
  // Also of one that failed half-way: what was done is done.
  if (failure === null || done > 0) {
    const output = outputTo(process.stdout)
    const what = act === 'replay' ? 'replayed' : 'dropped'
    if (flags.json === true) output.line(JSON.stringify({ [what]: done, ...(act === 'replay' ? { refused } : {}) }))
    else output.line(`${done} dead letter${done === 1 ? '' : 's'} ${what}`)
    await output.flush()
  }
  if (failure !== null) throw failure
  if (absent.length > 0) throw missing(absent)
  if (refused > 0)
    throw new MillraceError('STREAM_USAGE', `${refused} of them could not be replayed; drop them, or mend what is said above`, {
      disposition: 'stop',
    })
}

async function reachLetters(ask: DeadLetterAsk, flags: ReachFlags, take: (lines: readonly string[]) => Promise<void>): Promise<void> {
  const reached = await reach(flags, false)
  const stop = new AbortController()
  const end = (): void => stop.abort()
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  try {
    for await (const lines of reached.control.deadLetters(ask, stop.signal)) {
      await take(lines)
      if (stop.signal.aborted) break
    }
  } finally {
    await reached.close()
  }
}

function askOf(act: DeadLetterAsk['act'], flags: Flags): DeadLetterAsk {
  for (const place of flags.offset ?? [])
    if (!LETTER_PLACE.test(place)) throw usage(`--offset must be partition:offset, such as 0:17, not ${JSON.stringify(place)}`)
  // As `list` shows it: 0:7, not 0:07.
  const offsets = flags.offset?.map((place) => place.split(':').map(Number).join(':'))
  const { key, topic, limit, rate, toInput } = flags
  const since = flags.since === undefined ? undefined : timeOf(flags.since)
  const given = Object.entries({ offsets, key, topic, since, limit, ...(act === 'replay' ? { rate, toInput } : {}) })
  return { act, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) }
}

function timeOf(text: string): number {
  if (/^\d+(ms|s|m|h|d)$/.test(text)) return Math.max(0, systemWorld().clock.now() - durationMs(text, '--since'))
  const time = /^\d{1,16}$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isSafeInteger(time) && time >= 0) return time
  throw usage(`--since must be epoch ms, an ISO date or a duration such as 2h, not ${JSON.stringify(text)}`)
}

/** Fixed places, so that it needs no end to begin. */
function row({ offset, from, error, message, key, timestamp, done, blocksKey }: ShownLetter): string {
  const origin = from === null ? '?' : `${from.topic}-${from.partition}@${from.offset}`
  const words = [
    offset.padEnd(10),
    origin.padEnd(24),
    when(timestamp).padEnd(24),
    (typeof key === 'string' ? key : JSON.stringify(key)).padEnd(16),
    (error ?? '?').padEnd(18),
    ...(done === true ? ['(done)'] : []),
    ...(blocksKey === true ? ['(its key waits)'] : []),
    message ?? '',
  ]
  return printable(words.join('  ')).trimEnd()
}

/** Times of producers that write microseconds are beyond what a date can be. */
function when(timestamp: number): string {
  const date = new Date(timestamp)
  return Number.isNaN(date.getTime()) ? String(timestamp) : date.toISOString()
}

/** A key or a message must not move the cursor of whoever reads the list. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}

function missing(absent: readonly string[]): MillraceError {
  const them = absent.join(', ')
  return new MillraceError('STREAM_USAGE', `no pending dead letter ${them}: replayed or dropped before, or never there`, {
    disposition: 'stop',
  })
}

function usage(message: string): MillraceError {
  return new MillraceError('STREAM_USAGE', `dead-letter: ${explain(message)}`)
}
