import { expect, test } from 'vitest'
import { memoryProvider } from '../../src/state/memory.ts'

const write = (key: string, value: string): { key: Buffer; value: Buffer; timestamp: number } => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  timestamp: 1,
})
const closed = expect.objectContaining({ code: 'STREAM_CLOSED' })

test('a crash keeps what was applied, kills every handle, and a zombie writes nothing', async () => {
  const provider = memoryProvider()
  const { store: zombie } = await provider.open('0_0', 'counts', true)
  await zombie.apply([write('a', '1')], { changelogOffset: 1 })
  provider.crash()
  await expect(zombie.apply([write('a', '2')], { changelogOffset: 2 })).rejects.toThrow(closed)
  const { store } = await provider.open('0_0', 'counts', true)
  expect(store.checkpoint()).toEqual({ changelogOffset: 1 })
  expect(store.getSync(Buffer.from('a'))?.value.toString()).toBe('1')
  await zombie.close()
  await store.apply([write('a', '3')], { changelogOffset: 3 })
})

test('an open takes the content over from a handle that was never closed', async () => {
  const provider = memoryProvider()
  const { store: old } = await provider.open('0_0', 'counts', true)
  await old.apply([write('a', '1')], { changelogOffset: 1 })
  const { store } = await provider.open('0_0', 'counts', true)
  expect(store.checkpoint()).toEqual({ changelogOffset: 1 })
  expect(() => old.getSync(Buffer.from('a'))).toThrow(closed)
})

test('a store that is not persistent starts empty at every open', async () => {
  const provider = memoryProvider()
  const { store } = await provider.open('0_0', 'lost', false)
  await store.apply([write('a', '1')], { changelogOffset: 1 })
  await store.close()
  const again = await provider.open('0_0', 'lost', false)
  expect(again.store.checkpoint()).toBeNull()
})

test('forget loses one store, a task, or all', async () => {
  const provider = memoryProvider()
  const names = [
    ['0_0', 'a'],
    ['0_0', 'b'],
    ['0_01', 'a'],
    ['1_0', 'a'],
  ] as const
  const left = async (): Promise<string[]> => {
    const found: string[] = []
    for (const [task, name] of names) {
      const { store } = await provider.open(task, name, true)
      if (store.checkpoint() !== null) found.push(`${task}/${name}`)
      await store.apply([], { changelogOffset: 1 })
      await store.close()
    }
    return found
  }
  expect(await left()).toEqual([])
  provider.forget('0_0', 'b')
  expect(await left()).toEqual(['0_0/a', '0_01/a', '1_0/a'])
  provider.forget('0_0')
  expect(await left()).toEqual(['0_01/a', '1_0/a'])
  provider.forget()
  expect(await left()).toEqual([])
})

test('what is applied is copied: it does not keep the buffer it came in', async () => {
  const { store } = await memoryProvider().open('0_0', 'counts', true)
  const response = Buffer.alloc(1_000_000, 'x')
  await store.apply([{ key: response.subarray(0, 4), value: response.subarray(4, 9), timestamp: 1 }], { changelogOffset: 1 })
  response.fill('y')
  expect(store.getSync(Buffer.from('xxxx'))?.value.toString()).toBe('xxxxx')
})
