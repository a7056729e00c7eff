// The desk as a front in a thread of its own sees it: what is asked goes over in batches, one message for a turn of the processor's loop.
//
// Invariants
// 1. One batch is on its way at a time; what is asked meanwhile goes with the next. So the processor is woken once a turn, however many ask.
// 2. Whatever is asked is answered by its number; what takes longer than a turn does not hold up the others.
import { errorOf } from '../base/crossing.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Answer, Answering } from './asks.ts'
import {
  type AnswerWords,
  type AskWords,
  askWords,
  ELSEWHERE,
  type FrontSaid,
  type FrontTold,
  NO_ROW,
  type RowAnswers,
  rowLine,
} from './front-words.ts'
import { NOT_FOUND, Refusal } from './refusal.ts'

export interface DeskLink {
  readonly ask: Answering
  /** Counts an answer, for the metrics of the other end. */
  count(status: number): void
  told(told: Extract<FrontTold, { readonly kind: 'answers' }>): void
}

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** What is not sent yet: by its number, or a row's line. */
type Asked = { readonly words: AskWords } | { readonly line: string; readonly asker: Waiting }

export function deskLink(say: (said: FrontSaid) => void, timers: Pick<World['timers'], 'turn'>): DeskLink {
  const waiting = new Map<number, Waiting>()
  let answered = new Map<number, number>()
  let queue: Asked[] = []
  let last = 0
  let due = false
  let underWay = false

  const send = (): void => {
    due = false
    if (queue.length === 0 || underWay) return
    underWay = true
    const asks: AskWords[] = []
    const first = last + 1
    let lines: string | null = null
    for (const asked of queue.slice(0, LIMITS.asksAtOnceMax)) {
      if ('words' in asked) {
        asks.push(asked.words)
        continue
      }
      waiting.set(++last, asked.asker)
      lines = lines === null ? asked.line : `${lines}\n${asked.line}`
    }
    queue = queue.slice(LIMITS.asksAtOnceMax)
    say({ kind: 'asks', asks, rows: lines === null ? null : { first, lines }, answered: [...answered] })
    answered = new Map()
  }

  const leave = (id: number): void => {
    const asker = waiting.get(id)
    if (asker === undefined) return
    const isIt = (asked: Asked): boolean => 'words' in asked && asked.words[0] === id
    if (!queue.some(isIt)) {
      say({ kind: 'gone', id })
      return
    }
    queue = queue.filter((asked) => !isIt(asked))
    waiting.delete(id)
    asker.reject(new Refusal('NOT_READY')) // nobody hears it
  }

  return {
    ask(ask, gone) {
      const line = gone === null ? rowLine(ask) : null
      // Others may have asked in the same turn.
      if (!due && !underWay) {
        due = true
        void timers.turn().then(send)
      }
      return new Promise((resolve, reject) => {
        const asker = { resolve, reject }
        if (line !== null) {
          queue.push({ line, asker })
          return
        }
        const id = ++last
        queue.push({ words: askWords(id, ask) })
        waiting.set(id, asker)
        gone?.addEventListener('abort', () => leave(id))
      })
    },
    count(status) {
      answered.set(status, (answered.get(status) ?? 0) + 1)
    },
    told({ answers, rows, more }) {
      if (more) {
        underWay = false
        send()
      }
      for (const words of answers) {
        const asker = waiting.get(words[0])
        waiting.delete(words[0])
        if (asker !== undefined) settle(asker, words)
      }
      if (rows !== null) settleRows(waiting, rows)
    },
  }
}

function settleRows(waiting: Map<number, Waiting>, { first, lengths, texts }: RowAnswers): void {
  let at = 0
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i] as number
    if (length === ELSEWHERE) continue
    const asker = waiting.get(first + i)
    waiting.delete(first + i)
    if (length === NO_ROW) asker?.reject(NOT_FOUND)
    else {
      asker?.resolve({ text: texts.slice(at, at + length), status: 200, type: null })
      at += length
    }
  }
}

function settle({ resolve, reject }: Waiting, words: AnswerWords): void {
  const [, found] = words
  if (typeof found === 'string') resolve({ text: found, status: words[2] as number, type: words[3] as string | null })
  else if ('owner' in found || 'owners' in found) resolve(found)
  else if ('refusal' in found) reject(new Refusal(found.refusal, found.progress))
  else reject(errorOf(found.error))
}
