// Tables, aggregations and joins one by one, against the tables of Kafka Streams' rules: what is said, with which old value and timestamp.
import { describe, expect, test } from 'vitest'
import { decodeChange, encodeChange } from '../../src/operators/change.ts'
import { alone, json, store, text } from './harness.ts'

describe('toTable', () => {
  test('keeps by offset, not by timestamp; drops null keys; sends old only where asked', () => {
    for (const sendsOld of [true, false]) {
      const it = alone({ kind: 'toTable' }, { stores: [store('rows')], sendsOld })
      it.push(0, 'k', 'a', 10)
      it.push(0, 'k', 'b', 5)
      it.push(0, null, 'x', 6)
      it.push(0, 'k', null, 1)
      it.push(0, 'k', null, 2)
      const old = (value: string | null): string | null => (sendsOld ? value : null)
      expect(it.out).toEqual([
        ['k', 'a', 10, null],
        ['k', 'b', 5, old('a')],
        ['k', null, 1, old('b')],
        ['k', null, 2, null],
      ])
      expect(it.count('dropped')).toBe(1)
      expect(it.instance.getter!('k')).toBeNull()
    }
  })

  test('without a store it passes on and is no table to look up', () => {
    const it = alone({ kind: 'toTable' })
    it.push(0, 'k', 'a', 1)
    expect(it.out).toEqual([['k', 'a', 1, null]])
    expect(it.instance.getter).toBeUndefined()
  })
})

describe('table filter and mapValues', () => {
  const fn = (value: string): boolean => value < 'm'

  test('a filter that sends old says nothing of what it never let pass', () => {
    for (const stores of [[], [store('few')]]) {
      const it = alone({ kind: 'tableFilter', fn }, { sendsOld: true, stores })
      it.change(0, 'k', 'z', 1)
      it.change(0, 'k', 'a', 2)
      it.change(0, 'k', 'b', 3)
      it.change(0, 'k', 'y', 4)
      it.change(0, 'k', null, 5)
      expect(it.out).toEqual([
        ['k', 'a', 2, null],
        ['k', 'b', 3, 'a'],
        ['k', null, 4, 'b'],
      ])
    }
  })

  test('one that does not, says every change, without old', () => {
    const it = alone({ kind: 'tableFilterNot', fn })
    it.push(0, 'k', 'a', 1, null)
    it.push(0, 'k', 'z', 2, null)
    expect(it.out).toEqual([
      ['k', null, 1, null],
      ['k', 'z', 2, null],
    ])
  })

  test('their rows can be looked up: kept, or computed from the parent', () => {
    for (const stores of [[], [store('few')]]) {
      const it = alone({ kind: 'tableFilter', fn }, { stores })
      it.change(0, 'k', 'a', 7)
      it.change(0, 'l', 'z', 8)
      expect([it.instance.getter!('k'), it.instance.getter!('l'), it.instance.getter!('m')]).toEqual([
        { value: 'a', timestamp: 7 },
        null,
        null,
      ])
      const mapped = alone({ kind: 'tableMapValues', fn: (value: string) => (value === 'z' ? null : `${value}!`) }, { stores })
      mapped.change(0, 'k', 'a', 7)
      mapped.change(0, 'l', 'z', 8)
      expect([mapped.instance.getter!('k'), mapped.instance.getter!('l')]).toEqual([{ value: 'a!', timestamp: 7 }, null])
    }
  })

  test('mapValues says every change; old is mapped too; tombstones never reach the callback', () => {
    const seen: unknown[] = []
    const upper = (value: string, key: string): string => {
      seen.push([value, key])
      return value.toUpperCase()
    }
    for (const stores of [[], [store('loud')]]) {
      const it = alone({ kind: 'tableMapValues', fn: upper }, { sendsOld: true, stores })
      it.change(0, 'k', 'a', 1)
      it.change(0, 'k', null, 2)
      it.change(0, 'k', null, 3)
      expect(it.out).toEqual([
        ['k', 'A', 1, null],
        ['k', null, 2, 'A'],
        ['k', null, 3, null],
      ])
    }
    expect(seen.every((call) => JSON.stringify(call) === '["a","k"]')).toBe(true)
  })
})

