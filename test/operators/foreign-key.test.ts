// The two halves of the foreign-key join one by one: what they say to each other, what they put out, with which timestamps.
import { describe, expect, test } from 'vitest'
import {
  decodeResponse,
  decodeSubscription,
  encodeResponse,
  encodeSubscription,
  type Response,
} from '../../src/operators/foreign-key-messages.ts'
import { decodeState, encodeState, type LeftState, NO_STATE } from '../../src/operators/foreign-key-state.ts'
import { alone, json, store, text } from './harness.ts'

interface Left {
  readonly fk: string | null
  readonly v: string
}

const serdes = { foreignKeySerde: text, leftKey: text, leftValue: json, rightValue: text }
const foreignKey = (value: Left): string | null => value.fk
const joiner = (left: Left, right: string | null, key: string): string => `${left.v}${right ?? '-'}${key}`

function left(type: 'inner' | 'left', kept = true, repeats = false): ReturnType<typeof alone> {
  const state = store('state')
  return alone(
    { kind: 'foreignKeyLeft', subscriptionTopic: 's', state, ...serdes, join: { type, foreignKey, joiner } },
    { stores: kept ? [state, store('joined')] : [state], sendsOld: true, partition: 6, repeats },
  )
}

const answer = (it: ReturnType<typeof alone>, fields: Partial<Response>, at = 0): void => {
  const { sequence = 1, counter = 0, byRight = false, timestamp = 0, foreignKey = Buffer.from('x'), value = null } = fields
  it.push(1, Buffer.from('k'), encodeResponse({ sequence, counter, byRight, timestamp, foreignKey, value }), at)
}
const asked = (it: ReturnType<typeof alone>): unknown[] =>
  it.sent.splice(0).map(({ topic, key, value, partition }) => {
    const { subscribe, sequence, leftKey, partition: home } = decodeSubscription(value!)
    return [topic, partition, key!.toString(), subscribe ? 'subscribe' : 'unsubscribe', sequence, leftKey.toString(), home]
  })
const row = (value: string): Buffer => Buffer.from(value)

