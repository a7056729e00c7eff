// What changes the fingerprint, and what must not.
import { describe, expect, it } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { json } from '../../src/serde/json.ts'
import { int32 } from '../../src/serde/numbers.ts'
import { fingerprint } from '../../src/topology/fingerprint.ts'
import { planOf, summed, text } from './made.ts'

const of = (build: (t: TopologyBuilder) => void) => fingerprint(planOf(build))
const base = of((t) => summed(t.stream('a', text).groupByKey()))

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
        summed(
          t
            .stream('a', text)
            .filter(() => true)
            .groupByKey(),
        ),
    ],
    ['sinks', (t) => summed(t.stream('a', text).groupByKey()).toStream().to('out')],
  ])('does not depend on %s', (_name, build) => {
    expect(of(build)).toEqual(base)
  })

  it.each<[string, (t: TopologyBuilder) => void]>([
    ['a store\u2019s name', (t) => summed(t.stream('a', text).groupByKey(), 'm')],
    ['a store\u2019s serde', (t) => summed(t.stream('a', text).groupByKey(), 'n', json())],
    [
      'the operator',
      (t) =>
        t
          .stream('a', { key: text.key, value: int32() })
          .groupByKey()
          .reduce((n) => n, { store: 'n' }),
    ],
    ['the topic', (t) => summed(t.stream('b', text).groupByKey())],
    ['the key', (t) => summed(t.stream('a', text).groupBy((v) => v, { key: text.key }))],
  ])('depends on %s', (_name, build) => {
    const other = of(build)
    expect(other.text).not.toBe(base.text)
    expect(other.hash).not.toBe(base.hash)
  })
})