describe('stream aggregations', () => {
  const reduce = { kind: 'aggregate', form: 'reduce', initial: null, adder: (a: string, v: string) => (v === 'x' ? null : a + v) } as const

  test('reduce: the first value as it is, the greater timestamp, null deletes', () => {
    const it = alone(reduce, { stores: [store('rows')], sendsOld: true })
    it.push(0, 'k', 'a', 10)
    it.push(0, 'k', 'b', 5)
    it.push(0, 'k', 'x', 6)
    it.push(0, 'k', 'c', 1)
    expect(it.out).toEqual([
      ['k', 'a', 10, null],
      ['k', 'ab', 10, 'a'],
      ['k', null, 10, 'ab'],
      ['k', 'c', 1, null],
    ])
  })

  test('null keys and values are skipped and counted', () => {
    const it = alone({ kind: 'aggregate', form: 'count' }, { stores: [store('rows', json)] })
    it.push(0, null, 'a', 1)
    it.push(0, 'k', null, 1)
    expect([it.out, it.count('dropped')]).toEqual([[], 2])
  })

  test('the old row is not what the callback made of it in place', () => {
    const adder = (state: { n: number }): { n: number } => {
      state.n++
      return state
    }
    const it = alone(
      { kind: 'aggregate', form: 'aggregate', initial: () => ({ n: 0 }), adder },
      { stores: [store('rows', json)], sendsOld: true },
    )
    it.push(0, 'k', 'a', 1)
    it.push(0, 'k', 'a', 2)
    expect(it.out.map(([, value, , old]) => [value, old])).toEqual([
      [{ n: 1 }, null],
      [{ n: 2 }, { n: 1 }],
    ])
  })

  test('a count goes on from a bigint too', () => {
    const it = alone(
      { kind: 'aggregate', form: 'count' },
      { stores: [store('rows', { ...json, decode: (bytes) => BigInt(json.decode(bytes)) })] },
    )
    it.push(0, 'k', 'a', 1)
    it.push(0, 'k', 'a', 1)
    expect(it.out.map((record) => record[1])).toEqual([1, 2])
  })
})

describe('table aggregations', () => {
  const group = { fn: (value: { g: string | null; n?: string }) => [value.g, value.n ?? 'n'], key: text, value: text }
  const changes = (it: ReturnType<typeof alone>): unknown[] =>
    it.sent.map(({ key, value }) => {
      const change = decodeChange(value!)
      return [key?.toString(), change.old?.toString() ?? null, change.value?.toString() ?? null]
    })

  test('one record with both halves within a group, else two, the old one first; null halves are skipped', () => {
    const it = alone({ kind: 'changeSink', topic: 'c', group })
    it.change(0, 'k', { g: 'x', n: '1' }, 1)
    it.change(0, 'k', { g: 'x', n: '2' }, 2)
    it.change(0, 'k', { g: 'y', n: '3' }, 3)
    it.change(0, 'k', { g: null }, 4)
    it.change(0, 'k', { g: 'y' }, 5)
    it.change(0, 'k', null, 6)
    it.change(0, 'k', null, 7)
    expect(changes(it)).toEqual([
      ['x', null, '1'],
      ['x', '1', '2'],
      ['x', '2', null],
      ['y', null, '3'],
      ['y', '3', null],
      ['y', null, 'n'],
      ['y', 'n', null],
    ])
    expect(it.sent.map((sent) => sent.timestamp)).toEqual([1, 2, 3, 3, 4, 5, 6])
  })

  test('a Change comes back as it went, empty halves too; other bytes are refused', () => {
    const halves = [null, Buffer.alloc(0), Buffer.from('a'), Buffer.from('bcd')]
    for (const value of halves) for (const old of halves) expect(decodeChange(encodeChange(value, old))).toEqual({ value, old })
    for (const bytes of [[], [4], [3, 0, 0], [3, 0, 0, 0, 9, 1], [0, 1]]) {
      expect(() => decodeChange(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'STREAM_SERDE' }))
    }
  })

  test('subtract before add; nothing is subtracted from no row; the greater timestamp', () => {
    const log: string[] = []
    const it = alone(
      {
        kind: 'tableAggregate',
        form: 'aggregate',
        initial: () => ({ n: 0 }),
        adder(state: { n: number }, value: number) {
          log.push(`+${value}`)
          return { n: state.n + value }
        },
        subtractor(state: { n: number }, value: number) {
          log.push(`-${value}`)
          return state.n === value ? null : { n: state.n - value }
        },
      },
      { stores: [store('sums', json)], sendsOld: true },
    )
    it.push(0, 'g', null, 3, 9)
    it.push(0, 'g', 2, 10, null)
    it.push(0, 'g', 5, 4, 2)
    it.push(0, 'g', null, 20, 5)
    expect(log).toEqual(['+2', '-2', '+5', '-5'])
    expect(it.out).toEqual([
      ['g', null, 3, null],
      ['g', { n: 2 }, 10, null],
      ['g', { n: 5 }, 10, { n: 2 }],
      ['g', null, 20, { n: 5 }],
    ])
  })

  test('a source that did not decode the Change is found out', () => {
    const it = alone({ kind: 'tableAggregate', form: 'count' }, { stores: [store('counts', json)] })
    expect(() => it.push(0, 'g', Buffer.of(1), 1, undefined)).toThrow(expect.objectContaining({ code: 'STREAM_INTERNAL' }))
  })
})

