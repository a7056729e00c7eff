// What describe shows, in each format.
import { describe, expect, it, test } from 'vitest'
import { keyValue } from '../../src/dsl/stores.ts'
import { json } from '../../src/serde/json.ts'
import { string } from '../../src/serde/text.ts'
import { layOut } from '../../src/topology/describe/layout.ts'
import { describe as show } from '../../src/topology/describe.ts'
import type { Plan } from '../../src/topology/plan-types.ts'
import { planOf, text } from './made.ts'

interface Product {
  category: string
}

const made: Plan = planOf((t) => {
  const categories = t.stream('categories', text).lastWriteWins({ store: 'categories', version: () => 1 })
  const products = t.table('products', { key: string(), value: json<Product>(), store: 'products' })
  const joined = products.join(
    categories,
    (product) => product.category,
    (product, name) => ({ ...product, name }),
  )
  joined.toStream().to('catalog')
  t.stream(/^orders-/, text)
    .groupBy((value) => value, { key: string() })
    .count()
    .toStream()
    .to((value) => `big-${value}`)
})

const small = planOf((t) =>
  t
    .stream('in', text)
    .groupBy((value) => value, { key: string() })
    .count()
    .toStream()
    .to('<out> & "more"'.replaceAll(/\W/g, '-')),
)

test('a policy of an operator is shown wherever the operator is, and only there', () => {
  const policed = planOf((t) => {
    const rows = t.table('rows', { ...text, onError: 'skip' }).groupBy((value) => [value, value], { onError: 'fail' })
    rows.count({ store: 'counts' })
    t.stream('in', text).mapAsync(async (value) => value, { store: 'calls', onError: 'skip' })
  })
  const shown = show(policed, 'text')
  expect(shown.match(/.*\n(?: {6}.*\n)* {6}onError .*/g)?.map((block) => block.replace(/\n.* onError/s, ' on error'))).toEqual([
    '  source-1 on error skip',
    '  counts-repartition-sink (repartition) on error fail',
    '  calls (mapAsync, in the order of the key) on error skip',
  ])
  expect(show(policed, 'mermaid')).toContain('["source<br/>source-1<br/>on error: skip"]')
  expect(show(policed, 'svg')).toContain('>on error: fail</text>')
  const { subTopologies } = JSON.parse(show(policed, 'json')) as { subTopologies: { nodes: { name: string; onError?: string }[] }[] }
  expect(subTopologies.flatMap(({ nodes }) => nodes.flatMap(({ onError }) => onError ?? []))).toEqual(['skip', 'fail', 'skip'])
})

describe('text', () => {
  it('shows sub-topologies, operators, stores, topics, and what is generated', () => {
    expect(show(small, 'text')).toBe(`topology t, application app

sub-topology 0
  source-1
      reads   in  [string, string]
      -->     groupBy-1
  groupBy-1 (selectKey)
      <--     source-1
      -->     count-1-repartition-sink
  count-1-repartition-sink (repartition)
      writes  app-count-1-repartition *  [string, present]
      <--     groupBy-1

sub-topology 1
  count-1-repartition-source (source)
      reads   app-count-1-repartition *  [string, present]
      -->     count-1
  count-1
      store   count-1 *  [string, json]  changelog app-count-1-changelog
      <--     count-1-repartition-source
      -->     toStream-1
  toStream-1
      <--     count-1
      -->     to-1
  to-1 (sink)
      writes  -out-----more-  [string, json]
      <--     toStream-1

internal topics
  app-count-1-repartition  repartition *
  app-count-1-changelog    changelog *

* the name is generated: it may change when operators are added; give the operator a store or a name to fix it
`)
  })

  it('says nothing of generated names where there are none', () => {
    const named = show(
      planOf((t) => t.stream('in', text).groupByKey().count({ store: 'n' })),
      'text',
    )
    expect(named).not.toContain('*')
  })
})

