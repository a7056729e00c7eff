// Threads that do not come up, or end by themselves: the processor is told why, in the error's own words, and closes. No broker is
// needed: a thread imports the topology before it looks for one.
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Threads } from '../../../src/app/threads/threads.ts'
import type { MillraceError } from '../../../src/base/errors.ts'
import { systemWorld } from '../../../src/base/system.ts'
import { type ProcessorOptions, resolveConfig } from '../../../src/config.ts'
import { json, StreamProcessor, string, topology } from '../../../src/index.ts'
import { plan as planOf } from '../../../src/topology/plan.ts'
import { type Scratch, scratch } from '../../cli/binary.ts'

const SHOP = `import { topology, string, json } from 'millrace'
export default topology('shop', (t) => {
  t.stream('in', { key: string(), value: json() }).groupByKey().count({ store: 'counts' })
})
`
const shop = topology('shop', (t) => {
  t.stream('in', { key: string(), value: json() }).groupByKey().count({ store: 'counts' })
})
/** Nobody listens there. */
const brokers = ['127.0.0.1:1']

let place: Scratch
let crew: Threads | null = null
let fatal: unknown[] = []
beforeEach(() => {
  place = scratch()
  fatal = []
})
afterEach(async () => {
  await crew?.close(false).catch(() => {})
  crew = null
  place.remove()
})

function crewOf(text: string): Threads {
  const config = resolveConfig('shop', { brokers, stateDir: place.folder, workers: 2, module: place.write('shop.ts', text) })
  const state = { path: place.folder, stores: join(place.folder, 'shop'), processId: '0123456789abcdef' }
  const onFatal = (error: unknown): void => void fatal.push(error)
  crew = new Threads({
    config,
    plan: planOf(shop, 'shop'),
    state,
    module: config.module as string,
    place: null,
    world: systemWorld(),
    onFatal,
  })
  return crew
}

async function refusal(text: string): Promise<MillraceError> {
  const error = await crewOf(text)
    .start()
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(Error)
  await crew?.close(false)
  expect(fatal).toEqual([])
  return error as MillraceError
}

describe('a module that a thread cannot use', () => {
  test('it exports no topology', async () => {
    expect(await refusal('export const shop = 1')).toMatchObject({
      code: 'STREAM_TOPOLOGY_FILE',
      message: expect.stringMatching(/shop\.ts: it exports only shop; end it with: export default topology/),
    })
  })
  test('it throws', async () => {
    expect((await refusal("throw new Error('out of stock')")).message).toMatch(/shop\.ts: it throws when it is loaded: out of stock/)
  })
  test('it exports another topology than the processor has', async () => {
    const error = await refusal(SHOP.replace("store: 'counts'", "store: 'others'"))
    expect(error.message).toMatch(/shop\.ts: its default export is another topology than the one that the processor was given/)
    expect(error.disposition).toBe('usage')
  })
  test('it starts a processor: no thread starts threads', async () => {
    const text = `import { StreamProcessor } from 'millrace'
${SHOP.replace('export default', 'const shop =')}
export default shop
await new StreamProcessor(shop, { brokers: ['127.0.0.1:1'], stateDir: ${JSON.stringify(place.folder)} }).start()
`
    expect((await refusal(text)).message).toMatch(
      /a module that a worker imports starts a processor: put the topology into a file of its own/,
    )
  })
  test('it starts a processor in the main thread only: that is none of its business', async () => {
    const text = `import { isMainThread } from 'node:worker_threads'
import { StreamProcessor } from 'millrace'
${SHOP.replace('export default', 'const shop =').replace("store: 'counts'", "store: 'others'")}
export default shop
if (isMainThread) await new StreamProcessor(shop, { brokers: ['127.0.0.1:1'] }).start()
`
    expect((await refusal(text)).message).toMatch(/is another topology than the one/) // it was imported
  })
  test('it ends the process: that is its thread only', async () => {
    expect((await refusal('process.exit(3)')).message).toMatch(/^worker [01] has ended by itself \(status 3\)/)
  })
  test('it throws later, where nobody catches it', async () => {
    const error = await refusal(`setTimeout(() => { throw new TypeError('later') }, 50)\n${SHOP}`)
    expect(error).toMatchObject({ name: 'TypeError', message: 'later' })
    expect(error.stack).toMatch(/shop\.ts:1/)
  })
})

test.each([
  ['look for a broker', SHOP],
  ['import a module that never ends', `${SHOP}\nfor (;;);`],
])('closed while its threads %s: they are ended, and the start is over', { timeout: 30_000 }, async (_, text) => {
  const threads = crewOf(text)
  const started = threads.start().catch((error: unknown) => error)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const began = performance.now()
  await threads.close(false)
  expect(performance.now() - began).toBeLessThan(6_000) // less than a thread that has something open may take
  expect(await started).toMatchObject({ code: 'STREAM_CLOSED' })
  expect(threads.words().every(({ ready }) => !ready)).toBe(true)
  expect(threads.tasks().size).toBe(0)
  expect(fatal).toEqual([])
})

describe('what several workers need', () => {
  const refused = (options: ProcessorOptions): string => {
    try {
      new StreamProcessor(shop, { workers: 2, ...options })
    } catch (error) {
      expect(error).toMatchObject({ code: 'STREAM_USAGE' })
      return (error as Error).message
    }
    throw new Error('it was taken')
  }
  test('brokers', () => {
    expect(refused({ module: import.meta.url })).toBe(
      'workers: 2 needs brokers: the embedded log belongs to one event loop; name brokers, or leave workers at 1',
    )
  })
  test('the module of the topology', () => expect(refused({ brokers })).toMatch(/^workers: 2 needs module, the URL of the file/))
  test('with both it is taken; one worker needs neither', () => {
    expect(new StreamProcessor(shop, { workers: 2, brokers, module: new URL(import.meta.url) }).config.module).toBe(import.meta.url)
    expect(new StreamProcessor(shop).config.workers).toBe(1)
  })
})
