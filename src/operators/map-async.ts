// `mapAsync`: calls something slow for each record. The record lies in the store until its call has been answered; the answer comes back
// into the task as an event of its own, so that the result, the record's leaving and the changelog are one epoch.
//
// Invariants
// 1. Records of a key are called for one at a time, in the order in which they came. A record without a key, and one that `unordered`
//    accepts, has a queue of its own.
// 2. A call begins when the record is in the store and nothing of it can be undone any more but by an aborted epoch: then it is begun
//    again, with the same idempotency key. At most `concurrency` are under way, but for those that a restart begins again.
// 3. Each record leaves once: with a result, or given up, or skipped. An answer that comes after that is counted, and is nothing else.
// 4. A call's time runs from its start, whatever the wall clock does meanwhile, also over a restart; what ran out while nobody ran the task
//    begins anew.
// 5. What is in memory is only what is under way: a restart finds it in the store.
import { MillraceError, wrap } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { MapAsyncNode } from '../topology/node.ts'
import { type Called, CallRows } from './call-rows.ts'
import type { Operator, UnderWay } from './operator.ts'
import { arrivalOf, asArrived } from './parked-record.ts'
import { ownKey } from './parking.ts'
import { waitForRoom } from './room.ts'

/** What the user's function gets beside value and key. */
interface CallInfo {
  readonly idempotencyKey: string
  readonly signal: AbortSignal
}

interface Call extends UnderWay {
  readonly head: Called
  readonly cut: AbortController
  /** Monotonic. */
  readonly endsAtMs: number
  over: boolean
}

type Answer = { readonly call: Call; readonly value: unknown; readonly error: null | { readonly thrown: unknown } }

const NEVER = Number.POSITIVE_INFINITY

