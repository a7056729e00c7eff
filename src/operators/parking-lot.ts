// What all operators have in common that let records wait: bounds, timeouts, the order in which records go, what becomes of those that
// can't, and the counts. The rows are in parking.ts; what a record waits for is its operator's business.
//
// Invariants
// 1. In each piece at most one record leaves. First those that may go, in the order of parking; then those whose time is over.
// 2. A timeout has passed when the wall clock has come to it; or stream time, but a row that comes exactly then is in time.
// 3. `recordsMax` holds at the end of every piece: what is over it waits before it (pause; soft, room.ts), or sends the oldest away, or is
//    the end.
// 4. `expired` counts every record that left without its row, whatever becomes of it; `drained` those that waited and went.
import { MillraceError } from '../base/errors.ts'
import type { Buffering } from '../topology/node.ts'
import type { Site } from './operator.ts'
import { type Arrival, asArrived, type Parked } from './parked-record.ts'
import type { Parking } from './parking.ts'
import { waitForRoom } from './room.ts'

/** Why a record left without its row: its time is over (''), or it made room. */
export type Ending = '' | '; it was the oldest, and there was no room for more'

export interface Waiters {
  /** Lets it go, if it may; false: it still has to wait. */
  go(parked: Parked): boolean
  mayGo(parked: Parked): boolean
  /** Its result without what it waited for. */
  emit(parked: Parked): void
  describe(ending: Ending, parked: Parked): MillraceError
  /** It has left, however. */
  left?(parked: Parked): void
  /** How many of those that are parked may not have to wait: the bound does not count them, but that the input waits at. */
  exempt?(): number
}

export interface ParkingLot {
  park(own: Buffer, arrival: Arrival): Parked
  /** What some heads may wait for is there, or has changed. */
  arrived(wanted: Buffer): void
}

const NEVER = Number.POSITIVE_INFINITY
const FULL: Ending = '; it was the oldest, and there was no room for more'

export function parkingLot(site: Site, parking: Parking, buffering: Buffering, waiters: Waiters): ParkingLot {
  const { node, context, services } = site
  const { timeoutMs, clock, onTimeout, recordsMax, onFull } = buffering
  const parkedNow = site.gauge('parked')
  const oldestAtMs = site.gauge('oldest_parked_at_ms')
  const drained = site.counter('drained')
  const expired = site.counter('expired')
  const failed = site.counter('failed')

  const wallEnd = ({ parkedAtMs }: Parked): number => (clock === 'stream' ? NEVER : parkedAtMs + timeoutMs)
  const streamEnd = ({ parkedAtStreamMs }: Parked): number => (clock === 'wall' ? NEVER : parkedAtStreamMs + timeoutMs)

  const leave = (own: Buffer, parked: Parked, look: boolean): void => {
    const next = parking.leave(own, parked)
    waiters.left?.(parked)
    if (next !== null && (!look || waiters.mayGo(next))) parking.ready(own, next)
  }

  const expire = (own: Buffer, parked: Parked, ending: Ending): void => {
    asArrived(context, parked)
    if (onTimeout === 'emit') waiters.emit(parked)
    else if (onTimeout === 'deadLetter')
      services.giveUp({ ...parked.origin, headers: parked.headers }, waiters.describe(ending, parked), 'deadLetter')
    leave(own, parked, true)
    expired.n++
  }

  const refuse = (count: number): never => {
    throw new MillraceError(
      'STREAM_BUFFER_FULL',
      `${node.name}: ${count} records wait, and no more may; raise maxRecords or choose another onFull`,
    )
  }

  const headOf = (own: Buffer): Parked => {
    const head = parking.head(own)
    if (head === null)
      throw new MillraceError('STREAM_STORE_DAMAGED', `${node.name}: a parked record is missing; the store needs to be restored`)
    return head
  }

  const takeReady = (own: Buffer): void => {
    const head = headOf(own)
    if (context.streamTime > streamEnd(head)) {
      expire(own, head, '')
      return
    }
    asArrived(context, head)
    if (waiters.go(head)) {
      leave(own, head, true)
      drained.n++
    } else parking.unready(head)
  }

  const wake = {
    wallAtMs: 0,
    streamAtMs: 0,
    run(): boolean {
      const ready = parking.firstReady()
      if (ready !== null) {
        takeReady(ready)
        return true
      }
      const own = parking.oldest()
      const { count } = parking
      parkedNow.n = count
      if (own === null) {
        oldestAtMs.n = 0
        wake.wallAtMs = NEVER
        wake.streamAtMs = NEVER
        return false
      }
      const oldest = headOf(own)
      const over = onFull !== 'pause' && count - (waiters.exempt?.() ?? 0) > recordsMax
      if (over && onFull === 'fail') refuse(count - 1)
      if (over || wallEnd(oldest) <= services.steadyMs() || streamEnd(oldest) <= context.streamTime) {
        expire(own, oldest, over ? FULL : '')
        return true
      }
      oldestAtMs.n = oldest.parkedAtMs
      wake.wallAtMs = wallEnd(oldest)
      wake.streamAtMs = streamEnd(oldest)
      return false
    },
    failed(error: unknown): void {
      const own = (parking.firstReady() ?? parking.oldest()) as Buffer
      const head = headOf(own)
      services.giveUp({ ...head.origin, headers: head.headers }, error, null)
      leave(own, head, false)
      failed.n++
    },
  }
  services.wake(wake)
  const room = waitForRoom(services, () => parking.count >= recordsMax)

  return {
    park(own, arrival) {
      const { count } = parking
      if (onFull === 'pause') room()
      if (count >= recordsMax && onFull === 'fail' && waiters.exempt === undefined) refuse(count)
      const parked = parking.park(own, arrival, services.steadyMs(), Math.max(0, context.streamTime))
      parkedNow.n = count + 1
      if (count === 0) oldestAtMs.n = parked.parkedAtMs
      wake.wallAtMs = count >= recordsMax ? 0 : Math.min(wake.wallAtMs, wallEnd(parked))
      wake.streamAtMs = Math.min(wake.streamAtMs, streamEnd(parked))
      return parked
    },
    arrived(wanted) {
      if (parking.arrived(wanted)) wake.wallAtMs = 0
    },
  }
}