describe('table joins', () => {
  const joiner = (l: string | null, r: string | null, key: string): string => `${l ?? '-'}${r ?? '-'}${key}`
  const join = (type: string, stores = [] as ReturnType<typeof store>[], sendsOld = true): ReturnType<typeof alone> =>
    alone({ kind: 'tableJoin', type, joiner }, { stores, sendsOld })
  const [L, R] = [0, 1]

  // [input, value, timestamp] -> what is said: [value, timestamp, old], or nothing.
  const history: [number, string | null, number][] = [
    [L, null, 1],
    [R, null, 2],
    [L, 'a', 10],
    [R, 'x', 4],
    [L, 'b', 3],
    [R, null, 12],
    [L, null, 5],
    [R, 'y', 6],
    [L, null, 7],
    [L, 'c', 8],
    [L, null, 9],
    [R, null, 11],
  ]
  const said: Record<string, ([string | null, number, string | null] | null)[]> = {
    inner: [
      null,
      null,
      null,
      ['axk', 10, null],
      ['bxk', 4, 'axk'],
      [null, 12, 'bxk'],
      null,
      null,
      [null, 7, null],
      ['cyk', 8, null],
      [null, 9, 'cyk'],
      null,
    ],
    left: [
      null,
      null,
      ['a-k', 10, null],
      ['axk', 10, 'a-k'],
      ['bxk', 4, 'axk'],
      ['b-k', 12, 'bxk'],
      [null, 5, 'b-k'],
      null,
      [null, 7, null],
      ['cyk', 8, null],
      [null, 9, 'cyk'],
      null,
    ],
    outer: [
      null,
      null,
      ['a-k', 10, null],
      ['axk', 10, 'a-k'],
      ['bxk', 4, 'axk'],
      ['b-k', 12, 'bxk'],
      [null, 5, 'b-k'],
      ['-yk', 6, null],
      ['-yk', 7, '-yk'],
      ['cyk', 8, '-yk'],
      ['-yk', 9, 'cyk'],
      [null, 11, '-yk'],
    ],
  }

  describe.each(['inner', 'left', 'outer'])('%s', (type) => {
    test.each([
      ['computed', []],
      ['kept', [store('joined')]],
    ])('%s', (_name, stores) => {
      const it = join(type, stores)
      let row: unknown = null
      history.forEach(([input, value, timestamp], i) => {
        it.change(input, 'k', value, timestamp)
        const record = it.take()
        const expected = said[type]![i]!
        expect(record, `step ${i}`).toEqual(expected === null ? [] : [['k', ...expected]])
        if (expected !== null) row = expected[0]
        expect(it.instance.getter!('k')?.value ?? null, `row at step ${i}`).toEqual(row)
      })
    })

    test('without old values, and null keys', () => {
      const it = join(type, [], false)
      it.change(L, 'k', 'a', 1)
      it.change(R, 'k', 'x', 2)
      it.change(R, 'k', 'y', 2)
      expect(it.out.every((record) => record[3] === null)).toBe(true)
      it.push(L, null, 'a', 1, null)
      it.push(R, null, 'a', 1, null)
      expect(it.count('dropped')).toBe(2)
    })
  })
})

describe('stream-table joins', () => {
  const joiner = (l: string, r: string | null, key: string | null): string => `${l}${r ?? '-'}${key ?? '-'}`
  const [STREAM, TABLE] = [0, 1]

  test.each([
    ['inner', 3, [['k', 'bxk', 3, undefined]]],
    [
      'left',
      2,
      [
        ['k', 'a-k', 1, undefined],
        ['k', 'bxk', 3, undefined],
        [null, 'n--', 4, undefined],
      ],
    ],
  ])('%s', (type, dropped, out) => {
    const it = alone({ kind: 'streamTableJoin', type, joiner, graceMs: null })
    it.push(STREAM, 'k', 'a', 1)
    it.change(TABLE, 'k', 'x', 20)
    it.push(STREAM, 'k', 'b', 3)
    it.push(STREAM, null, 'n', 4)
    it.push(STREAM, 'k', null, 5)
    it.push(STREAM, null, null, 6)
    expect(it.out).toEqual(out)
    // A miss of the inner join is no drop.
    expect(it.count('dropped')).toBe(dropped)
  })
})
