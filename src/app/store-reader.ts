// Reads of a running processor's stores: committed state only, local tasks only.
import { MillraceError } from '../base/errors.ts'
import { NotYet, whenThere } from '../base/not-yet.ts'
import type { GlobalTable } from '../runtime/global-tables.ts'
import { encodeKey, type QueryableStore, queryableNames, queryableStore, taskPartition } from '../runtime/query.ts'
import { taskId } from '../runtime/recover.ts'
import type { HeldTask } from '../server/served.ts'
import type { StateStore } from '../state/store.ts'
import type { Plan, SizedPlan } from '../topology/plan-types.ts'

export interface StoreReader<K = any, V = any> {
  /** The committed row; null when there is none. Throws STREAM_NOT_LOCAL for a key whose task is not running here. */
  get(key: K): V | null
  /** All committed rows of the tasks that run here, by task, in the order of the keys' bytes. */
  all(): AsyncIterable<readonly [key: K, value: V]>
}

export function storeReader(plan: Plan, sized: () => SizedPlan, tasks: () => ReadonlyMap<string, HeldTask>, name: string): StoreReader {
  const store = queryableStore(plan, name)
  if (store === null) {
    const names = queryableNames(plan)
    throw new MillraceError(
      'STREAM_USAGE',
      `no store ${name} in ${plan.topology}; it has ${names.length === 0 ? 'none' : names.join(', ')}`,
    )
  }
  const storeOf = (task: HeldTask): StateStore | undefined => task.stores.find((held) => held.name === name)?.overlay.store
  return {
    get(key) {
      const bytes = encodeKey(store, key)
      const partition = taskPartition(store, key, sized().tasks[store.subTopology] as number)
      const task = tasks().get(taskId(store.subTopology, partition))
      const held = task === undefined ? undefined : storeOf(task)
      if (held === undefined)
        throw new MillraceError(
          'STREAM_NOT_LOCAL',
          `store ${name}: the task of this key, ${taskId(store.subTopology, partition)}, does not run in this process or is still being restored; ask the instance that runs it, or again when it is ready`,
        )
      const stored = held.getSync(bytes)
      return stored === undefined ? null : asked(() => store.rowOf(stored))
    },
    async *all() {
      for (const task of tasks().values()) {
        const held = storeOf(task)
        if (held !== undefined) yield* rowsOf(store, held)
      }
    },
  }
}

/** The rows of a global table as this process has read them. */
export function globalReader(table: GlobalTable): StoreReader {
  return { get: (key) => asked(() => table.row(key)?.value ?? null), all: () => table.all() }
}

/** A caller that cannot wait: what is lacking is asked for, so that it is there when the row is read again. */
function asked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof NotYet) error.need().catch(() => {})
    throw error
  }
}

async function* rowsOf(store: QueryableStore, held: StateStore): AsyncIterable<readonly [unknown, unknown]> {
  for await (const chunk of held.scan(store.range)) {
    for (const [key, stored] of chunk) {
      const value = await whenThere(() => store.rowOf(stored))
      if (value !== null) yield [await whenThere(() => store.spec.key.decode(key)), value]
    }
  }
}
