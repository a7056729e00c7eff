// The left side of a foreign-key join: asks the right side for the row behind each left row, and joins what it hears.
// Input 0: changes of the left table. Input 1: responses (key and value as bytes).
//
// Kafka Streams recognises answers by a hash of the left value and asks differently from case to case; under reordering a retraction
// can be lost. Here each change of a foreign key is numbered and answered, so the result converges whatever the order of messages.
//
// Invariants
// 1. A result is only made of the present left row and an answer to the present sequence and foreign key.
// 2. Of two answers to one sequence the one with the greater counter counts, whichever comes first. Of equal ones the later: they differ only
//    after a crash under at-least-once, when a question is answered again.
// 3. An old result stays out until the answer for the new foreign key is there; no row behind it: retracted (inner), or (left, null).
// 4. An answer whose result can't be made, because a callback threw, is heard all the same: the next left row is joined with it.
// 5. Nothing is retracted that is not out. At least once it is: a result may stand that was put out before a crash and forgotten.
// 6. A change that keeps the foreign key sends nothing. A deleted row keeps its sequence.
import { sameBytes } from '../base/bytes.ts'
import type { ForeignKeyLeft } from '../topology/plan-types.ts'
import { keyToBytes } from './encode.ts'
import { decodeResponse, encodeSubscription, type Response } from './foreign-key-messages.ts'
import { decodeState, encodeState, type LeftState, NO_STATE } from './foreign-key-state.ts'
import { NOT_LATEST, type Operator, type Push } from './operator.ts'
import { keepAndForward, storeGetter } from './table-store.ts'

export const foreignKeyLeft: Operator = (site) => {
  const { node, partition } = site
  const { join, subscriptionTopic, state: stateSpec, foreignKeySerde, leftKey, rightValue } = node.operator as ForeignKeyLeft
  const foreignKeyOf = site.guard(join.foreignKey)
  const joiner = site.guard(join.joiner)
  const keepsMisses = join.type === 'left'
  const left = site.getter(0)
  const stateAt = node.stores.findIndex((spec) => spec.name === stateSpec.name)
  const resultAt = node.stores.findIndex((spec) => spec.name !== stateSpec.name)
  const states = site.store(stateAt)
  const results = resultAt === -1 ? null : site.store(resultAt)
  const keep = keepAndForward(site, results)
  const repeats = site.services.repeats === true
  const dropped = site.counter('dropped')
  const stale = site.counter('stale')

  const say = (subscribe: boolean, foreignKey: Buffer, sequence: number, leftKeyBytes: Buffer, timestamp: number): void => {
    site.send(subscriptionTopic, null, foreignKey, encodeSubscription({ subscribe, sequence, partition, leftKey: leftKeyBytes }), timestamp)
  }

  /** The result of a left row with what was heard; null: there is none. */
  const resultOf = (value: unknown, state: LeftState, key: unknown): unknown => {
    if (value === null) return null
    if (state.foreignKey !== null && state.value !== null) return joiner(value, rightValue.decode(state.value), key) ?? null
    return keepsMisses ? (joiner(value, null, key) ?? null) : null
  }

  /** Puts the result out, or takes it back if one is out. */
  const settle = (key: unknown, value: unknown, state: LeftState, timestamp: number): LeftState => {
    const result = resultOf(value, state, key)
    if (result === null && !state.out && !repeats) return state
    keep(key, result, timestamp, null)
    return state.out === (result !== null) ? state : { ...state, out: result !== null }
  }

  const changed: Push = (key, value, timestamp, old) => {
    if (key === null || old === NOT_LATEST) {
      dropped.n++
      return
    }
    const keyBytes = keyToBytes(site, leftKey, key) as Buffer
    const foreignKey = value === null ? null : keyToBytes(site, foreignKeySerde, foreignKeyOf(value, key) ?? null)
    if (value !== null && foreignKey === null && !keepsMisses) dropped.n++
    const row = states.getBytes(keyBytes)
    const state = row === null ? NO_STATE : decodeState(row.value)

    if (foreignKey !== null && sameBytes(foreignKey, state.foreignKey)) {
      if (state.heard === 'nothing') return
      const at = state.heard === 'present' ? Math.max(timestamp, state.timestamp) : timestamp
      const settled = settle(key, value, state, at)
      if (settled !== state) states.putBytes(keyBytes, encodeState(settled), timestamp)
      return
    }

    const moved = foreignKey !== null || state.foreignKey !== null
    const sequence = moved ? state.sequence + 1 : state.sequence
    if (state.foreignKey !== null) say(false, state.foreignKey, sequence, keyBytes, timestamp)
    if (foreignKey !== null) say(true, foreignKey, sequence, keyBytes, timestamp)
    const asked: LeftState = { ...NO_STATE, sequence, foreignKey, out: state.out }
    const settled = foreignKey === null ? settle(key, value, asked, timestamp) : asked
    if (moved || settled.out !== state.out) states.putBytes(keyBytes, encodeState(settled), timestamp)
  }

  /** The state with this answer in it; null: it answers an older question, or a newer one was heard. */
  const withAnswer = (keyBytes: Buffer, answer: Response): LeftState | null => {
    const row = states.getBytes(keyBytes)
    const state = row === null ? NO_STATE : decodeState(row.value)
    // The foreign key is compared too: after a crash under at-least-once a sequence may have been used for another one.
    const current = answer.sequence === state.sequence && sameBytes(answer.foreignKey, state.foreignKey)
    const { counter, timestamp, value } = answer
    const repeated = counter === state.counter && sameBytes(value, state.value)
    if (!current || counter < state.counter || repeated) return null
    return { ...state, heard: value === null ? 'absent' : 'present', counter, timestamp, value }
  }

  const answered: Push = (keyBytes: Buffer, bytes: Buffer, timestamp) => {
    const answer = decodeResponse(bytes)
    const heard = withAnswer(keyBytes, answer)
    if (heard === null) {
      stale.n++
      return
    }
    const key = leftKey.decode(keyBytes)
    const leftRow = left(key)
    const leftAt = leftRow === null ? timestamp : leftRow.timestamp
    const at = answer.byRight ? answer.timestamp : answer.value === null ? leftAt : Math.max(leftAt, answer.timestamp)
    states.putBytes(keyBytes, encodeState(settle(key, leftRow === null ? null : leftRow.value, heard, at)), timestamp)
  }

  const answerUndone: Push = (keyBytes: Buffer, bytes: Buffer, timestamp) => {
    const heard = withAnswer(keyBytes, decodeResponse(bytes))
    if (heard !== null) states.putBytes(keyBytes, encodeState(heard), timestamp)
  }

  return {
    inputs: [changed, answered],
    undone: [null, answerUndone],
    ...(results === null ? {} : { getter: storeGetter(results) }),
    reads:
      resultAt === -1
        ? [[stateAt], [stateAt]]
        : [
            [stateAt, resultAt],
            [stateAt, resultAt],
          ],
  }
}
