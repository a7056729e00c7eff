// The processor's end of a front in a thread of its own: starts it, answers what it asks, ends it.
//
// Invariants
// 1. A batch of questions is one message, and what can be answered at once is one message back, in the same turn of the loop; where that takes
//    longer than LIMITS.turnMs, what is answered goes back and the rest has its turn behind the records.
// 2. A thread that ends unasked is told once, by `onFatal`: a processor that nobody can ask is not left running.
import { Worker as Thread } from 'node:worker_threads'
import { errorOf, errorWords } from '../base/crossing.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { type Answer, type Answering, type Ask, type Path, PATHS } from './asks.ts'
import type { FrontOptions } from './front.ts'
import {
  type AnswerWords,
  answerWords,
  type AskWords,
  askOf,
  ELSEWHERE,
  type FrontData,
  type FrontSaid,
  type FrontTold,
  NO_ROW,
  type RowAsks,
  rowOfLine,
} from './front-words.ts'
import type { Listener } from './listener.ts'
import { Refusal, refusalOf } from './refusal.ts'

/** src/ runs as it is, dist/ is built. */
const ENDING = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

export async function openFrontApart(
  { port, host, token, advertise, self, world, answered, ask }: FrontOptions,
  onFatal: (error: unknown) => void,
): Promise<Listener> {
  const data: FrontData = { port, host, token: token?.reveal() ?? null, advertise, self }
  const thread = new Thread(new URL(`./front-thread.${ENDING}`, import.meta.url), {
    name: 'millrace http',
    workerData: data,
    // What a user preloads (--import of an exporter of spans) is for the processor: here it would run, and send, a second time.
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const tell = (told: FrontTold): void => thread.postMessage(told)
  const desk = answersTo(ask, tell, world)
  const listens = Promise.withResolvers<number>()
  const closed = Promise.withResolvers<void>()
  let ending = false
  let listening = false
  const fail = (error: unknown): void => {
    closed.resolve()
    if (listening && !ending) onFatal(error)
    else listens.reject(error)
    ending = true
  }
  thread.on('message', (said: FrontSaid) => {
    switch (said.kind) {
      case 'asks':
        for (const [status, count] of said.answered) for (let i = 0; i < count; i++) answered(status)
        return desk.asks(said.asks, said.rows)
      case 'gone':
        return desk.gone(said.id)
      case 'listens':
        listening = true
        return listens.resolve(said.port)
      case 'failed':
        return listens.reject(errorOf(said.error))
      case 'closed':
        return closed.resolve()
      case 'log':
        return world.logger[said.level](said.fields, said.message)
    }
  })
  thread.on('error', fail)
  thread.on('messageerror', fail)
  thread.on('exit', (status) => fail(new MillraceError('STREAM_INTERNAL', `the thread of the HTTP server has ended (status ${status})`)))

  const end = async (): Promise<void> => {
    ending = true
    await thread.terminate()
  }
  const bound = await listens.promise.catch(async (error: unknown) => {
    await end()
    throw error
  })
  return {
    port: bound,
    async close() {
      ending = true
      tell({ kind: 'close' })
      const cancel = world.timers.after(LIMITS.frontCloseMs, closed.resolve)
      await closed.promise
      cancel()
      await end()
    },
  }
}

/** Answers batches of questions. */
export function answersTo(
  ask: Answering,
  tell: (told: FrontTold) => void,
  { clock, timers }: Pick<World, 'clock' | 'timers'>,
): { asks(asks: readonly AskWords[], rows: RowAsks | null): void; gone(id: number): void } {
  const leaving = new Map<number, AbortController>()
  const later = (id: number, answer: Promise<Answer>): void => {
    void answer
      .then(
        (late) => answerWords(id, late),
        (error: unknown) => failureWords(id, error),
      )
      .then((late) => {
        leaving.delete(id)
        tell({ kind: 'answers', answers: [late], rows: null, more: false })
      })
  }
  /** Null: it will be told later. */
  const now = (words: AskWords): AnswerWords | null => {
    const [id] = words
    try {
      const question = askOf(words)
      const gone = isLong(question) ? new AbortController() : null
      const answer = ask(question, gone?.signal ?? null)
      if (!(answer instanceof Promise)) return answerWords(id, answer)
      if (gone !== null) leaving.set(id, gone)
      later(id, answer)
      return null
    } catch (error) {
      return failureWords(id, error)
    }
  }
  /** The row's text; NO_ROW; or what goes with the others, null: it will be told later. */
  const row = (id: number, line: string): string | typeof NO_ROW | AnswerWords | null => {
    try {
      const answer = ask(rowOfLine(line), null)
      if (answer instanceof Promise) {
        later(id, answer)
        return null
      }
      return 'text' in answer && answer.status === 200 && answer.type === null ? answer.text : answerWords(id, answer)
    } catch (error) {
      return error instanceof Refusal && error.code === 'NOT_FOUND' ? NO_ROW : failureWords(id, error)
    }
  }
  const from = (asks: readonly AskWords[], rows: Lines, first: number): void => {
    const answers: AnswerWords[] = []
    const lengths: number[] = []
    let texts = ''
    const until = clock.monotonic() + LIMITS.turnMs
    const end = asks.length + rows.lines.length
    const firstRow = rows.first + Math.max(0, first - asks.length)
    let at = first
    do {
      if (at < asks.length) {
        const answer = now(asks[at] as AskWords)
        if (answer !== null) answers.push(answer)
        continue
      }
      const answer = row(rows.first + at - asks.length, rows.lines[at - asks.length] as string)
      if (typeof answer === 'string') {
        texts += answer
        lengths.push(answer.length)
      } else if (answer === NO_ROW) lengths.push(NO_ROW)
      else {
        lengths.push(ELSEWHERE)
        if (answer !== null) answers.push(answer)
      }
    } while (++at < end && clock.monotonic() < until)
    const more = at >= end
    tell({ kind: 'answers', answers, rows: lengths.length === 0 ? null : { first: firstRow, lengths, texts }, more })
    if (!more) void timers.turn().then(() => from(asks, rows, at))
  }
  return {
    asks: (asks, rows) => from(asks, rows === null ? NO_LINES : { first: rows.first, lines: rows.lines.split('\n') }, 0),
    gone(id) {
      leaving.get(id)?.abort()
    },
  }
}

interface Lines {
  readonly first: number
  readonly lines: readonly string[]
}

const NO_LINES: Lines = { first: 0, lines: [] }

const isLong = ({ name }: Ask): boolean => name !== 'live' && (PATHS[name] as Path).long === true

/** An error that is no answer crosses as it is: the front says that a request failed, and logs why. */
function failureWords(id: number, error: unknown): AnswerWords {
  const { code, progress } = refusalOf(error)
  return [id, code === 'INTERNAL' ? { error: errorWords(error) } : { refusal: code, progress }]
}
