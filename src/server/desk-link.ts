// The desk as a front in a thread of its own sees it: what is asked goes over in batches, one message for a turn of the processor's loop.
//
// Invariants
// 1. One batch is on its way at a time; what is asked meanwhile goes with the next. So the processor is woken once a turn, however many ask.
// 2. Whatever is asked is answered by its number; what takes longer than a turn does not hold up the others.
import { errorOf } from '../base/crossing.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Answer, Answering } from './asks.ts'
import { type AnswerWords, type AskWords, askWords, type FrontSaid, type FrontTold } from './front-words.ts'
import { Refusal } from './refusal.ts'

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

export function deskLink(say: (said: FrontSaid) => void, timers: Pick<World['timers'], 'turn'>): DeskLink {
  const waiting = new Map<number, Waiting>()
  let answered = new Map<number, number>()
  let asks: AskWords[] = []
  let last = 0
  let due = false
  let underWay = false

  const send = (): void => {
    due = false
    if (asks.length === 0 || underWay) return
    underWay = true
    say({ kind: 'asks', asks: asks.slice(0, LIMITS.asksAtOnceMax), answered: [...answered] })
    asks = asks.slice(LIMITS.asksAtOnceMax)
    answered = new Map()
  }

  const leave = (id: number): void => {
    const asker = waiting.get(id)
    if (asker === undefined) return
    if (!asks.some(([each]) => each === id)) {
      say({ kind: 'gone', id })
      return
    }
    asks = asks.filter(([each]) => each !== id)
    waiting.delete(id)
    asker.reject(new Refusal('NOT_READY')) // nobody hears it
  }

  return {
    ask(ask, gone) {
      const id = ++last
      asks.push(askWords(id, ask))
      gone?.addEventListener('abort', () => leave(id))
      // Others may have asked in the same turn.
      if (!due && !underWay) {
        due = true
        void timers.turn().then(send)
      }
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
    },
    count(status) {
      answered.set(status, (answered.get(status) ?? 0) + 1)
    },
    told({ answers, more }) {
      if (more) {
        underWay = false
        send()
      }
      for (const words of answers) {
        const asker = waiting.get(words[0])
        waiting.delete(words[0])
        if (asker !== undefined) settle(asker, words)
      }
    },
  }
}

function settle({ resolve, reject }: Waiting, words: AnswerWords): void {
  const [, found] = words
  if (typeof found === 'string') resolve({ text: found, status: words[2] as number, type: words[3] as string | null })
  else if ('owner' in found || 'owners' in found) resolve(found)
  else if ('refusal' in found) reject(new Refusal(found.refusal, found.progress))
  else reject(errorOf(found.error))
}
