// lastWriteWins: any permutation, duplication and split into deliveries of one history gives one table, and what goes downstream
// replays to that table.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { headersFromText } from '../../src/base/record.ts'
import {
  compareVersions,
  decodeRegister,
  encodeRegister,
  rowOfLastWriteWins,
  type Version,
} from '../../src/operators/last-write-wins-row.ts'
import { alone, json, type NodeSpec, store, Task, text } from './harness.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'

/** How an event's version travels: JSON has no bigint. */
const versionOf = (value: any): unknown => ('big' in value ? BigInt(value.big) : value.version)

function table(retentionMs = 1_000_000): { task: Task; downstream: Map<unknown, unknown>; events: number[] } {
  const downstream = new Map<unknown, unknown>()
  const events: number[] = []
  const nodes: NodeSpec[] = [
    { name: 'in', operator: { kind: 'source', topics: ['in'], carries: 'records', key: text, value: json } },
    {
      name: 'wins',
      operator: {
        kind: 'lastWriteWins',
        version: versionOf,
        deleted: (value: any) => value.op === 'delete',
        tombstoneRetentionMs: retentionMs,
      },
      parents: ['in'],
      stores: [store('rows', json)],
      sendsOld: true,
    },
  ]
  const task = new Task(nodes, {
    send: () => {},
    tap(node, key, value, old, timestamp) {
      if (node !== 'wins') return
      events.push(timestamp)
      expect(old).toEqual(downstream.get(key) ?? null)
      if (value === null) downstream.delete(key)
      else downstream.set(key, value)
    },
  })
  return { task, downstream, events }
}

interface Event {
  readonly key: string
  /** As it came: spaces and all. */
  readonly bytes: string
  readonly timestamp: number
}

const version = fc.oneof(
  fc.constantFrom<object>(
    { version: 1 },
    { version: 2 },
    { version: -0 },
    { version: 2.5 },
    { version: '1' },
    { version: '10' },
    { version: '' },
  ),
  fc.constantFrom<object>({ big: '1' }, { big: '2' }, { big: '9007199254740993' }, { version: 9007199254740992 }, { big: '-7' }),
)
const event: fc.Arbitrary<Event> = fc
  .record({
    key: fc.constantFrom('a', 'b'),
    version,
    op: fc.constantFrom('upsert', 'delete', 'upsert'),
    name: fc.constantFrom('x', 'y', 'é'),
    pretty: fc.boolean(),
    swapped: fc.boolean(),
    timestamp: fc.nat(1000),
  })
  .map(({ key, version: at, op, name, pretty, swapped, timestamp }) => {
    const value = swapped ? { ...at, name, op } : { ...at, op, name }
    return { key, bytes: JSON.stringify(value, null, pretty ? 1 : undefined), timestamp }
  })

/** A history, and the same events in another order, some of them again. */
const twoOrders = fc.array(event, { minLength: 1, maxLength: 12 }).chain((events) =>
  fc.record({
    events: fc.constant(events),
    shuffled: fc
      .array(fc.nat(events.length - 1), { maxLength: 8 })
      .chain((again) => fc.shuffledSubarray([...events, ...again.map((i) => events[i]!)], { minLength: events.length + again.length })),
  }),
)

function play(events: readonly Event[]): ReturnType<typeof table> {
  const played = table()
  for (const { key, bytes, timestamp } of events) {
    played.task.receive('in', { key: Buffer.from(key), value: Buffer.from(bytes), timestamp })
  }
  return played
}

