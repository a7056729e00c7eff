// What the services of the order system tell each other. All topics but `stock` are keyed by the order's id.
export interface OrderPlaced {
  readonly id: string
  readonly customer: string
  readonly sku: string
  readonly count: number
  readonly cents: number
}
/** A delivery to the stock; keyed by sku. */
export interface Stocked {
  readonly id: string
  readonly count: number
}
export interface Reservation {
  readonly order: string
  readonly sku: string
  readonly count: number
  readonly outcome: 'reserved' | 'short'
}
export interface Payment {
  readonly order: string
  readonly cents: number
  /** `failed`: nobody could say in the time that there was. */
  readonly outcome: 'authorized' | 'declined' | 'failed'
}
export interface Fulfilment {
  readonly order: string
  readonly customer: string
  readonly cents: number
  readonly outcome: 'fulfilled' | 'cancelled'
}
export interface Notice {
  readonly order: string
  readonly about: 'placed' | Fulfilment['outcome']
}

const positive = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0

/** For `json`: what it refuses is a dead letter. */
export function isOrder(value: unknown): boolean {
  const { id, customer, sku, count, cents } = (value ?? {}) as Record<string, unknown>
  return [id, customer, sku].every((text) => typeof text === 'string' && text !== '') && positive(count) && positive(cents)
}
export function isStocked(value: unknown): boolean {
  const { id, count } = (value ?? {}) as Record<string, unknown>
  return typeof id === 'string' && id !== '' && positive(count)
}

/** How long a service remembers which orders it has seen, in stream time. */
export const REMEMBERED = '30d'
