// What changes the fingerprint, and what must not.
import { describe, expect, it } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { json } from '../../src/serde/json.ts'
import { int32 } from '../../src/serde/numbers.ts'
import { fingerprint } from '../../src/topology/fingerprint.ts'
import { planOf, text } from './made.ts'

const of = (build: (t: TopologyBuilder) => void) => fingerprint(planOf(build))
const base = of((t) =>
  t
    .stream('a', text)
    .groupByKey()
    .aggregate(
      () => 0,
      (n) => n + 1,
      { store: 'n', value: int32() },
    ),
)

describe('fingerprint', () => {
  it('is a text with a line a fact, and its hash', () => {
    expect(base.text).toBe(
      '0 reads a string string records\n0 store n string int32 disk changelog by aggregate/aggregate\ntopic app-n-changelog changelog auto\n',
    )
    expect(base.hash).toMatch(/^[0-9a-f]{16}$/)
  })

  it.each<[string, (t: TopologyBuilder) => void]>([
    [
      'functions',
      (t) =>
        t
          .stream('a', text)
          .groupByKey()
          .aggregate(
            () => 5,
            (n) => n + 2,
            { store: 'n', value: int32() },
          ),
    ],
    [
      'stateless operators',
      (t) =>
        t
          .stream('a', text)
          .filter(() => true)
          .groupByKey()
          .aggregate(
            () => 0,
            (n) => n + 1,
            { store: 'n', value: int32() },
          ),
    ],
    [
      'sinks',
      (t) =>
        t
          .stream('a', text)
          .groupByKey()
          .aggregate(
            () => 0,
            (n) => n + 1,
            { store: 'n', value: int32() },
          )
          .toStream()
          .to('out'),
    ],
  ])('does not depend on %s', (_name, build) => {
    expect(of(build)).toEqual(base)
  })

  it.each<[string, (t: TopologyBuilder) => void]>([
    [
      'a store\u2019s name',
      (t) =>
        t
          .stream('a', text)
          .groupByKey()
          .aggregate(
            () => 0,
            (n) => n + 1,
            { store: 'm', value: int32() },
          ),
    ],
    [
      'a store\u2019s serde',
      (t) =>
        t
          .stream('a', text)
          .groupByKey()
          .aggregate(
            () => 0,
            (n) => n + 1,
            { store: 'n', value: json() },
          ),
    ],
    [
      'the operator',
      (t) =>
        t
          .stream('a', { key: text.key, value: int32() })
          .groupByKey()
          .reduce((n) => n, { store: 'n' }),
    ],
    [
      'the topic',
      (t) =>
        t
          .stream('b', text)
          .groupByKey()
          .aggregate(
            () => 0,
            (n) => n + 1,
            { store: 'n', value: int32() },
          ),
    ],
    [
      'the key',
      (t) =>
        t
          .stream('a', text)
          .groupBy((v) => v, { key: text.key })
          .aggregate(
            () => 0,
            (n) => n + 1,
            { store: 'n', value: int32() },
          ),
    ],
  ])('depends on %s', (_name, build) => {
    const other = of(build)
    expect(other.text).not.toBe(base.text)
    expect(other.hash).not.toBe(base.hash)
  })
})
