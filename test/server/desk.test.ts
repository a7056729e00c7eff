// What is asked for by many at once is made once.
import { expect, test, vi } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import type { Ask, AskName } from '../../src/server/asks.ts'
import { deskOf } from '../../src/server/desk.ts'
import type { Metrics } from '../../src/server/metrics.ts'
import type { Served } from '../../src/server/served.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { shop } from './serving.ts'

const drawn: string[] = []
vi.mock('../../src/topology/describe.ts', async (original) => {
  const real = await original<typeof import('../../src/topology/describe.ts')>()
  return {
    ...real,
    describe: (...args: Parameters<typeof real.describe>) => {
      drawn.push(args[1] ?? '')
      return real.describe(...args)
    },
    describeLive: (...args: Parameters<typeof real.describeLive>) => {
      drawn.push('live')
      return real.describeLive(...args)
    },
  }
})
vi.mock('../../src/server/openapi.ts', async (original) => {
  const real = await original<typeof import('../../src/server/openapi.ts')>()
  return {
    openApi: () => {
      drawn.push('openapi')
      return real.openApi()
    },
  }
})

const of = (name: AskName, query: Ask['query'] = {}): Ask => ({ name, store: '', key: '', query, forwarded: false, body: undefined })
const served = { plan: planOf(shop, 'shop'), world: systemWorld() } as Served

function desk(render: Metrics['render']) {
  return deskOf({ served, stores: null, metrics: { render } as Metrics, letters: () => null, acts: false })
}

test('the topology and the description of the routes are written once for each form', async () => {
  const ask = desk(async () => ({ type: '', text: '' }))
  drawn.length = 0
  const forms = [{}, { format: 'json' }, { format: 'mermaid' }, { format: 'svg' }, { format: 'svg', live: 'true' }]
  const all = () => [...forms.map((query) => ask(of('topology', query), null)), ask(of('openApi'), null)]
  const first = all()
  expect(all()).toEqual(first)
  expect(drawn).toEqual(['json', 'mermaid', 'svg', 'live', 'openapi'])
  expect(new Set(first.map((answer) => ('text' in answer ? answer.text : ''))).size).toBe(5)
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
