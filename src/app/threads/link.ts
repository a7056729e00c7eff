// The processor's end of the link to one thread: questions and their answers, in passing or waiting for them.
//
// Invariants
// 1. A question is answered, or fails: after LIMITS.answerWaitMs (but for those that may take longer), and when the thread is gone.
// 2. A wait has a port of its own, so that it takes nobody else's answer; what comes after it was given up is thrown away.
import { MessageChannel, receiveMessageOnPort, type Worker as Thread } from 'node:worker_threads'
import { errorOf } from '../../base/crossing.ts'
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import type { Asking } from './remote-store.ts'
import type { Answered, Asked, Door, Question, Reply, Scan, Told } from './words.ts'

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
  readonly cancel: () => void
}

export class Link implements Asking {
  readonly #thread: Thread
  readonly #door: Door
  readonly #number: number
  readonly #world: World
  readonly #waiting = new Map<number, Waiting>()
  #last = 0
  #cursor = 0
  #gone = false
  #ending = false
  /** Scans of this turn. */
  #scans: { readonly scans: Scan[]; readonly opened: Promise<unknown> } | null = null

  constructor(thread: Thread, door: Door, number: number, world: World) {
    this.#thread = thread
    this.#door = door
    this.#number = number
    this.#world = world
  }

  /** Both ends of the way of those who wait. */
  static door(): { readonly door: Door; readonly far: Door } {
    const { port1, port2 } = new MessageChannel()
    port1.unref()
    const answers = new Int32Array(new SharedArrayBuffer(4))
    return { door: { port: port1, answers }, far: { port: port2, answers } }
  }

  get ended(): boolean {
    return this.#gone
  }

  /** By `end`. */
  get ending(): boolean {
    return this.#ending
  }

  tell(told: Told): void {
    this.#thread.postMessage(told)
  }

  /** `withinMs` null: as long as it takes. */
  ask(question: Question, withinMs: number | null = LIMITS.answerWaitMs): Promise<Reply> {
    if (this.#gone) return Promise.reject(this.#silent())
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      const cancel =
        withinMs === null
          ? (): void => {}
          : this.#world.timers.after(withinMs, () => {
              this.#waiting.delete(id)
              reject(this.#silent())
            })
      this.#waiting.set(id, { resolve, reject, cancel })
      this.tell({ id, question })
    })
  }

  askSync(question: Question): Reply {
    if (this.#gone) throw this.#silent()
    const { port, answers } = this.#door
    const { clock } = this.#world
    const id = ++this.#last
    const giveUp = clock.monotonic() + LIMITS.answerWaitMs
    port.postMessage({ id, question } satisfies Asked)
    for (;;) {
      const seen = Atomics.load(answers, 0)
      const answered = receiveMessageOnPort(port)?.message as Answered | undefined
      if (answered?.id === id) return replyOf(answered)
      if (answered !== undefined) continue // to somebody who has given up
      const leftMs = giveUp - clock.monotonic()
      if (leftMs <= 0) throw this.#silent()
      Atomics.wait(answers, 0, seen, leftMs)
    }
  }

  /** All scans of one turn are one question. */
  scan(scan: Omit<Scan, 'cursor'>): { readonly cursor: number; readonly opened: Promise<unknown> } {
    const cursor = ++this.#cursor
    if (this.#scans === null) {
      const scans: Scan[] = []
      const opened = Promise.resolve().then(() => {
        this.#scans = null
        return this.ask({ kind: 'scan', scans }, 2 * LIMITS.answerWaitMs)
      })
      this.#scans = { scans, opened }
    }
    this.#scans.scans.push({ ...scan, cursor })
    return { cursor, opened: this.#scans.opened }
  }

  answered(answered: Answered): void {
    const waiting = this.#waiting.get(answered.id)
    this.#waiting.delete(answered.id)
    waiting?.cancel()
    try {
      waiting?.resolve(replyOf(answered))
    } catch (error) {
      waiting?.reject(error)
    }
  }

  /** The thread has ended. */
  gone(): void {
    this.#gone = true
    this.#door.port.close()
    for (const { reject, cancel } of this.#waiting.values()) {
      cancel()
      reject(this.#silent())
    }
    this.#waiting.clear()
  }

  /** Ends the thread as it is. */
  async end(): Promise<null> {
    this.#ending = true
    await this.#thread.terminate()
    return null
  }

  #silent(): MillraceError {
    return new MillraceError('STREAM_NOT_LOCAL', `worker ${this.#number} of this process does not answer; ask again`)
  }
}

function replyOf(answered: Answered): Reply {
  if ('error' in answered) throw errorOf(answered.error)
  return answered.reply
}
