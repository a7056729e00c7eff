// The run of the demo: loads half of the events into the log, feeds the rest while the processor works, kills it, starts it again.
//
// 1. A part whose producer was cut off by a kill is sent again: whether it arrived is not known, and to this topology it is one.
// 2. It waits for the expected table, but reads what is really there; a table that never comes is shown as it is.

import { CATALOG_TOPICS } from '../../test/support/catalog-history.ts'
import { differences } from '../../test/support/catalog-oracle.ts'
import { type CatalogOutput, tableOf } from '../../test/support/catalog-outputs.ts'
import { progressOf } from '../../test/support/embedded.ts'
import { consumed, millrace, startProcessor, succeed } from '../../test/support/processor.ts'
import { seeded } from '../../test/support/seeded.ts'
import type { CatalogRow } from '../../topologies/catalog.ts'
import type { DemoDelivery } from './delivery.ts'

export interface Plan {
  readonly kills: number
  readonly seed: number
  readonly expected: ReadonlyMap<string, CatalogRow>
  readonly tell: (text: string) => void
}

export interface Ran {
  readonly outputs: readonly CatalogOutput[]
  /** Starts after a kill that came to work again. */
  readonly restarts: number
  /** Events that a producer sent twice, because the first time was in doubt. */
  readonly sentAgain: number
}

const TOPOLOGY = 'topologies/catalog.ts'
const SETTLE_MS = 30_000
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const number = (n: number): string => n.toLocaleString('en')

export async function runKilled(stateDir: string, delivery: DemoDelivery, { kills, seed, expected, tell }: Plan): Promise<Ran> {
  const random = seeded(seed + 2)
  const lines = delivery.events.map((event) => JSON.stringify(event))
  const half = Math.ceil(lines.length / 2)
  const part = (i: number): string[] =>
    lines.slice(half + (i * (lines.length - half)) / (kills + 1), half + ((i + 1) * (lines.length - half)) / (kills + 1))
  const produce = ['produce', '--state-dir', stateDir]
  const outputsNow = (): Promise<CatalogOutput[]> => consumed<string, CatalogRow>('catalog', stateDir)

  await succeed([...produce, '--topology', TOPOLOGY, '--partitions', '4'], lines.slice(0, half))
  tell(`${number(half)} events are in the embedded log, before anything runs`)
  let pending: string[] = []
  let sentAgain = 0
  for (let kill = 1; kill <= kills; kill++) {
    const processor = startProcessor(TOPOLOGY, '--state-dir', stateDir)
    await processor.ready
    const sending = [...pending, ...part(kill - 1)]
    const sent = millrace(produce, sending)
    await sleep(200 + random.below(600))
    await processor.kill()
    const arrived = (await sent).code === 0
    pending = arrived ? [] : sending
    if (!arrived) sentAgain += sending.length
    const { processed, arrived: inLog } = await progressOf(stateDir, 'catalog', CATALOG_TOPICS)
    tell(`kill ${kill}: SIGKILL to process ${processor.pid}; ${number(processed)} of ${number(inLog)} events are committed`)
  }

  const processor = startProcessor(TOPOLOGY, '--state-dir', stateDir)
  await processor.ready
  await succeed(produce, [...pending, ...part(kills)])
  tell('all events are in the log; waiting until they are processed')
  const deadline = performance.now() + SETTLE_MS
  let outputs = await outputsNow()
  while (differences(tableOf(outputs), expected).length > 0 && performance.now() < deadline) {
    await sleep(300)
    outputs = await outputsNow()
  }
  const { code } = await processor.stop()
  if (code !== 0) throw new Error(`the processor did not stop as it should: ${processor.said()}`)
  outputs = await outputsNow()
  tell('stopped')
  return { outputs, restarts: kills, sentAgain }
}
