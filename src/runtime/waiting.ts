// The records that wait in operators of the tasks that are here, read from their stores. For whoever looks at them from outside: committed
// rows, not of one epoch.
import { WAITING_ROWS, type WaitingRecord, waitingRecords } from '../operators/index.ts'
import type { Plan, SizedPlan } from '../topology/plan-types.ts'
import { type Holder, heldStore } from './reads.ts'
import { taskId } from './recover.ts'

export interface Waiting extends WaitingRecord {
  readonly operator: string
  readonly task: string
  readonly partition: number
}

/** By operator, task and key. */
export async function* waitingIn(holder: Pick<Holder, 'tasks'>, plan: Plan, sized: SizedPlan | null): AsyncGenerator<Waiting> {
  for (const { id, nodes } of plan.subTopologies) {
    for (const { name: operator, operator: body, stores } of nodes) {
      const read = waitingRecords(body.kind)
      const [spec] = stores
      if (read === undefined || spec === undefined) continue
      for (let partition = 0; partition < (sized?.tasks[id] ?? 0); partition++) {
        const task = taskId(id, partition)
        const store = heldStore(holder, task, spec.name)
        if (store === null) continue
        for await (const rows of store.scan(WAITING_ROWS)) {
          for (const [, { value }] of rows) {
            const record = read(value)
            if (record !== null) yield { ...record, operator, task, partition: record.partition ?? partition }
          }
        }
      }
    }
  }
}
