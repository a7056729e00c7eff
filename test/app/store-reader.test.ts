// What `store().get()` answers for a key that is not here: an error that names the task and the cure, never a silent null.
import { expect, test } from 'vitest'
import { type ReadFrom, storeReader } from '../../src/app/store-reader.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { systemWorld } from '../../src/base/system.ts'
import { string, topology } from '../../src/index.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { sizePlan } from '../../src/topology/sizing.ts'

const serdes = { key: string(), value: string() }
const plan = planOf(
  topology('shop', (t) => t.stream('in', serdes).groupByKey().count({ store: 'counts' })),
  'shop',
)
const sized = sizePlan(plan, new Map([['in', 4]]))
const holder: ReadFrom = {
  plan,
  world: systemWorld(),
  ready: () => true,
  sized: () => sized,
  tasks: () => new Map(),
  globalStore: () => undefined,
  applying: () => false,
  figures: () => ({ restores: [] }),
}
const thrown = (act: () => unknown): MillraceError => {
  try {
    act()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

test('a key whose task runs elsewhere', () => {
  const error = thrown(() => storeReader<unknown, number>(holder, 'counts').get('a'))
  expect(error).toMatchObject({ code: 'STREAM_NOT_LOCAL', disposition: 'retry' })
  expect(error.message).toMatch(
    /^store counts: the task of this key, 0_[0-3], does not run in this process .* ask the instance that runs it/,
  )
})

test('a store that is not there is named at once', () => {
  const error = thrown(() => storeReader<unknown, number>(holder, 'cuonts'))
  expect(error).toMatchObject({ code: 'STREAM_USAGE', message: 'no store cuonts in shop; it has counts' })
})

test('a key of the wrong type is refused', () => {
  const error = thrown(() => storeReader<unknown, number>(holder, 'counts').get(5 as unknown as string))
  expect(error.code).toBe('STREAM_SERDE')
})
