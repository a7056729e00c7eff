// With `optimize`: which tables have their own topic as changelog, and what the plan, its text and its forms say of it.
import { describe, expect, it } from 'vitest'
import { type TopologyBuilder, topology, within } from '../../src/index.ts'
import { textOf } from '../../src/topology/describe/text.ts'
import { graphOf } from '../../src/topology/describe/graph.ts'
import { fingerprint, storeForms } from '../../src/topology/fingerprint.ts'
import { plan } from '../../src/topology/plan.ts'
import { text } from './made.ts'

type Build = (t: TopologyBuilder) => void
const planned = (build: Build, optimize = true) => plan(topology('t', build, { optimize }), 'app')
const pair = (a: string | null | undefined, b: string | null | undefined): string => `${a}${b}`
const rows = (t: TopologyBuilder, more: object = {}) => t.table('rows', { ...text, store: 'rows', ...more })
const other = (t: TopologyBuilder) => t.stream('in', text)

/** The stores that are fed, and the changelogs that are made. */
function kept(build: Build, optimize = true): { fed: string[]; changelogs: string[] } {
  const { subTopologies, internalTopics } = planned(build, optimize)
  return {
    fed: subTopologies.flatMap(({ stores }) =>
      stores.flatMap(({ name, source }) => (source === undefined ? [] : [`${name} of ${source}`])),
    ),
    changelogs: internalTopics.filter(({ kind }) => kind === 'changelog').map(({ name }) => name),
  }
}

const FED = { fed: ['rows of rows'], changelogs: [] }
const OWN = { fed: [], changelogs: ['app-rows-changelog'] }

describe('the topic is the changelog', () => {
  it.each<[string, Build]>([
    ['of a table that is kept', (t) => rows(t)],
    ['that a stream looks up', (t) => other(t).join(rows(t), pair)],
    ['that is passed on and mapped', (t) => rows(t).mapValues(first).toStream().to('out')],
    ['that says where to begin: at the beginning', (t) => rows(t, { offsetReset: 'earliest' })],
  ])('%s', (_what, build) => {
    expect(kept(build)).toEqual(FED)
    expect(kept(build, false)).toEqual(OWN)
  })

  it('of one that only the plan keeps', () => {
    const build: Build = (t) => other(t).join(t.table('rows', text), pair)
    expect(kept(build)).toEqual({ fed: ['table-1 of rows'], changelogs: [] })
  })

  it('of both sides of an inner join, whose result has a changelog', () => {
    const build: Build = (t) => rows(t).join(t.table('more', { ...text, store: 'more' }), pair, { store: 'joined' })
    expect(kept(build)).toEqual({ fed: ['rows of rows', 'more of more'], changelogs: ['app-joined-changelog'] })
  })

  it('of the right side of a join by foreign key; the left one looks at old rows', () => {
    const build: Build = (t) => rows(t).join(t.table('more', { ...text, store: 'more' }), (value) => value, pair, { store: 'joined' })
    const { fed, changelogs } = kept(build)
    expect(fed).toEqual(['more of more'])
    expect(changelogs).toContain('app-rows-changelog')
  })

  it('of the first table only, where two are of one topic', () => {
    const build: Build = (t) => {
      const serdes = text
      t.table('rows', { ...serdes, store: 'rows' })
      t.table('rows', { ...serdes, store: 'again' })
    }
    expect(kept(build)).toEqual({ fed: ['rows of rows'], changelogs: ['app-again-changelog'] })
  })
})

describe('a changelog of its own', () => {
  it.each<[string, Build]>([
    ['a versioned table', (t) => rows(t, { versioned: '1h' })],
    ['an extractor of timestamps', (t) => rows(t, { timestamp: () => 1 })],
    ['another beginning', (t) => rows(t, { offsetReset: 'latest' })],
    ['a beginning that somebody sets', (t) => rows(t, { offsetReset: 'none' })],
    ['a record cache', (t) => rows(t, { cache: 1000 })],
    [
      'a group, which subtracts the row before',
      (t) =>
        rows(t)
          .groupBy((value, key) => [value, key], text)
          .count({ store: 'n' }),
    ],
    ['a left join of tables', (t) => rows(t).leftJoin(t.stream('in', text).toTable({ store: 'more' }), pair)],
    ['a filter, which looks at the row before', (t) => rows(t).filter((value) => value > 'm')],
    ['records that wait for its rows', (t) => other(t).join(rows(t), pair, { buffer: { timeout: '1m' }, store: 'parked' })],
    [
      'records that wait for what is made of it',
      (t) => other(t).join(rows(t).mapValues(first), pair, { buffer: { timeout: '1m' }, store: 'parked' }),
    ],
    [
      'records that are held until its rows are there',
      (t) => {
        const table = rows(t)
        other(t).holdUntil((_, key) => [{ table, key }], { store: 'held', buffer: { timeout: '1m' } })
      },
    ],
  ])('%s', (_what, build) => {
    const { fed, changelogs } = kept(build)
    expect(fed).toEqual([])
    expect(changelogs).toContain('app-rows-changelog')
  })

  it.each<[string, Build]>([
    ['a stream made a table', (t) => t.stream('rows', text).toTable({ store: 'rows' })],
    ['of several topics', (t) => t.stream(['rows', 'more'], text).toTable({ store: 'rows' })],
    ['of a pattern', (t) => t.stream(/^rows/, text).toTable({ store: 'rows' })],
  ])('%s', (_what, build) => {
    expect(kept(build)).toEqual(OWN)
  })

  it('a join of streams has one, whatever it reads', () => {
    const build: Build = (t) => other(t).join(t.stream('more', text), pair, within('1m'), { store: 'joined' })
    expect(kept(build)).toEqual({ fed: [], changelogs: ['app-joined-changelog'] })
  })
})

it('begins at the beginning, whatever the application says of all sources', () => {
  const resets = (build: Build) =>
    planned(build).subTopologies.flatMap(({ nodes }) =>
      nodes.flatMap(({ operator }) => (operator.kind === 'source' ? [operator.offsetReset] : [])),
    )
  expect(resets((t) => rows(t))).toEqual(['earliest'])
  expect(
    resets((t) => {
      t.stream('rows', text).to('out') // reads the topic with it
      rows(t)
    }),
  ).toEqual(['earliest'])
  expect(resets((t) => other(t).to('out'))).toEqual([null])
})

it('describe names the topic; the fingerprint and the forms tell the two apart', () => {
  const [on, off] = [planned(rows), planned(rows, false)]
  expect(textOf(graphOf(on))).toContain('rows  [string, string]  changelog rows, its own topic\n')
  expect(textOf(graphOf(off))).toContain('rows  [string, string]  changelog app-rows-changelog\n')
  expect(fingerprint(on).text).toContain('changelog-is rows')
  expect(fingerprint(on).hash).not.toBe(fingerprint(off).hash)
  expect(storeForms(on).get('rows')).toBe('keyValue string to string, from the topic rows')
  expect(storeForms(off).get('rows')).toBe('keyValue string to string')
})

function first(value: string): string {
  return value.slice(0, 1)
}

it('with blockKey each table has a changelog: rows come later than their places in the topic say', () => {
  const made = plan(
    topology('t', (t) => void rows(t), { optimize: true }),
    'app',
    { blockKey: { maxRecords: 10 } as never },
  )
  expect(made.internalTopics.map(({ name }) => name)).toContain('app-rows-changelog')
})
