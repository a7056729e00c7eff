// A foreign-key join whose joiner, or what comes behind it, throws: the record that made it throw becomes a dead letter, and the table is
// right again as soon as one side is mended, whichever it is.
import { describe, expect, it } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

const world = systemWorld()

interface Product {
  readonly category: string
  readonly price: number
}

/** A result that says "bad" makes the joiner throw, or what comes behind the join. */
const joined = (where: 'joiner' | 'behind') =>
  topology('joined', (t) => {
    const products = t.table('products', { key: string(), value: json<Product>() })
    const categories = t.table('categories', { key: string(), value: json<string>() })
    const check = (text: string): string => {
      if (text.startsWith('1 in bad')) throw new Error('injected')
      return text
    }
    products
      .join(
        categories,
        (product) => product.category,
        (product, category) => (where === 'joiner' ? check(`${product.price} in ${category}`) : `${product.price} in ${category}`),
        { store: 'joined', value: json<string>() },
      )
      .toStream()
      .mapValues((text) => (text === null ? null : check(text)))
      .to('out', { key: string(), value: json<string | null>() })
  })

type Change = readonly [topic: 'products' | 'categories', key: string, value: unknown]

/** Each change is joined to its end before the next one comes. */
async function outputs(where: 'joiner' | 'behind', changes: readonly Change[]): Promise<{ out: unknown[]; deadLetters: number }> {
  const log = memoryLog(world)
  await log.createTopics(['products', 'categories'].map((name) => ({ name, partitions: 1, kind: 'plain' })))
  const setup = {
    log,
    topology: joined(where),
    applicationId: 'app',
    provider: memoryProvider(),
    world,
    partitions: 1,
    commitIntervalMs: 1,
  }
  const running = await runWorker(setup)
  let at = 0
  for (const [topic, key, value] of changes) {
    await load(log, [{ topic, key: Buffer.from(key), value: Buffer.from(JSON.stringify(value)), timestamp: at++ }], 1)
    await running.untilCaughtUp()
  }
  await running.worker.close()
  const out = (await readAll(log, 'out')).flat().map(({ value }) => (value === null ? null : JSON.parse(value.toString())))
  const deadLetters = (await readAll(log, 'app-dead-letter')).flat().length
  await log.close()
  return { out, deadLetters }
}

describe.each(['joiner', 'behind'] as const)('what throws is the %s', (where) => {
  it('at the first answer: a better left row finds the right one', async () => {
    const changes: Change[] = [
      ['categories', 'c', 'bad'],
      ['products', 'p', { category: 'c', price: 1 }],
      ['products', 'p', { category: 'c', price: 2 }],
    ]
    expect(await outputs(where, changes)).toEqual({ out: ['2 in bad'], deadLetters: 1 })
  })

  it('at a change of the right row: a better left row meets that one, not the one before', async () => {
    const changes: Change[] = [
      ['categories', 'c', 'tools'],
      ['products', 'p', { category: 'c', price: 1 }],
      ['categories', 'c', 'bad'],
      ['products', 'p', { category: 'c', price: 2 }],
    ]
    expect(await outputs(where, changes)).toEqual({ out: ['1 in tools', '2 in bad'], deadLetters: 1 })
  })

  it('at the first answer: a better right row is joined, a left row that is gone is taken back', async () => {
    const changes: Change[] = [
      ['products', 'p', { category: 'c', price: 1 }],
      ['categories', 'c', 'bad'],
      ['categories', 'c', 'tools'],
      ['categories', 'c', 'bad again'],
      ['products', 'p', { category: 'none', price: 1 }],
    ]
    expect(await outputs(where, changes)).toEqual({ out: ['1 in tools', null], deadLetters: 2 })
  })
})
