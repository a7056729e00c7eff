// What an operator itself says of errors, wherever the plan has put it; null: the application's policies hold.
import type { ErrorPolicy } from '../base/error-policy.ts'
import type { PlanOperator } from './plan-types.ts'

export function onErrorOf(operator: PlanOperator): ErrorPolicy | null {
  switch (operator.kind) {
    case 'changeSink':
      return operator.group.onError ?? null
    case 'parkingSink':
    case 'foreignKeyLeft':
    case 'foreignKeyRight':
      return operator.join.onError ?? null
    case 'holdUntil':
      return operator.hold.onError ?? null
    case 'mapAsync': {
      const { onError } = operator.calling
      return typeof onError === 'string' ? onError : null
    }
    case 'repartitionSink':
    case 'holdTable':
    case 'blockKey':
      return null
    default:
      return operator.onError ?? null
  }
}