describe('mermaid', () => {
  it('has each node, store and topic once, and only links between them', () => {
    const lines = show(made, 'mermaid').split('\n')
    const declared = lines.flatMap((line) => /^ {2,4}(\w+)\[/.exec(line)?.[1] ?? [])
    expect(new Set(declared).size).toBe(declared.length)
    for (const line of lines) {
      const link = /^ {2}(\w+) (?:-->|-\.-) (\w+)$/.exec(line)
      if (link === null) continue
      expect(declared).toContain(link[1])
      expect(declared).toContain(link[2])
    }
    expect(lines.filter((line) => line.trim() === 'end')).toHaveLength(made.subTopologies.length)
    expect(lines.join('\n')).toContain('app-join-1-subscription-repartition *')
  })

  it('has a store that several processors share once', () => {
    const shared = planOf((t) => {
      const counts = t.store(keyValue({ name: 'counts', key: string(), value: string() }))
      for (const topic of ['a', 'b']) t.stream(topic, text).process(() => ({ process: () => {} }), { stores: [counts] })
    })
    const lines = show(shared, 'mermaid').split('\n')
    expect(lines.filter((line) => line.includes('[("counts")]'))).toHaveLength(1)
    expect(lines.filter((line) => line.includes('-.-'))).toHaveLength(2)
  })

  it('takes no markup from names', () => {
    const hostile = planOf((t) => t.stream('in', text).split({ 'x"]<script>': () => true }))
    expect(show(hostile, 'mermaid')).not.toMatch(/<script|x"/)
  })
})

describe('json', () => {
  it('is the graph as plain data', () => {
    const graph = JSON.parse(show(made, 'json'))
    expect(graph).toMatchObject({
      topology: 't',
      applicationId: 'app',
      inputs: ['categories', 'products', '/^orders-/'],
      outputs: ['catalog'],
    })
    expect(graph.subTopologies).toHaveLength(made.subTopologies.length)
    const join = graph.subTopologies
      .flatMap(({ nodes }: { nodes: { name: string }[] }) => nodes)
      .find(({ name }: { name: string }) => name === 'join-1')
    expect(join).toMatchObject({
      operator: 'join by foreign key',
      parents: ['products', 'join-1-response-source'],
      writes: [{ name: 'app-join-1-subscription-repartition', kind: 'internal', key: 'bytes', generated: true }],
      stores: [{ name: 'join-1-foreign-keys', generated: true, changelog: 'app-join-1-foreign-keys-changelog' }],
    })
    const dynamic = graph.subTopologies.flatMap(({ nodes }: { nodes: { writes: { kind: string }[] }[] }) =>
      nodes.flatMap((node) => node.writes),
    )
    expect(dynamic.map(({ kind }: { kind: string }) => kind)).toContain('dynamic')
  })
})

describe('svg', () => {
  const svg = show(made, 'svg')

  it('is self-contained: no script, no style sheet, nothing from outside', () => {
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /)
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/<script|<style|style=|href|https?:|on\w+=/)
  })

  it('is well-formed: tags match, attributes are quoted', () => {
    const open: string[] = []
    for (const [, closing, name, rest] of svg.matchAll(/<(\/?)([a-z]+)([^>]*)>/gi)) {
      if (closing === '/') expect(open.pop()).toBe(name)
      else if (!(rest as string).endsWith('/')) open.push(name as string)
      expect((rest as string).replaceAll(/[\w-]+="[^"<]*"/g, '').replaceAll(/[\s/]/g, '')).toBe('')
    }
    expect(open).toEqual([])
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('shows every node, store and topic', () => {
    for (const { nodes } of made.subTopologies) for (const { name } of nodes) expect(svg).toContain(`>${name}<`)
    for (const { name, kind } of made.internalTopics) if (kind === 'repartition') expect(svg).toContain(name)
    expect(svg).toContain('store products')
    expect(svg).toContain('/^orders-/')
  })

  it('takes no markup from names', () => {
    const hostile = show(
      planOf((t) => t.stream('in', text).split({ '<script>alert("x")</script>': () => true })),
      'svg',
    )
    expect(hostile).not.toContain('<script')
  })
})

describe('layout', () => {
  const boxes = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, width: 40, height: 20 }))
  const links = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'c' },
    { from: 'a', to: 'c' },
    { from: 'd', to: 'c' },
    { from: 'a', to: 'e' },
  ]
  const layout = layOut(boxes, links)

  it('puts boxes side by side without overlap, links going right', () => {
    const places = boxes.map(({ id }) => layout.boxes.get(id) as { x: number; y: number })
    for (const [i, one] of places.entries()) {
      for (const other of places.slice(i + 1)) expect(Math.abs(one.x - other.x) >= 40 || Math.abs(one.y - other.y) >= 20).toBe(true)
      expect(one.x).toBeGreaterThanOrEqual(0)
      expect(one.y).toBeGreaterThanOrEqual(0)
      expect(one.x + 40).toBeLessThanOrEqual(layout.width)
      expect(one.y + 20).toBeLessThanOrEqual(layout.height)
    }
    for (const path of layout.paths)
      for (const [i, point] of path.entries()) if (i > 0) expect(point.x).toBeGreaterThanOrEqual((path[i - 1] as { x: number }).x)
  })

  it('puts a box without a way in right before what it leads to, and leads long links around', () => {
    expect(layout.boxes.get('d')?.x).toBe(layout.boxes.get('b')?.x)
    expect(layout.paths[2]).toHaveLength(4)
  })

  it('of nothing is nothing', () => {
    expect(layOut([], [])).toMatchObject({ width: 0, height: 0 })
  })
})
