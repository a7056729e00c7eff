// What the world sends, by way of a shop's database: written to its outbox, and relayed by a `millrace outbox` that is killed half-way; another does the rest.
//
// 1. What is in the topics then must be the rows, each once, those of a key in their order: anything else is told as wrong.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemWorld } from '../../src/base/system.ts'
import { recordsControl } from '../../src/control/records.ts'
import type { Log } from '../../src/log/log.ts'
import { type Command, consumed, startCommand, succeed } from '../../test/support/processor.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import { openShop } from '../../topologies/orders/shop.ts'
import type { Sent } from './scenario.ts'

export interface Way {
  readonly folder: string
  readonly stateDir: string
  readonly random: Seeded
  readonly tell: (text: string) => void
}

const ROWS_PER_SECOND = 100
/** Where it is killed together with all others, which need more time to come up. */
const SLOWLY_PER_SECOND = 2

export async function throughOutbox(sent: readonly Sent[], { folder, stateDir, random, tell }: Way): Promise<string[]> {
  const file = placed(sent, folder)
  const relay = ['outbox', '--database', file, '--state-dir', stateDir, '--once']
  const killed = startCommand([...relay, '--rate', String(ROWS_PER_SECOND)])
  await killed.said('"msg":"relaying"')
  await new Promise((resolve) => setTimeout(resolve, random.below((sent.length * 1_000) / ROWS_PER_SECOND)))
  await killed.kill()
  await succeed(relay)
  const { relayed, wrong } = await compared(sent, async (topic) =>
    (await consumed<string, string>(topic, stateDir)).map(({ key, value }) => ({ key, text: String(value) })),
  )
  tell(`outbox: SIGKILL to relay ${killed.pid}; ${sent.length} rows, ${relayed} records`)
  return wrong
}

export interface RelayedShop {
  place(sent: readonly Sent[]): void
  /** Slowly, so that a kill meets it at work. */
  start(slowly: boolean): Promise<void>
  kill(): Promise<void>
  stop(): Promise<void>
  /** What is in the topics, held against all that was placed. */
  compared(): Promise<{ readonly relayed: number; readonly wrong: readonly string[] }>
}

/** A shop whose relay runs beside all parts of a scenario. */
export function relayedShop(log: Log, brokers: string, folder: string): RelayedShop {
  const control = recordsControl({ log, plan: null, world: systemWorld(), createPartitions: null })
  const all: Sent[] = []
  let file = ''
  let relay: Command | null = null
  return {
    place(sent) {
      all.push(...sent)
      file = placed(sent, folder)
    },
    async start(slowly) {
      const rate = slowly ? ['--rate', String(SLOWLY_PER_SECOND)] : []
      relay = startCommand(['outbox', '--database', file, '--brokers', brokers, ...rate])
      await relay.said('"msg":"relaying"')
    },
    async kill() {
      const ended = await relay?.kill()
      if (ended?.signal !== 'SIGKILL') throw new Error('the relay of the outbox ended before it was killed')
    },
    async stop() {
      const ended = await relay?.stop()
      if (ended?.code !== 0) throw new Error('the relay of the outbox did not stop as it should')
    },
    compared: () =>
      compared(all, async (topic) => {
        const found: { key: string; text: string }[] = []
        for await (const lines of control.consume(topic, false, new AbortController().signal))
          for (const line of lines) {
            const { key, value } = JSON.parse(line) as { key: string; value: string }
            found.push({ key, text: value })
          }
        return found
      }),
  }
}

/** Answers with the shop's file. */
function placed(sent: readonly Sent[], folder: string): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'shop.db')
  const shop = openShop(file)
  for (const one of sent) shop.place(one)
  shop.close()
  return file
}

type Read = (topic: string) => Promise<readonly { readonly key: string; readonly text: string }[]>

async function compared(sent: readonly Sent[], read: Read): Promise<{ relayed: number; wrong: string[] }> {
  const wrong: string[] = []
  let relayed = 0
  for (const [topic, rows] of Map.groupBy(sent, (one) => one.topic)) {
    const found = await read(topic)
    relayed += found.length
    for (const [key, of] of Map.groupBy(rows, (one) => one.key)) {
      const texts = found.filter((one) => one.key === key).map(({ text }) => text)
      if (texts.join('\n') !== of.map(({ value }) => JSON.stringify(value)).join('\n'))
        wrong.push(`outbox: ${topic} of ${key} is not what was placed`)
    }
    if (found.length !== rows.length) wrong.push(`outbox: ${rows.length} rows for ${topic}, ${found.length} records`)
  }
  return { relayed, wrong }
}
