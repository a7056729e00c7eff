// Audit: every event of an order as it came, also what came twice, numbered without a gap, with the place where it lies.
import { json, keyValue, string, topology } from 'millrace'

export interface AuditEntry {
  readonly seq: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly event: unknown
}

export default topology('orders-audit', (t) => {
  const counts = t.store(keyValue({ name: 'counts', key: string(), value: json<number>() }))

  t.stream(['orders', 'reservations', 'payments', 'fulfilments'], { key: string(), value: json<unknown>() })
    .processValues<AuditEntry>(
      (context) => ({
        process({ key, value: event, timestamp }) {
          const from = context.recordMetadata()
          if (from === null) throw new Error('an event that came from nowhere')
          const seq = (context.store(counts).get(key) ?? 0) + 1
          context.store(counts).put(key, seq)
          context.forward({ key, value: { seq, ...from, event }, timestamp })
        },
      }),
      { stores: [counts], value: json<AuditEntry>() },
    )
    .to('audit', { key: string(), value: json() })
})
