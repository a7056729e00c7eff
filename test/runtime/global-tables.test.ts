// The reader of global tables: to the end first, on from there, again after a restart, anew when its topic was cut.
import { expect, test, vi } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { memoryLog, type MemoryLog } from '../../src/log/memory.ts'
import { GlobalReader } from '../../src/runtime/global-reader.ts'
import { int32 } from '../../src/serde/numbers.ts'
import { string } from '../../src/serde/text.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { StateStore, StoreProvider } from '../../src/state/store.ts'

const world = { ...systemWorld(), logger: { debug() {}, info() {}, warn() {}, error() {} } }
const spec = {
  topic: 'rows',
  key: string(),
  value: int32(),
  store: { name: 'table', key: string(), value: int32(), generated: false, persistent: true, changelog: false },
}
const number = (n: number): Buffer => Buffer.from(int32().encode(n))

async function withRows(): Promise<MemoryLog> {
  const log = memoryLog(world)
  await log.createTopics([{ name: 'rows', partitions: 3, kind: 'plain' }])
  return log
}

async function write(
  log: MemoryLog,
  rows: readonly (readonly [partition: number, key: string | null, value: Buffer | null])[],
): Promise<void> {
  const writer = log.writer({ transactionalId: 'w', guarantee: 'exactly_once' })
  await writer.init()
  for (const [partition, key, value] of rows) writer.append('rows', partition, 7, key === null ? null : Buffer.from(key), value, [])
  writer.seal()
  await writer.flush()
  await writer.commit(null, '', [])
  await writer.close()
}

/** A provider whose stores outlive their close, as files do. */
function lasting(): StoreProvider & { readonly aside: string[] } {
  const held = new Map<string, StateStore>()
  const aside: string[] = []
  return {
    aside,
    async open(task, name, persistent) {
      const store = held.get(name) ?? (await memoryProvider().open(task, name, persistent)).store
      held.set(name, store)
      return {
        store: new Proxy(store, { get: (of, member) => (member === 'close' ? async () => {} : boundTo(of, member)) }),
        rebuilt: null,
      }
    },
    async setAside(_task, name, reason) {
      aside.push(reason)
      held.delete(name)
    },
  }
}

function boundTo(of: StateStore, member: string | symbol): unknown {
  const value: unknown = Reflect.get(of, member)
  return typeof value === 'function' ? value.bind(of) : value
}

async function reading(log: MemoryLog, provider: StoreProvider): Promise<GlobalReader> {
  const onFatal = (error: unknown): void => {
    throw error
  }
  const reader = new GlobalReader({ specs: [spec], log, provider, world, partitionsOf: () => 3, stopping: () => false, onFatal })
  await reader.start()
  return reader
}

const row = (reader: GlobalReader, key: string): unknown => reader.tables[0]?.row(key)?.value ?? null

test('all partitions are read to the end before start resolves; what comes later is read too', async () => {
  const log = await withRows()
  await write(log, [...Array.from({ length: 3_000 }, (_, n) => [n % 3, `k${n}`, number(n)] as const), [0, 'k3', null]])
  const reader = await reading(log, lasting())
  expect([row(reader, 'k0'), row(reader, 'k2999'), row(reader, 'k3'), row(reader, 'k')]).toEqual([0, 2999, null, null])
  await write(log, [
    [2, 'late', number(1)],
    [1, 'k1', number(-1)],
  ])
  await vi.waitFor(() => expect([row(reader, 'late'), row(reader, 'k1')]).toEqual([1, -1]))
  const all: unknown[] = []
  for await (const each of reader.tables[0]?.all() ?? []) all.push(each)
  expect(all.length).toBe(3_000)
  expect(all[0]).toEqual(['k0', 0])
  await reader.close()
  await log.close()
})

test('a restart goes on where it was; a topic that was cut is read anew', async () => {
  const log = await withRows()
  const provider = lasting()
  await write(log, [
    [0, 'a', number(1)],
    [1, 'b', number(2)],
  ])
  await (await reading(log, provider)).close()
  await write(log, [[0, 'a', number(3)]])
  const again = await reading(log, provider)
  expect([row(again, 'a'), row(again, 'b')]).toEqual([3, 2])
  expect(provider.aside).toEqual([])
  await again.close()

  const other = await withRows()
  await write(other, [[1, 'b', number(9)]])
  const anew = await reading(other, provider)
  expect([row(anew, 'a'), row(anew, 'b')]).toEqual([null, 9])
  expect(provider.aside).toEqual(['rows-0 was cut'])
  await anew.close()
  await Promise.all([log.close(), other.close()])
})

test('what can’t be decoded is left out and counted', async () => {
  const log = await withRows()
  await write(log, [
    [0, 'a', number(1)],
    [0, 'a', Buffer.from('no number')],
    [0, null, number(2)],
    [0, 'b', number(3)],
  ])
  const reader = await reading(log, lasting())
  expect([row(reader, 'a'), row(reader, 'b'), reader.tables[0]?.skipped]).toEqual([1, 3, 2])
  await reader.close()
  await log.close()
})