describe('left', () => {
  test('at least once a result that a crash has made forgotten is taken back', () => {
    const deletedUnheard = (repeats: boolean): unknown[] => {
      const it = left('left', true, repeats)
      it.change(0, 'k', { fk: 'x', v: '1' }, 1) // its answer, and a result, may have come before the crash
      it.change(0, 'k', null, 2)
      return it.out.map(([key, value]) => [key, value])
    }
    expect(deletedUnheard(true)).toEqual([['k', null]])
    expect(deletedUnheard(false)).toEqual([])
  })

  test('asks when the foreign key changes, and only then', () => {
    const it = left('inner')
    it.change(0, 'k', { fk: 'x', v: '1' }, 1)
    expect(asked(it)).toEqual([['s', null, 'x', 'subscribe', 1, 'k', 6]])
    it.change(0, 'k', { fk: 'x', v: '2' }, 2)
    expect(asked(it)).toEqual([])
    it.change(0, 'k', { fk: 'y', v: '2' }, 3)
    expect(asked(it)).toEqual([
      ['s', null, 'x', 'unsubscribe', 2, 'k', 6],
      ['s', null, 'y', 'subscribe', 2, 'k', 6],
    ])
    it.change(0, 'k', null, 4)
    expect(asked(it)).toEqual([['s', null, 'y', 'unsubscribe', 3, 'k', 6]])
    it.change(0, 'k', null, 5)
    expect(asked(it)).toEqual([])
    it.change(0, 'k', { fk: 'x', v: '3' }, 6)
    expect(asked(it)).toEqual([['s', null, 'x', 'subscribe', 4, 'k', 6]])
    expect(it.out).toEqual([])
  })

  test('a known right row is joined at once, without a message', () => {
    const it = left('inner')
    it.change(0, 'k', { fk: 'x', v: '1' }, 10)
    answer(it, { value: row('R'), timestamp: 4 })
    asked(it)
    it.change(0, 'k', { fk: 'x', v: '2' }, 3)
    it.change(0, 'k', { fk: 'x', v: '3' }, 20)
    expect(it.out).toEqual([
      ['k', '1Rk', 10, null],
      ['k', '2Rk', 4, '1Rk'],
      ['k', '3Rk', 20, '2Rk'],
    ])
    expect(asked(it)).toEqual([])
    expect(it.instance.getter!('k')).toEqual({ value: '3Rk', timestamp: 20 })
  })

  test('timestamps: the greater of both after a left change, the right one’s after a right change', () => {
    const it = left('left')
    it.change(0, 'k', { fk: 'x', v: '1' }, 10)
    answer(it, { timestamp: 10 })
    answer(it, { counter: 1, byRight: true, value: row('R'), timestamp: 4 })
    answer(it, { counter: 2, byRight: true, timestamp: 7 })
    it.change(0, 'k', null, 2)
    expect(it.out).toEqual([
      ['k', '1-k', 10, null],
      ['k', '1Rk', 4, '1-k'],
      ['k', '1-k', 7, '1Rk'],
      ['k', null, 2, '1-k'],
    ])
  })

  test('an answer to a left change that is older than the row it brings', () => {
    const it = left('inner')
    it.change(0, 'k', { fk: 'x', v: '1' }, 3)
    answer(it, { value: row('R'), timestamp: 8 })
    expect(it.out).toEqual([['k', '1Rk', 8, null]])
  })

  test('answers to another question, of another foreign key or with no greater counter are ignored and counted', () => {
    const it = left('inner')
    answer(it, { value: row('R') })
    it.change(0, 'k', { fk: 'x', v: '1' }, 1)
    answer(it, { sequence: 2, value: row('R') })
    answer(it, { sequence: 0, value: row('R') })
    answer(it, { foreignKey: Buffer.from('xx'), value: row('R') })
    answer(it, { counter: 3, value: row('R') })
    answer(it, { counter: 3, value: row('R') })
    answer(it, { counter: 2 })
    expect(it.out.map((record) => record[1])).toEqual(['1Rk'])
    expect(it.count('stale')).toBe(6)
  })

  test('the same question answered again, after a crash, with what came meanwhile: the later answer counts', () => {
    const it = left('inner')
    it.change(0, 'k', { fk: 'x', v: '1' }, 1)
    answer(it, { counter: 3, value: row('R') })
    answer(it, { counter: 3, value: row('S') })
    expect(it.out.map((record) => record[1])).toEqual(['1Rk', '1Sk'])
  })

  test('inner: an old result stays out until the new answer; absent takes it back, once', () => {
    const it = left('inner')
    it.change(0, 'k', { fk: 'x', v: '1' }, 1)
    answer(it, { value: row('R'), timestamp: 1 })
    it.change(0, 'k', { fk: 'y', v: '2' }, 2)
    it.change(0, 'k', { fk: 'y', v: '3' }, 2)
    expect(it.take()).toHaveLength(1)
    answer(it, { sequence: 2, foreignKey: Buffer.from('y'), timestamp: 2 }, 2)
    answer(it, { sequence: 2, foreignKey: Buffer.from('y'), counter: 1, byRight: true, timestamp: 3 }, 3)
    expect(it.out).toEqual([['k', null, 2, '1Rk']])
  })

  test.each([
    ['inner', [], 1],
    ['left', [['k', '1-k', 1, null]], 0],
  ] as const)('%s: a foreign key of null asks nothing', (type, out, dropped) => {
    const it = left(type)
    it.change(0, 'k', { fk: null, v: '1' }, 1)
    expect([it.out, asked(it), it.count('dropped')]).toEqual([out, [], dropped])
    it.change(0, 'k', null, 2)
    expect(it.out.at(-1)).toEqual(type === 'inner' ? undefined : ['k', null, 2, '1-k'])
  })

  test('a null left key is dropped; without a result store there is nothing to look up', () => {
    const it = left('inner', false)
    it.push(0, null, { fk: 'x', v: '1' }, 1)
    expect([it.count('dropped'), it.sent, it.instance.getter]).toEqual([1, [], undefined])
  })
})

