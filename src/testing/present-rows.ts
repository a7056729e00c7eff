// The stores of a session for readers that are made for committed ones: each row is as the topology sees it now, what no barrier has
// committed yet among them. Reads only.
import type { ReadFrom } from '../app/store-reader.ts'
import type { World } from '../base/ports.ts'
import { globalKey, globalNamed, type GlobalTable, type GlobalTables } from '../runtime/global-tables.ts'
import { Suspend } from '../runtime/suspend.ts'
import type { Task } from '../runtime/task.ts'
import type { Overlay } from '../state/overlay.ts'
import type { RangeRow, Ranges } from '../state/ranges.ts'
import type { ScanRange, StateStore, Stored } from '../state/store.ts'
import type { Plan, SizedPlan } from '../topology/plan-types.ts'

/** What of a session is read. */
export interface Presence {
  readonly plan: Plan
  readonly world: World
  readonly sized: SizedPlan
  readonly tasks: () => readonly Task[]
  readonly globals: () => GlobalTables
}

interface Present {
  readonly name: string
  get(key: Buffer): Stored | undefined
  ranges(): Ranges
}

export function presentRows({ plan, world, sized, tasks, globals }: Presence): ReadFrom {
  return {
    plan,
    world,
    ready: () => true,
    sized: () => sized,
    tasks: () =>
      new Map(
        tasks().map(({ id, stores }) => [
          id,
          { stores: stores.map(({ name, overlay }) => ({ name, overlay: { store: ofTask(overlay) } })) },
        ]),
      ),
    globalStore(name) {
      const table = globalNamed(globals(), name)
      return table === undefined ? undefined : ofGlobal(table)
    },
    applying: () => false,
    figures: () => ({ restores: [] }),
  }
}

function ofTask(overlay: Overlay): StateStore {
  return present({ name: overlay.store.name, get: (key) => overlay.get(key), ranges: () => overlay.ranges() })
}

function ofGlobal(table: GlobalTable): StateStore {
  const get = (row: Buffer): Stored | undefined => {
    const value = table.rowBytes(globalKey(row))
    return value === null ? undefined : { value, timestamp: 0 }
  }
  return present({ name: table.spec.store.name, get, ranges: () => table.ranges() })
}

function present({ name, get, ranges }: Present): StateStore {
  return {
    name,
    durable: false,
    damaged: null,
    checkpoint: () => null,
    getSync: get,
    getMany: async (keys) => keys.map(get),
    async *scan(range) {
      yield await rowsOf(ranges(), range)
    },
    apply: () => Promise.reject(new Error('it is only read')),
    sizeBytes: async () => 0,
    close: async () => {},
  }
}

async function rowsOf(ranges: Ranges, range: ScanRange): Promise<RangeRow[]> {
  for (;;) {
    try {
      ranges.begin()
      return [
        ...ranges.rows(range, (fetch) => {
          throw new Suspend(fetch)
        }),
      ]
    } catch (error) {
      if (!(error instanceof Suspend)) throw error
      await error.need()
    }
  }
}
