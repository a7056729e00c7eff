// What a relay of an outbox shows by HTTP, on this machine only: GET /health, GET /health/ready, GET /metrics. Loaded only where a port is asked for.
//
// 1. All is read from the relay's status at the time of a scrape; the relay does not know of it.
import { Counter, Gauge, Registry } from 'prom-client'
import type { World } from '../base/ports.ts'
import type { OutboxStatus } from '../outbox/relay.ts'
import { guardOf } from './guard.ts'
import { type Listener, openListener } from './listener.ts'
import { addProcess, doorOf } from './metrics.ts'

const HOST = '127.0.0.1'

const GAUGES: Readonly<Record<string, { readonly help: string; of(status: OutboxStatus): number | null }>> = {
  millrace_outbox_caught_up: { help: '1 when the last look at the table found nothing new', of: ({ caughtUp }) => Number(caughtUp) },
  millrace_outbox_waiting: { help: '1 while a database or a broker is waited for', of: ({ waitsFor }) => Number(waitsFor !== null) },
  millrace_outbox_lag_seconds: {
    help: 'How old the last row was when it was relayed, by its timestamp; 0 when nothing is left',
    of: ({ caughtUp, lagMs }) => (caughtUp ? 0 : lagMs === null ? null : lagMs / 1_000),
  },
  millrace_outbox_last_look_timestamp_seconds: {
    help: 'When the table was last read without a failure, in seconds since 1970',
    of: ({ lookedAtMs }) => (lookedAtMs === null ? null : lookedAtMs / 1_000),
  },
}
const COUNTERS: Readonly<Record<string, { readonly help: string; of(status: OutboxStatus): number }>> = {
  millrace_outbox_rows_total: { help: 'Rows relayed', of: ({ rows }) => rows },
  millrace_outbox_commits_total: { help: 'Transactions that relayed rows', of: ({ commits }) => commits },
  millrace_outbox_failures_total: { help: 'Failures that passed, or are waited for', of: ({ failures }) => failures },
}

export async function openOutboxServer(port: number, status: () => OutboxStatus, world: World): Promise<Listener> {
  const registry = new Registry()
  const registers = [registry]
  const answered = addProcess(registry)
  for (const [name, { help, of }] of Object.entries(GAUGES))
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = of(status())
        if (value === null) this.remove()
        else this.set(value)
      },
    })
  for (const [name, { help, of }] of Object.entries(COUNTERS))
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(of(status()))
      },
    })
  const metrics = doorOf(
    registry,
    answered,
    () => {},
    async () => registry,
  )
  const listener = await openListener({
    port,
    host: HOST,
    world,
    guard: guardOf({ host: HOST, token: null, clock: world.clock }),
    answered,
    routes(app) {
      const health = () => ({ live: true, ready: status().waitsFor === null })
      app.get('/health', () => health())
      app.get('/health/ready', (_, reply) => reply.code(health().ready ? 200 : 503).send(health()))
      app.get('/metrics', async (_, reply) => {
        const { type, text } = await metrics.render()
        return reply.type(type).send(text)
      })
    },
  })
  return {
    port: listener.port,
    async close() {
      await listener.close()
      metrics.close()
    },
  }
}
