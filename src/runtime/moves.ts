// Tasks on their way in, being opened and restored, and on their way out, being closed: beside the worker's loop, which goes on with the
// tasks that run. It never runs a task and never commits.
//
// Invariants
// 1. A task is in here or it runs, never both; one that is on its way out is opened again only when its stores are closed.
// 2. An opening that is called off ends soon, whatever it waits for, and leaves no store open; what it has restored stays on disk.
import { explain } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { backoffMs } from './backoff.ts'
import { isFinal } from './final.ts'
import { discardTask, openTask, type TaskDeps } from './recover.ts'
import type { Task } from './task.ts'

interface Incoming {
  readonly cut: AbortController
  task: Task | null
  failure: { readonly error: unknown } | null
}

export class Moves {
  readonly #deps: TaskDeps
  /** Something has come in, gone out or failed. */
  readonly #news: () => void
  readonly #incoming = new Map<string, Incoming>()
  readonly #running = new Map<Incoming, Promise<void>>()
  readonly #outgoing = new Map<string, Promise<void>>()
  readonly #turns = new Set<() => void>()
  #opening = 0
  #closed = false

  constructor(deps: TaskDeps, news: () => void) {
    this.#deps = deps
    this.#news = news
  }

  /** Being opened, or opened and not taken yet. */
  get incoming(): readonly string[] {
    return [...this.#incoming.keys()]
  }

  /** `take` has something to say. */
  get settled(): boolean {
    for (const one of this.#incoming.values()) if (one.task !== null || one.failure !== null) return true
    return false
  }

  get outgoing(): readonly string[] {
    return [...this.#outgoing.keys()]
  }

  open(ids: Iterable<string>): void {
    for (const id of ids) {
      if (this.#incoming.has(id) || this.#closed) continue
      const one: Incoming = { cut: new AbortController(), task: null, failure: null }
      this.#incoming.set(id, one)
      this.#running.set(
        one,
        this.#open(id, one).finally(() => this.#running.delete(one)),
      )
    }
  }

  /** Those that have caught up; the caller runs them. Throws what a person has to see to. */
  take(): Task[] {
    const tasks: Task[] = []
    for (const [id, one] of [...this.#incoming]) {
      if (one.failure !== null) throw one.failure.error
      if (one.task === null) continue
      this.#incoming.delete(id)
      tasks.push(one.task)
    }
    return tasks
  }

  /** Ends what is under way for these tasks. */
  callOff(ids: Iterable<string>): void {
    for (const id of ids) {
      const one = this.#incoming.get(id)
      if (one === undefined) continue
      this.#incoming.delete(id)
      one.cut.abort()
      for (const turn of [...this.#turns]) turn()
      const ended = this.#running.get(one) ?? Promise.resolve()
      this.#leave(
        id,
        ended.then(() => (one.task === null ? undefined : discardTask(this.#deps, one.task))),
      )
    }
  }

  /** Closes a task whose last epoch is committed, or lost. */
  giveUp(task: Task): void {
    this.#leave(task.id, discardTask(this.#deps, task))
  }

  /** The same of several, uncommitted as they are; resolves when their stores are closed. What is being closed stays known as on its way out:
   *  a standby that opened it meanwhile would have files that are set aside. */
  async discard(tasks: readonly Task[]): Promise<void> {
    for (const task of tasks) this.giveUp(task)
    await Promise.all(tasks.map(({ id }) => this.#outgoing.get(id)))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.callOff(this.incoming)
    await Promise.all(this.#outgoing.values())
  }

  /** `leaving` ends with the task's stores closed. */
  #leave(id: string, leaving: Promise<void>): void {
    const { logger } = this.#deps.world
    const left: Promise<void> = Promise.all([this.#outgoing.get(id), leaving])
      .catch((error: unknown) => logger.warn({ task: id, reason: explain(error) }, 'a task that was given up did not close as it should'))
      .then(() => {
        if (this.#outgoing.get(id) === left) this.#outgoing.delete(id)
        this.#news()
      })
    this.#outgoing.set(id, left)
  }

  /** Tries until it succeeds, is called off, or a person is needed. */
  async #open(id: string, one: Incoming): Promise<void> {
    const { world } = this.#deps
    const { signal } = one.cut
    for (let failures = 0; !signal.aborted; ) {
      await this.#outgoing.get(id)
      while (this.#opening >= LIMITS.openTasksAtOnce && !signal.aborted) await this.#turn()
      if (signal.aborted) return
      this.#opening++
      try {
        one.task = await openTask(this.#deps, id, signal)
        this.#news()
        return
      } catch (error) {
        if (signal.aborted || this.#deps.stopping()) return
        if (await isFinal(error, this.#deps)) {
          one.failure = { error }
          this.#news()
          return
        }
        failures++
        world.logger.warn({ task: id, reason: explain(error), failures }, 'a task could not be opened, trying again')
      } finally {
        this.#opening--
        for (const turn of [...this.#turns]) turn()
      }
      await this.#turn(backoffMs(failures))
    }
  }

  /** Until one ends, one is called off, or so long. */
  #turn(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#turns.delete(done)
        resolve()
      }
      const cancel = ms === undefined ? () => {} : this.#deps.world.timers.after(ms, done)
      this.#turns.add(done)
    })
  }
}