describe('right', () => {
  const right = (): ReturnType<typeof alone> =>
    alone(
      { kind: 'foreignKeyRight', responseTopic: 'r', state: store('asked'), foreignKeySerde: text, rightValue: text },
      { stores: [store('asked')] },
    )
  const ask = (it: ReturnType<typeof alone>, foreignKey: string, leftKey: string, sequence: number, subscribe = true, at = 1): void =>
    it.push(1, Buffer.from(foreignKey), encodeSubscription({ subscribe, sequence, partition: 2, leftKey: Buffer.from(leftKey) }), at)
  const told = (it: ReturnType<typeof alone>): unknown[] =>
    it.sent.splice(0).map(({ topic, partition, key, value, timestamp }) => {
      const message = decodeResponse(value!)
      return [
        topic,
        partition,
        key!.toString(),
        message.sequence,
        message.counter,
        message.value?.toString() ?? null,
        message.byRight,
        timestamp,
      ]
    })

  test('answers every question, with or without a row, to the partition it names', () => {
    const it = right()
    ask(it, 'x', 'k', 1, true, 5)
    it.change(0, 'x', 'R', 3)
    ask(it, 'x', 'l', 1, true, 2)
    ask(it, 'x', 'm', 1, true, 9)
    expect(told(it)).toEqual([
      ['r', 2, 'k', 1, 0, null, false, 5],
      ['r', 2, 'k', 1, 1, 'R', true, 3],
      ['r', 2, 'l', 1, 1, 'R', false, 3],
      ['r', 2, 'm', 1, 1, 'R', false, 9],
    ])
  })

  test('a change has the same number when it comes again and the counter was lost', () => {
    const numbers = [false, true].map((crashed) => {
      const it = right()
      ask(it, 'x', 'k', 1)
      it.context.offset = 7
      if (!crashed) it.change(0, 'x', 'R', 3)
      it.context.offset = 9
      it.change(0, 'x', 'S', 4)
      return told(it).map((message) => (message as unknown[])[4])
    })
    expect(numbers).toEqual([
      [0, 8, 10],
      [0, 10],
    ])
  })

  test('tells only those who asked for this very key', () => {
    const it = right()
    ask(it, 'r', 'k', 1)
    ask(it, 'rr', 'l', 1)
    ask(it, 'r\u0001', 'm', 1)
    ask(it, '', 'rk', 1)
    told(it)
    it.change(0, 'r', 'R', 1)
    it.change(0, 'none', 'N', 1)
    it.change(0, '', 'E', 1)
    it.push(0, null, 'R', 1, null)
    expect(told(it).map((message) => (message as unknown[])[2])).toEqual(['k', 'rk'])
    expect(it.count('dropped')).toBe(1)
  })

  test('only a greater sequence counts; the same question is answered again', () => {
    const it = right()
    ask(it, 'x', 'k', 3)
    ask(it, 'x', 'k', 3)
    expect(told(it)).toHaveLength(2)
    ask(it, 'x', 'k', 2)
    ask(it, 'x', 'k', 2, false)
    ask(it, 'x', 'k', 3, false)
    expect([told(it), it.count('stale')]).toEqual([[], 3])
    it.change(0, 'x', 'R', 1)
    expect(told(it)).toHaveLength(1)
    ask(it, 'x', 'k', 4, false)
    it.change(0, 'x', 'S', 1)
    expect(told(it)).toEqual([])
    expect(it.stores[0]!.rows.size).toBe(1)
  })
})

describe('bytes', () => {
  const keys = [Buffer.alloc(0), Buffer.from('k'), Buffer.from([0, 255, 1])]

  test('messages and states come back as they went', () => {
    for (const key of keys) {
      const subscription = { subscribe: key.length > 0, sequence: 2 ** 47, partition: 70_000, leftKey: key }
      expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
      for (const value of [null, ...keys]) {
        const response = { sequence: 1, counter: 2 ** 40, byRight: value === null, timestamp: -1.5, foreignKey: key, value }
        expect(decodeResponse(encodeResponse(response))).toEqual(response)
        const state: LeftState = {
          ...NO_STATE,
          sequence: 9,
          foreignKey: key,
          heard: value === null ? 'absent' : 'present',
          counter: 4,
          timestamp: 3,
          value,
          out: true,
        }
        expect(decodeState(encodeState(state))).toEqual(state)
      }
    }
    expect(decodeState(encodeState(NO_STATE))).toEqual(NO_STATE)
    expect(decodeState(encodeState({ ...NO_STATE, sequence: 3, foreignKey: keys[0]! }))).toEqual({
      ...NO_STATE,
      sequence: 3,
      foreignKey: keys[0],
    })
  })

  test('other bytes are refused', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(10, 9), Buffer.alloc(30, 9)]) {
      expect(() => decodeSubscription(bytes)).toThrow(expect.objectContaining({ code: 'STREAM_SERDE' }))
      expect(() => decodeResponse(bytes)).toThrow(expect.objectContaining({ code: 'STREAM_SERDE' }))
      expect(() => decodeState(bytes)).toThrow(expect.objectContaining({ code: 'STREAM_STORE_DAMAGED' }))
    }
  })
})