describe('any order', () => {
  test('any permutation and duplication of a history gives one table', () => {
    let histories = 0
    fc.assert(
      fc.property(twoOrders, ({ events, shuffled }) => {
        histories++
        const one = play(events)
        const other = play(shuffled)
        expect(other.downstream).toEqual(one.downstream)
        const total = ['stale', 'duplicate', 'winners'].reduce((sum, name) => sum + other.task.count('wins', name), 0)
        expect(total).toBe(shuffled.length)
      }),
      { numRuns: runsOf(2_000, 20_000), interruptAfterTimeLimit: 60_000 },
    )
    ran('21', histories)
  })

  test('the table is what the getter and the queries read, and holds the greatest version', () => {
    fc.assert(
      fc.property(twoOrders, ({ shuffled }) => {
        const { task, downstream } = play(shuffled)
        for (const key of ['a', 'b']) {
          const row = task.stores.get('rows')!.getBytes(Buffer.from(key))
          const read = row === null ? null : rowOfLastWriteWins(row.value)
          const value = downstream.get(key) ?? null
          expect(read === null ? null : JSON.parse(read.toString())).toEqual(value)
          expect(task.instances[1]!.getter!(key)?.value ?? null).toEqual(value)
          if (row === null) continue
          const versions = shuffled.filter((one) => one.key === key).map((one) => versionOf(JSON.parse(one.bytes)) as Version)
          const greatest = versions.sort(compareVersions).at(-1)!
          expect(compareVersions(decodeRegister(row.value).version, greatest)).toBe(0)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('versions are totally ordered: numbers and bigints by value, before all strings', () => {
    const any = fc.oneof(
      fc.double({ noNaN: true }),
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
      fc.integer().map(BigInt),
      fc.integer(),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
        const back = decodeRegister(encodeRegister(false, a, Buffer.from('v')))
        expect([back.version, back.value.toString(), back.deleted]).toEqual([a, 'v', false])
      }),
    )
    expect(compareVersions(9007199254740992, 9007199254740993n)).toBe(-1)
    expect(compareVersions('10', '9')).toBe(-1)
    expect(compareVersions(1, 1n)).toBe(0)
    expect(compareVersions(Number.POSITIVE_INFINITY, '')).toBe(-1)
    const lone = '\ud800'
    expect(decodeRegister(encodeRegister(true, lone, Buffer.alloc(0)))).toEqual({ deleted: true, version: lone, value: Buffer.alloc(0) })
  })
})

describe('one by one', () => {
  const send = (to: ReturnType<typeof table>, value: object | null, timestamp: number, key: string | null = 'k'): void =>
    to.task.receive('in', {
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(JSON.stringify(value)),
      timestamp,
      headers: headersFromText({}),
    })
  const counts = ({ task }: ReturnType<typeof table>): number[] =>
    ['winners', 'stale', 'duplicate', 'dropped'].map((name) => task.count('wins', name))

  test('a null key and a null value are skipped and counted', () => {
    const it = table()
    send(it, null, 1)
    send(it, { version: 1 }, 1, null)
    expect(counts(it)).toEqual([0, 0, 0, 2])
  })

  test.each([undefined, Number.NaN, null, {}, true])('version %s is refused, so that the record is parked', (bad) => {
    const it = table()
    it.task.receive('in', { key: Buffer.from('k'), value: Buffer.from('{"version":1}'), timestamp: 1 })
    const push = it.task.instances[1]!.inputs[0]!
    const refused = (): void => push('k', { version: bad }, 2, undefined)
    expect(refused).toThrow(MillraceError)
    expect(refused).toThrow(expect.objectContaining({ code: 'STREAM_SERDE', disposition: 'park' }))
    expect(it.downstream.get('k')).toEqual({ version: 1 })
  })

  test('stale and duplicate events forward nothing; the output has the winner’s timestamp', () => {
    const it = table()
    send(it, { version: 2, n: 'b' }, 20)
    send(it, { version: 1, n: 'a' }, 30)
    send(it, { version: 2, n: 'b' }, 40)
    send(it, { version: 2, n: 'a' }, 50)
    send(it, { version: 3, n: 'c' }, 5)
    expect(it.events).toEqual([20, 5])
    expect(counts(it)).toEqual([2, 2, 1, 0])
    expect(it.task.instances[1]!.getter!('k')).toEqual({ value: { version: 3, n: 'c' }, timestamp: 5, version: 3 })
  })

  test('equal versions: the greater bytes as the serde writes them, not as they came', () => {
    const it = table()
    it.task.receive('in', { key: Buffer.from('k'), value: Buffer.from('{"version":1,"n":"a"}'), timestamp: 1 })
    it.task.receive('in', { key: Buffer.from('k'), value: Buffer.from('{"version":1,  "n":"a"}'), timestamp: 2 })
    expect(counts(it)).toEqual([1, 0, 1, 0])
    // A space is less than any letter: as raw bytes this one would lose.
    it.task.receive('in', { key: Buffer.from('k'), value: Buffer.from('{ "version":1,"n":"b"}'), timestamp: 3 })
    expect(it.downstream.get('k')).toEqual({ version: 1, n: 'b' })
  })

  test('a stale create after a delete stays deleted, until the retention is over', () => {
    const it = table(100)
    send(it, { version: 1 }, 10)
    send(it, { version: 5, op: 'delete' }, 20)
    expect(it.downstream.size).toBe(0)
    send(it, { version: 4 }, 120)
    expect(it.downstream.size).toBe(0)
    send(it, { version: 4 }, 121)
    expect(it.downstream.get('k')).toEqual({ version: 4 })
    expect(it.events).toEqual([10, 20, 121])
  })

  test('a delete of nothing forwards nothing, and is remembered', () => {
    const it = table()
    send(it, { version: 5, op: 'delete' }, 20)
    send(it, { version: 6, op: 'delete' }, 21)
    send(it, { version: 5 }, 22)
    expect(it.events).toEqual([])
    expect(counts(it)).toEqual([2, 1, 0, 0])
    expect(rowOfLastWriteWins(it.task.stores.get('rows')!.getBytes(Buffer.from('k'))!.value)).toBeNull()
  })

  test('equal versions and bytes, told apart by a header alone: the delete wins in either order', () => {
    for (const order of [
      ['upsert', 'delete'],
      ['delete', 'upsert'],
    ]) {
      const it = alone(
        {
          kind: 'lastWriteWins',
          version: () => 1,
          deleted: (_value: unknown, _key: unknown, record: { headers: Record<string, string> }) => record.headers.op === 'delete',
          tombstoneRetentionMs: 100,
        },
        { stores: [store('rows', json)] },
      )
      for (const op of order) {
        it.context.headers = headersFromText({ op })
        it.push(0, 'k', { n: 1 }, 1)
      }
      expect(it.instance.getter!('k')).toBeNull()
      expect([it.count('winners'), it.count('stale')]).toEqual(order[0] === 'upsert' ? [2, 0] : [1, 1])
    }
  })

  test('at least once a delete is told of a row that a crash has made forgotten; otherwise only of one that was there', () => {
    const told = (repeats: boolean): unknown[] => {
      const operator = {
        kind: 'lastWriteWins' as const,
        version: (v: any) => v.version,
        deleted: (v: any) => v.op === 'delete',
        tombstoneRetentionMs: 100,
      }
      const it = alone(operator, { stores: [store('rows', json)], repeats })
      it.push(0, 'k', { version: 2, op: 'delete' }, 1)
      it.push(0, 'k', { version: 1 }, 1) // stale
      it.push(0, 'k', { version: 2, op: 'delete' }, 1) // a duplicate
      return it.out.map(([key, value]) => [key, value])
    }
    expect(told(true)).toEqual([['k', null]])
    expect(told(false)).toEqual([])
  })

  test('damaged rows are refused', () => {
    for (const bytes of [[], [0], [0, 0, 1], [0, 2, 0, 0, 0, 9, 1], [0, 7, 0, 0, 0, 0, 0, 0, 0, 0]]) {
      expect(() => rowOfLastWriteWins(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'STREAM_STORE_DAMAGED' }))
    }
  })
})
