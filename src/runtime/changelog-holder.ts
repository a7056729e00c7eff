// A store as its changelog has it, for reads where no process holds it: its rows, and those of its history, in memory. A global table's
// changelog is its topic, and so may a table's be.
//
// Invariants
// 1. It is what is committed when it is called; what comes later is not seen.
// 2. Only the rows that are asked for are kept, and no more than LIMITS.rangeBytesMax of them.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Log } from '../log/log.ts'
import { memoryProvider } from '../state/memory.ts'
import type { StateStore, Write } from '../state/store.ts'
import type { StoreSpec } from '../topology/node.ts'
import type { Plan, SizedPlan } from '../topology/plan-types.ts'
import { globalRowKey } from './global-tables.ts'
import type { QueryableStore } from './query.ts'
import type { Holder } from './reads.ts'
import { taskId } from './recover.ts'
import { committedEnd, rowsOf } from './source-fed.ts'

/** Of the selected rows: the partition of a task, null for all; whether a key of a row may be one. */
export interface Wanted {
  readonly partition: number | null
  keeps(key: Buffer): boolean
  /** The same of a history; absent: it is not read. */
  keepsOlder?(key: Buffer): boolean
}

interface Loading {
  readonly log: Log
  readonly world: World
  readonly groupId: string
  bytes: number
}

/** Tasks of the store's sub-topology, by its changelog; 0: it has none, or is not made yet. */
export async function changelogPartitions(log: Log, plan: Plan, store: QueryableStore): Promise<number> {
  const topic = topicOf(plan, store, store.name)
  return topic === undefined ? 0 : ((await log.topics([topic])).get(topic)?.partitions ?? 0)
}

export async function changelogHolder(log: Log, plan: Plan, store: QueryableStore, world: World, wanted: Wanted): Promise<Holder> {
  const partitions = await changelogPartitions(log, plan, store)
  const isGlobal = store.subTopology < 0
  const provider = memoryProvider()
  const loading: Loading = { log, world, groupId: plan.applicationId, bytes: 0 }
  const names = [store.name, ...(store.versions === null || wanted.keepsOlder === undefined ? [] : [store.versions.history])]
  const tasks = new Map<string, { readonly stores: { readonly name: string; readonly overlay: { readonly store: StateStore } }[] }>()
  let global: StateStore | undefined
  for (let partition = 0; partition < partitions; partition++) {
    const task = isGlobal ? 'global' : taskId(store.subTopology, partition)
    const stores: { name: string; overlay: { store: StateStore } }[] = []
    for (const name of names) {
      const opened = isGlobal && global !== undefined ? global : (await provider.open(task, name, true)).store
      stores.push({ name, overlay: { store: opened } })
      if (isGlobal) global = opened
      if (wanted.partition !== null && wanted.partition !== partition && !isGlobal) continue
      const keeps = name === store.name ? wanted.keeps : (wanted.keepsOlder as Wanted['keeps'])
      await load(loading, { topic: topicOf(plan, store, name) as string, partition }, opened, isGlobal, keeps, store.spec)
    }
    tasks.set(task, { stores })
  }
  const sized = { tasks: plan.subTopologies.map(() => partitions) } as unknown as SizedPlan
  return {
    world,
    ready: () => true,
    sized: () => sized,
    tasks: () => tasks,
    globalStore: () => global,
    applying: () => false,
    figures: () => ({ restores: [] }),
  }
}

function topicOf(plan: Plan, store: QueryableStore, name: string): string | undefined {
  if (store.subTopology < 0) return plan.globals.find(({ store: { name: of } }) => of === name)?.topic
  if (store.spec.source !== undefined) return store.spec.source
  return plan.internalTopics.find((internal) => internal.kind === 'changelog' && internal.store === name)?.name
}

async function load(
  loading: Loading,
  at: { readonly topic: string; readonly partition: number },
  store: StateStore,
  isGlobal: boolean,
  keeps: (key: Buffer) => boolean,
  spec: StoreSpec,
): Promise<void> {
  const { log, groupId } = loading
  const [from] = await log.offsets([at], 'earliest')
  const [latest] = await log.offsets([at], 'latest')
  const fed = spec.source !== undefined
  // A topic that was cut off ends before what is committed of it.
  const end = fed ? Math.min((await committedEnd(log, groupId, at)) ?? 0, latest as number) : latest
  const reader = log.reader()
  try {
    let position = from as number
    reader.assign([{ ...at, offset: position }])
    while (position < (end as number)) {
      for (const read of await reader.poll(LIMITS.fetchWaitMs)) {
        const chunk = fed ? await rowsOf(read, spec, end as number) : read
        const writes: Write[] = []
        for (const { key, value, timestamp, offset } of chunk.records) {
          const row = key === null ? null : isGlobal ? globalRowKey(key) : key
          if (row === null || offset >= (end as number) || !keeps(row)) continue
          writes.push({ key: row, value, timestamp })
        }
        await store.apply(writes, { changelogOffset: chunk.position })
        position = chunk.position
      }
      if ((await store.sizeBytes()) + loading.bytes > LIMITS.rangeBytesMax)
        throw new MillraceError(
          'STREAM_USAGE',
          `the rows asked for are over ${LIMITS.rangeBytesMax} bytes; ask for fewer, or ask while a process runs`,
        )
    }
    loading.bytes += await store.sizeBytes()
  } finally {
    await reader.close()
  }
}
