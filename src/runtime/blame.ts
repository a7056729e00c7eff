// Whose an error is: the operator's that threw it, whatever is above or below that one. An operator may have a policy for errors of its own.
// Knows no record and decides nothing: task.ts asks.
//
// 1. The first of an operator's bounds that an error crosses says whose it is; later ones change nothing, also where a user catches it
//    and throws it again. Another error that is thrown instead is of whoever throws that.
// 2. Only operators with a policy have bounds; without any an error is nobody's, and the application's policies hold.
import type { ErrorPolicy } from '../base/error-policy.ts'
import type { Instance, Push, Site, TaskServices } from '../operators/operator.ts'

type Call = (...args: any[]) => any

/** A policy of an operator; what the application says of input that can't be decoded; null: what it says of such an error. */
export type Answer = ErrorPolicy | 'deserialization' | null

export class Blame {
  readonly #answers = new WeakMap<object, Answer>()

  /** Null: nobody has said. */
  of(error: unknown): Answer {
    return typeof error === 'object' && error !== null ? (this.#answers.get(error) ?? null) : null
  }

  note(error: unknown, answer: Answer): void {
    if (typeof error === 'object' && error !== null && !this.#answers.has(error)) this.#answers.set(error, answer)
  }

  /** The function; what it throws falls under `answer`, where nothing was said of it before. */
  bound<F extends Call>(answer: Answer, fn: F): F {
    return ((...args: Parameters<F>): ReturnType<F> => {
      try {
        return fn(...args)
      } catch (error) {
        this.note(error, answer)
        throw error
      }
    }) as F
  }

  /** The place of an operator with a policy: what is called from there is not its fault, what is called back is. */
  site(site: Site, answer: Answer): Site {
    const services: TaskServices = {
      ...site.services,
      schedule: (node, intervalMs, clock, run, kept) => site.services.schedule(node, intervalMs, clock, this.bound(answer, run), kept),
      wake: (wake) => site.services.wake(Object.assign(wake, { run: this.bound(answer, wake.run) })),
    }
    return {
      ...site,
      services,
      forward: this.bound(null, site.forward),
      forwardTo: (child) => this.bound(null, site.forwardTo(child)),
      getter: (input) => this.bound(null, site.getter(input)),
      due: (step) => site.due(this.bound(answer, step)),
      guard: (fn) => this.bound(answer, site.guard(fn)),
    }
  }

  /** What its records and its rows come in by. */
  instance(instance: Instance, answer: Answer): Instance {
    const { inputs, getter } = instance
    return {
      ...instance,
      inputs: inputs.map((push): Push => this.bound(answer, push)),
      ...(getter === undefined ? {} : { getter: this.bound(answer, getter) }),
    }
  }
}
