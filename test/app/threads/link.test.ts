// A store of another thread, asked over a real thread: rows at once and in passing, scans of one epoch, and a thread that is gone.
import { Worker as Thread } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Link } from '../../../src/app/threads/link.ts'
import { remoteStore } from '../../../src/app/threads/remote-store.ts'
import type { Said } from '../../../src/app/threads/words.ts'
import type { World } from '../../../src/base/ports.ts'
import { systemWorld } from '../../../src/base/system.ts'
import type { StateStore } from '../../../src/state/store.ts'

const ALL = { from: null, to: null }
let thread: Thread
let link: Link
beforeEach(async () => {
  const { door, far } = Link.door()
  thread = new Thread(new URL('./stores-thread.ts', import.meta.url), { workerData: { door: far }, transferList: [far.port] })
  link = new Link(thread, door, 0, hasty())
  thread.on('exit', () => link.gone())
  await new Promise<void>((resolve, reject) => {
    thread.on('error', reject)
    thread.on('message', (said: Said) => (said.kind === 'answer' ? link.answered(said) : resolve()))
  })
})
afterEach(() => link.end())

/** Five seconds are one here: it is not the clock that is tried. */
function hasty(): World {
  const { clock, timers, ...rest } = systemWorld()
  return {
    ...rest,
    clock: { ...clock, monotonic: () => 5 * clock.monotonic() },
    timers: { ...timers, after: (ms, run) => timers.after(ms / 5, run) },
  }
}

const value = (stored: { readonly value: Buffer } | undefined): number => Number(stored?.value)

test('a row at once, in passing, and none', async () => {
  const store = remoteStore(link, '0_0', 'rows')
  const key = Buffer.from('0000k7')
  const at = store.getSync(key)
  expect(value(at)).toBeGreaterThan(0)
  expect(at?.timestamp).toBe(value(at))
  const [later, none] = await store.getMany([key, Buffer.from('nobody')])
  expect(value(later)).toBeGreaterThanOrEqual(value(at))
  expect(none).toBeUndefined()
  expect(store.getSync(Buffer.from('nobody'))).toBeUndefined()
  expect(await store.sizeBytes()).toBeGreaterThan(0)
})

test('many at a time: each gets its own answer, whoever waits', async () => {
  const store = remoteStore(link, '0_1', 'rows')
  const keys = Array.from({ length: 200 }, (_, i) => Buffer.from(`k${i}`.padStart(6, '0')))
  const asked = keys.map((key) => store.getMany([key]))
  for (const key of keys) expect(value(store.getSync(key))).toBeGreaterThan(0)
  for (const answers of await Promise.all(asked)) expect(answers).toHaveLength(1)
})

test('a task that is not there is told, not taken for an empty one', async () => {
  const store = remoteStore(link, '0_7', 'rows')
  expect(() => store.getSync(Buffer.from('a'))).toThrow(/task 0_7 has just left this worker/)
  await expect(store.getMany([Buffer.from('a')])).rejects.toMatchObject({ code: 'STREAM_NOT_LOCAL' })
  await expect(rowsOf(store)).rejects.toMatchObject({ code: 'STREAM_NOT_LOCAL' })
  await expect(store.apply([], { changelogOffset: 0 })).rejects.toMatchObject({ code: 'STREAM_INTERNAL' })
})

test('the scans that one turn begins are of one epoch, however many chunks they have', async () => {
  const stores = ['0_0', '0_1'].map((task) => remoteStore(link, task, 'rows'))
  const epochs = new Set<number>()
  for (let i = 0; i < 20; i++) {
    const scans = stores.map((store) => rowsOf(store))
    const found = (await Promise.all(scans)).flat()
    expect(found).toHaveLength(6_000)
    expect(new Set(found).size, 'epochs in one answer').toBe(1)
    epochs.add(found[0] as number)
  }
  expect(epochs.size, 'epochs that went by').toBeGreaterThan(5)
})

async function rowsOf(store: StateStore): Promise<number[]> {
  const found: number[] = []
  for await (const chunk of store.scan(ALL)) for (const [, stored] of chunk) found.push(value(stored))
  return found
}

test('a scan that is left in the middle is ended', async () => {
  for await (const chunk of remoteStore(link, '0_0', 'rows').scan(ALL)) {
    expect(chunk.length).toBeLessThan(3_000)
    break
  }
  await expect(link.ask({ kind: 'next', cursor: 1 })).rejects.toMatchObject({ code: 'STREAM_CLOSED' })
})

test('a thread that does not answer fails its question; one that is gone fails all', async () => {
  await expect(link.ask({ kind: 'metrics' })).rejects.toMatchObject({ code: 'STREAM_NOT_LOCAL' })
  const pending = link.ask({ kind: 'metrics' }, null)
  const store = remoteStore(link, '0_0', 'rows')
  expect(value(store.getSync(Buffer.from('0000k7')))).toBeGreaterThan(0)
  await link.end()
  await expect(pending).rejects.toMatchObject({ code: 'STREAM_NOT_LOCAL' })
  await expect(store.getMany([Buffer.from('a')])).rejects.toThrow(/worker 0 of this process does not answer/)
  expect(() => store.getSync(Buffer.from('a'))).toThrow(/does not answer/)
})
