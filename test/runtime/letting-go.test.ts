// What operators keep of a record that was undone: each for itself, beside what the dead letter has written.
import { expect, test } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import type { Push } from '../../src/operators/operator.ts'
import type { Head } from '../../src/runtime/input-queue.ts'
import { keepOfUndone } from '../../src/runtime/letting-go.ts'
import type { SourceEntry } from '../../src/runtime/program.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { Overlay } from '../../src/state/overlay.ts'

const HEAD: Head = {
  record: { offset: 0, timestamp: 0, key: null, value: null, headers: [] },
  key: null,
  value: null,
  old: undefined,
  timestamp: 0,
  problem: null,
}

async function kept(error: unknown): Promise<string[]> {
  const { store } = await memoryProvider().open('0_0', 'rows', false)
  const stores = [{ overlay: new Overlay(store) }, { overlay: new Overlay(store) }] as const
  const write = (at: 0 | 1, key: string): void => stores[at].overlay.put(Buffer.from(key), Buffer.from('1'), 0)
  const undone: readonly Push[] = [
    () => write(0, 'first'),
    () => {
      write(0, 'half')
      write(1, 'half')
      throw error
    },
    () => write(1, 'last'),
  ]
  for (const { overlay } of stores) overlay.mark()
  write(1, 'mark of the key')
  keepOfUndone({ entries: [{ undone } as Partial<SourceEntry> as SourceEntry] }, HEAD, stores)
  return stores.flatMap(({ overlay }) => [...overlay.seal()].map(({ key }) => key.toString())).sort()
}

test('one that throws for the record loses what it wrote itself', async () => {
  expect(await kept(new Error('it does not fit'))).toEqual(['first', 'last', 'mark of the key'])
})

test('what is no fault of the record is thrown', async () => {
  const damaged = new MillraceError('STREAM_STORE_DAMAGED', 'the disk is full')
  await expect(kept(damaged)).rejects.toBe(damaged)
})
