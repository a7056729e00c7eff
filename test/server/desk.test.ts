// What is asked for by many at once is made once.
import { expect, test, vi } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import type { Ask, AskName } from '../../src/server/asks.ts'
import { deskOf } from '../../src/server/desk.ts'
import type { Metrics } from '../../src/server/metrics.ts'
import type { Served } from '../../src/server/served.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { shop } from './serving.ts'

/** How often somebody has looked at the plan, of which all is drawn. */
let looks = 0
const plan = new Proxy(planOf(shop, 'shop'), {
  get(target, name) {
    looks++
    return Reflect.get(target, name)
  },
})

const of = (name: AskName, query: Ask['query'] = {}): Ask => ({ name, store: '', key: '', query, forwarded: false, body: undefined })
const served = { plan, world: systemWorld() } as Served

function desk(render: Metrics['render']) {
  return deskOf({ served, stores: null, metrics: { render } as Metrics, letters: () => null, acts: false })
}

test('the topology and the description of the routes are written once for each form', async () => {
  const ask = desk(async () => ({ type: '', text: '' }))
  const written = vi.spyOn(JSON, 'stringify')
  const described = () => written.mock.calls.filter(([value]) => value !== null && typeof value === 'object' && 'openapi' in value).length
  const texts = new Set<string>()
  const forms: Ask['query'][] = [{}, { format: 'json' }, { format: 'mermaid' }, { format: 'svg' }, { format: 'svg', live: 'true' }]
  for (const query of forms) {
    const before = looks
    const first = ask(of('topology', query), null)
    texts.add('text' in first ? first.text : '')
    if (query.format === 'json') expect(looks, 'it is what is drawn without a format').toBe(before)
    else expect(looks).toBeGreaterThan(before)
    const drawn = looks
    expect(ask(of('topology', query), null)).toEqual(first)
    expect(looks).toBe(drawn)
  }
  expect(texts.size).toBe(4)
  expect(described()).toBe(0)
  const first = ask(of('openApi'), null)
  expect(ask(of('openApi'), null)).toEqual(first)
  expect(described()).toBe(1)
  written.mockRestore()
})

test('metrics that are being gathered are given to all who ask meanwhile; the next are new, also behind a failure', async () => {
  let renders = 0
  const ask = desk(async () => {
    const text = String(++renders)
    await null
    if (text === '2') throw new TypeError('of ours')
    return { type: 't', text }
  })
  const three = async () => await Promise.allSettled([1, 2, 3].map(() => ask(of('metrics'), null)))
  expect(await three()).toEqual(Array(3).fill({ status: 'fulfilled', value: { text: '1', status: 200, type: 't' } }))
  expect((await three()).map(({ status }) => status)).toEqual(Array(3).fill('rejected'))
  expect(await three()).toMatchObject(Array(3).fill({ value: { text: '3' } }))
})
