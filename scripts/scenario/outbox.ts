// What the world sends, by way of a shop's database: written to its outbox, and relayed by a `millrace outbox` that is killed half-way; another does the rest.
//
// 1. What is in the topics then must be the rows, each once, those of a key in their order: anything else is told as wrong.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { consumed, startCommand, succeed } from '../../test/support/processor.ts'
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

export async function throughOutbox(sent: readonly Sent[], { folder, stateDir, random, tell }: Way): Promise<string[]> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'shop.db')
  const shop = openShop(file)
  for (const one of sent) shop.place(one)
  shop.close()
  const relay = ['outbox', '--database', file, '--state-dir', stateDir, '--once']
  const killed = startCommand([...relay, '--rate', String(ROWS_PER_SECOND)])
  await killed.said('"msg":"relaying"')
  await new Promise((resolve) => setTimeout(resolve, random.below((sent.length * 1_000) / ROWS_PER_SECOND)))
  await killed.kill()
  await succeed(relay)
  const wrong: string[] = []
  let relayed = 0
  for (const [topic, rows] of Map.groupBy(sent, (one) => one.topic)) {
    const found = (await consumed<string, string>(topic, stateDir)).map(({ key, value }) => ({ key, text: String(value) }))
    relayed += found.length
    const wanted = Map.groupBy(rows, ({ key }) => key)
    for (const [key, of] of wanted) {
      const texts = found.filter((one) => one.key === key).map(({ text }) => text)
      if (texts.join('\n') !== of.map(({ value }) => JSON.stringify(value)).join('\n'))
        wrong.push(`outbox: ${topic} of ${key} is not what was placed`)
    }
    if (found.length !== rows.length) wrong.push(`outbox: ${rows.length} rows for ${topic}, ${found.length} records`)
  }
  tell(`outbox: SIGKILL to relay ${killed.pid}; ${sent.length} rows, ${relayed} records`)
  return wrong
}
