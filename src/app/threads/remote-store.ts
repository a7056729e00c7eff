// A store of a worker's thread, as the processor's own thread sees it: reads only, of committed rows. `getSync` asks and waits, with
// nothing else running in this thread meanwhile; all else asks and goes on.
//
// Invariants
// 1. Scans that are begun in one turn go to their thread in one question: they are of one epoch of it.
import { MillraceError } from '../../base/errors.ts'
import type { ScanRange, StateStore, Stored } from '../../state/store.ts'
import { packEntries, type Question, type Reply, type Scan, unpackEntries } from './words.ts'

export interface Asking {
  ask(question: Question): Promise<Reply>
  /** Holds this thread until the answer is there. */
  askSync(question: Question): Reply
  scan(scan: Omit<Scan, 'cursor'>): { readonly cursor: number; readonly opened: Promise<unknown> }
}

export function remoteStore(worker: Asking, task: string, name: string): StateStore {
  const rowsOf = (keys: readonly Buffer[]): Question => ({
    kind: 'rows',
    task,
    store: name,
    keys: packEntries(keys.map((key) => [key, undefined])),
  })
  const stored = (reply: Reply): (Stored | undefined)[] => unpackEntries(reply as Uint8Array).map(([, row]) => row)
  return {
    name,
    durable: true,
    damaged: null,
    checkpoint: () => null,
    getSync: (key) => stored(worker.askSync(rowsOf([key])))[0],
    getMany: async (keys) => stored(await worker.ask(rowsOf(keys))),
    scan: (range) => scanOf(worker, { task, store: name, range: { ...range, from: own(range.from), to: own(range.to) } }),
    sizeBytes: async () => (await worker.ask({ kind: 'size', task, store: name })) as number,
    apply: async () => {
      throw new MillraceError('STREAM_INTERNAL', `store ${name} is written by its own thread only`)
    },
    close: async () => {},
  }
}

function scanOf(worker: Asking, scan: { task: string; store: string; range: ScanRange }): ReturnType<StateStore['scan']> {
  const { cursor, opened } = worker.scan(scan)
  opened.catch(() => {}) // told by `next`
  let ended = false
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (ended) return { done: true, value: undefined }
        await opened
        const reply = await worker.ask({ kind: 'next', cursor })
        if (reply !== null) return { done: false, value: unpackEntries(reply as Uint8Array) as (readonly [Buffer, Stored])[] }
        ended = true
        return { done: true, value: undefined }
      },
      async return() {
        if (!ended) {
          ended = true
          await opened.then(
            () => worker.ask({ kind: 'end', cursor }),
            () => null,
          )
        }
        return { done: true, value: undefined }
      },
    }),
  }
}

/** Without the pool that it lies in. */
function own(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : (new Uint8Array(bytes) as Buffer)
}
