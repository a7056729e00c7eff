// What makes two topologies share no tasks, and what does not.
import { describe, expect, it } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { tumbling } from '../../src/dsl/windows.ts'
import { shapeOf } from '../../src/topology/shape.ts'
import { sizePlan } from '../../src/topology/sizing.ts'
import { planOf, summed, text } from './made.ts'

type Build = (t: TopologyBuilder) => void
const COUNTS: Readonly<Record<string, number>> = { a: 2, b: 2, c: 4, 'in-1': 2, 'in-2': 2, out: 1 }
const of = (build: Build, counts: Readonly<Record<string, number>> = COUNTS) =>
  shapeOf(sizePlan(planOf(build), new Map(Object.entries(counts))))

const counted: Build = (t) => {
  t.stream('a', text)
    .groupBy((value) => value, { key: text.key })
    .count({ store: 'n' })
    .toStream()
    .to('out')
  t.stream('b', text).groupByKey().windowedBy(tumbling('5s')).count({ store: 'w' })
}

describe('the shape', () => {
  it('is a fact a line, in words, and their hash: who changes the words counts the form up', () => {
    expect(of(counted)).toEqual({
      id: '1:f34e3474998af9ff',
      facts: [
        '0 has 2 tasks',
        '0 reads a',
        '0 writes app-n-repartition',
        '1 has 2 tasks',
        '1 keeps the store n (keyValue string to json, changelog app-n-changelog)',
        '1 reads app-n-repartition',
        '2 has 2 tasks',
        '2 keeps the store w (windows of 5000 ms windows:string:5000 to json, changelog app-w-changelog)',
        '2 reads b',
      ],
    })
  })

  it.each<[string, Build]>([
    [
      'functions, filters, outputs and offsetReset, and a global table',
      (t) => {
        t.globalTable('c', { ...text, store: 'g' })
        t.stream('a', { ...text, offsetReset: 'latest' })
          .filter((value) => value !== '')
          .groupBy((value) => value.slice(1), { key: text.key })
          .count({ store: 'n' })
        t.stream('b', text)
          .groupByKey()
          .windowedBy(tumbling('5s'))
          .count({ store: 'w' })
          .toStream()
          .peek(() => {})
      },
    ],
  ])('is the same with other %s', (_, build) => expect(of(build)).toEqual(of(counted)))

  const DIFFERS: readonly (readonly [what: string, build: Build, fact: string])[] = [
    ['source', (t) => void t.stream('b', text).groupByKey().count({ store: 'n' }), '0 reads b'],
    ['source more', (t) => void t.stream(['a', 'b'], text).groupByKey().count({ store: 'n' }), '0 reads b'],
    ['name of a store', (t) => void t.stream('a', text).groupByKey().count({ store: 'm' }), 'the store m'],
    ['serde of a store', (t) => void summed(t.stream('a', text).groupByKey()), 'int32'],
    ['window', (t) => void t.stream('a', text).groupByKey().windowedBy(tumbling('9s')).count({ store: 'n' }), 'windows of 9000 ms'],
    [
      'repartition topic',
      (t) =>
        void t
          .stream('a', text)
          .groupBy((value) => value, { key: text.key })
          .count({ store: 'n' }),
      '0 writes app-n-repartition',
    ],
    [
      'order of the sub-topologies',
      (t) => {
        t.stream('b', text).to('out', text)
        t.stream('a', text).groupByKey().count({ store: 'n' })
      },
      '0 reads b',
    ],
  ]
  const base: Build = (t) => void t.stream('a', text).groupByKey().count({ store: 'n' })
  it.each(DIFFERS)('is another with another %s', (_, build, fact) => {
    const { id, facts } = of(build)
    expect(id).not.toBe(of(base).id)
    expect(facts.filter((each) => !of(base).facts.includes(each)).join('\n')).toContain(fact)
  })

  it('is another with another number of partitions of a named input, and the same with what a pattern matches', () => {
    expect(of(base, { a: 3 }).facts).toContain('0 has 3 tasks')
    expect(of(base, { a: 3 }).id).not.toBe(of(base).id)
    const matched: Build = (t) => void t.stream(/in-.*/, text).to('out', text)
    expect(of(matched).facts).toEqual(['0 reads /in-.*/'])
    expect(of(matched, { 'in-1': 2, 'in-2': 9, 'in-3': 1, out: 1 })).toEqual(of(matched))
  })

  it('does not change with the order in which topics are named', () => {
    const named =
      (...topics: string[]): Build =>
      (t) =>
        void t.stream(topics, text).groupByKey().count({ store: 'n' })
    expect(of(named('b', 'a'))).toEqual(of(named('a', 'b')))
  })
})