export const mapAsync: Operator = (site) => {
  const { node, context, forward, services } = site
  const { fn, calling, stream } = node.operator as MapAsyncNode
  const { concurrency, ordered, timeoutMs, attempts, backoffMs, onError, recordsMax } = calling
  const isUnordered = calling.unordered === null ? null : site.guard(calling.unordered as (value: unknown) => unknown)
  const mended = typeof onError === 'function' ? site.guard(onError as (value: unknown, key: unknown, error: unknown) => unknown) : null
  const rows = new CallRows(site)
  const inFlight = site.gauge('in_flight')
  const waiting = site.gauge('waiting')
  const count = {
    answered: site.counter('answered'),
    retried: site.counter('retried'),
    timedOut: site.counter('timed_out'),
    failed: site.counter('failed'),
    lateAnswers: site.counter('late_answers'),
  }
  const underWay = new Map<number, Call>() // by sequence, in the order of their starts
  const answers: Answer[] = []
  let opened = false
  let about: Called | null = null // what the present piece is about

  const keyOf = ({ parked }: Called): unknown => (parked.key === null ? null : stream.key.decode(parked.key))
  const inputOf = ({ parked }: Called): unknown => {
    const bytes = parked.value as Buffer | null
    return bytes === null ? null : stream.value.decode(bytes)
  }

  const answered = (call: Call, value: unknown, error: Answer['error']): void => {
    if (call.over) {
      count.lateAnswers.n++
      return
    }
    answers.push({ call, value, error })
    wake.wallAtMs = 0
    if (answers.length === 1) services.rouse()
  }

  /** Reads what is to be called for, which may have to be waited for; the call is begun as the last thing of its piece. */
  const toBegin = (head: Called): (() => void) => {
    about = head
    const [value, key] = [inputOf(head), keyOf(head)]
    return () => begin(head, value, key)
  }

  const begin = (head: Called, value: unknown, key: unknown): void => {
    const cut = new AbortController()
    const call: Call = {
      head,
      cut,
      endsAtMs: services.monotonicMs() + timeoutMs - Math.max(0, services.steadyMs() - head.sinceMs),
      over: false,
      abort() {
        call.over = true
        cut.abort(new MillraceError('STREAM_CLOSED', `${node.name}: the task is closed or starts again; so will the call`))
      },
    }
    underWay.set(head.sequence, call)
    services.underWay.add(call)
    inFlight.n = underWay.size
    const info: CallInfo = { idempotencyKey: head.idempotencyKey, signal: cut.signal }
    try {
      const answer: unknown = fn(value, key, info)
      if (!isThenable(answer)) answered(call, answer, null)
      else
        Promise.resolve(answer).then(
          (value) => answered(call, value, null),
          (thrown: unknown) => answered(call, null, { thrown }),
        )
    } catch (thrown) {
      answered(call, null, { thrown })
    }
  }

  /** After everything of its piece that can fail. */
  const ended = (call: Call): void => {
    const first = answers[0]
    if (first?.call === call) answers.shift()
    call.over = true
    underWay.delete(call.head.sequence)
    services.underWay.delete(call)
    inFlight.n = underWay.size
  }

  const giveUp = (head: Called, error: MillraceError): void => {
    const { parked } = head
    if (mended !== null) {
      const result = mended(inputOf(head), keyOf(head), error.cause ?? error)
      if (isThenable(result)) {
        Promise.resolve(result).catch(() => {})
        throw new MillraceError('STREAM_CALLBACK', `${node.name}: onError gave a promise; it must give the result itself`)
      }
      forward(keyOf(head), result ?? null, parked.timestamp, undefined)
    } else if (onError === 'fail')
      throw new MillraceError(error.code, `${error.message}; onError is to stop: mend it, or choose deadLetter or skip`, {
        cause: error.cause,
        disposition: 'stop',
      })
    else if (onError !== 'skip')
      services.giveUp({ ...parked.origin, headers: parked.headers }, error, onError === 'deadLetter' ? onError : null)
    rows.leave(head)
  }

  const settle = ({ call, value, error }: Answer): void => {
    const { head } = call
    asArrived(context, head.parked)
    if (error === null) {
      forward(keyOf(head), value ?? null, head.parked.timestamp, undefined)
      rows.leave(head)
      count.answered.n++
    } else if (head.failures + 1 < attempts) {
      rows.retry(head, services.steadyMs() + backoff(backoffMs, head.failures, services.chance))
      count.retried.n++
    } else {
      const tries = attempts === 1 ? '' : ` in ${attempts} tries`
      giveUp(head, wrap(notOurs(error.thrown), 'STREAM_CALLBACK', `the call of ${node.name} failed${tries}`))
      count.failed.n++
    }
    ended(call)
  }

  const timeOut = (call: Call): void => {
    asArrived(context, call.head.parked)
    const error = new MillraceError('STREAM_TIMEOUT', `${node.name}: the call was not answered within ${timeoutMs} ms`)
    giveUp(call.head, error)
    ended(call)
    count.timedOut.n++
    call.cut.abort(error)
  }

  /** Begins again what was under way. */
  const open = (): boolean => {
    const now = services.steadyMs()
    const heads = rows.called().map((head): Called => {
      const sinceMs = head.sinceMs + timeoutMs <= now || head.sinceMs > now ? now : head.sinceMs
      if (sinceMs !== head.sinceMs) rows.calledSince(head, sinceMs)
      return { ...head, sinceMs }
    })
    const begins = heads.sort((a, b) => a.sinceMs - b.sinceMs).map(toBegin)
    opened = true
    for (const each of begins) each()
    return heads.length > 0
  }

  const wake = {
    wallAtMs: 0,
    streamAtMs: NEVER,
    stops: true,
    run(): boolean {
      about = null
      if (!opened && open()) return true
      const [answer] = answers
      if (answer !== undefined) {
        about = answer.call.head
        settle(answer)
        return true
      }
      const now = services.steadyMs()
      const [oldest] = underWay.values()
      const leftMs = oldest === undefined ? NEVER : oldest.endsAtMs - services.monotonicMs()
      if (oldest !== undefined && leftMs <= 0) {
        about = oldest.head
        timeOut(oldest)
        return true
      }
      // Further away than any pause is: the wall clock was set back.
      const retryAtMs = rows.nextRetryMs() ?? NEVER
      if (rows.again(retryAtMs < NEVER && retryAtMs > now + longestBackoff(backoffMs) ? retryAtMs : now)) return true
      const ready = underWay.size < concurrency ? rows.firstReady() : null
      if (ready !== null) {
        toBegin(rows.call(ready, now))()
        return true
      }
      waiting.n = rows.count - underWay.size
      wake.wallAtMs = Math.min(now + leftMs, retryAtMs)
      return false
    },
    failed(error: unknown): void {
      if (about === null) throw error
      const call = underWay.get(about.sequence)
      const wasAnswered = call !== undefined && answers[0]?.call === call
      services.giveUp({ ...about.parked.origin, headers: about.parked.headers }, error, null)
      rows.leave(about)
      count.failed.n++
      if (call === undefined) return
      ended(call)
      if (!wasAnswered) call.cut.abort(error)
    },
  }
  services.wake(wake)
  const room = waitForRoom(services, () => rows.count >= recordsMax)

  return {
    inputs: [
      (key, value, timestamp) => {
        room()
        const arrival = arrivalOf(site, stream, key, value, timestamp, [])
        const alone = !ordered || arrival.key === null || (isUnordered !== null && Boolean(isUnordered(value)))
        rows.park(alone ? null : ownKey(arrival.key), arrival, services.steadyMs(), Math.max(0, context.streamTime))
        wake.wallAtMs = 0
      },
    ],
  }
}

/** Twice as long each time; up to half of it is left to chance, so that what failed together does not come again together. */
function backoff(firstMs: number, failures: number, chance: (bound: number) => number): number {
  const wholeMs = Math.min(firstMs * 2 ** Math.min(failures, 30), longestBackoff(firstMs))
  return wholeMs - chance(Math.floor(wholeMs / 2) + 1)
}

function longestBackoff(firstMs: number): number {
  return Math.max(firstMs, LIMITS.callBackoffMaxMs)
}

/** An error of ours that a call has thrown says nothing of this task. */
function notOurs(thrown: unknown): unknown {
  return thrown instanceof MillraceError ? new Error(thrown.message, { cause: thrown }) : thrown
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
