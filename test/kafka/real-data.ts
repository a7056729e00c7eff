// The catalog on real data and a real Kafka, end to end: two `millrace run --brokers` processes share the work, one of them is killed
// with SIGKILL while it works and started again. In the end the Java client reads what is committed.
//   node test/kafka/real-data.ts DIRECTORY [SEED]     the directory of olist_products.csv and category_translation.csv
//
// 1. The final table is the oracle's.
// 2. Each version of a row is there at most once: no two records of a key were made of the same versions.
// 3. A product's version never goes back.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import catalog, { type CatalogRow } from '../../topologies/catalog.ts'
import { CATALOG_TOPICS, type CatalogEvent, deliver } from '../support/catalog-history.ts'
import { catalogOf, differences } from '../support/catalog-oracle.ts'
import { type CatalogOutput, goneBack, tableOf } from '../support/catalog-outputs.ts'
import { type Processor, startProcessor, succeed } from '../support/processor.ts'
import { startKafka } from './broker.ts'
import { backlog } from './caught-up.ts'
import { readCommitted } from './java-reader.ts'
import { realHistory } from './real-history.ts'
import { open } from './running.ts'

const TOPOLOGY = 'topologies/catalog.ts'
const PARTITIONS = 4
const SETTLE_MS = 240_000
const BUSY_MS = 20_000
const QUIET_MS = 1_500 // Kafka answers the end of a transaction before its markers are written
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export interface RealDataRun {
  readonly events: number
  readonly outputs: number
  readonly rows: number
  /** From the first start to the last commit, the killed process's time away included. */
  readonly seconds: number
  /** Records that were still to be done when the process was killed: it must have been at work. */
  readonly backlogAtKill: number
  /** Breaches of 1 to 3, in words. */
  readonly wrong: readonly string[]
}

export async function runRealData(dir: string, seed: number, tell: (text: string) => void = () => {}): Promise<RealDataRun> {
  const { events } = deliver(realHistory(dir, seed), { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 }, seed + 1)
  const base = mkdtempSync(join(tmpdir(), 'millrace-real-data-'))
  const kafka = await startKafka()
  const { brokers } = kafka
  const log = await open(brokers)
  const running = new Set<Processor>()
  const start = (name: string): Processor => {
    const processor = startProcessor(TOPOLOGY, '--brokers', brokers, '--state-dir', join(base, name))
    running.add(processor)
    return processor
  }
  try {
    await log.createTopics([...CATALOG_TOPICS, 'catalog'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
    const half = Math.floor(events.length / 2)
    await produce(brokers, events.slice(0, half))
    tell(`${half} of ${events.length} events are in ${brokers}`)
    const began = performance.now()
    const first = start('one')
    const second = start('two')
    await Promise.all([first.ready, second.ready])
    tell('two processes run')
    const rest = produce(brokers, events.slice(half))
    await sleep(1_500)
    let backlogAtKill = 0
    for (const deadline = performance.now() + BUSY_MS; backlogAtKill === 0 && performance.now() < deadline; )
      backlogAtKill = await backlog(log, catalog, 'catalog')
    await second.kill()
    running.delete(second)
    tell(`process ${second.pid} killed with ${backlogAtKill} records to be done`)
    await Promise.all([rest, sleep(1_000)])
    const again = start('two')
    await again.ready
    tell(`started again as ${again.pid}`)
    await untilDone(() => backlog(log, catalog, 'catalog'), tell)
    const seconds = (performance.now() - began - QUIET_MS) / 1000
    for (const processor of running) {
      const { code } = await processor.stop()
      if (code !== 0) throw new Error(`a processor did not stop as it should: ${processor.said()}`)
    }
    const outputs = (await readCommitted(brokers, 'catalog')).map(({ key, value }) => outputOf(key, value))
    const expected = catalogOf(events)
    const wrong = [...differences(tableOf(outputs), expected), ...twice(outputs), ...goneBack(outputs)]
    return { events: events.length, outputs: outputs.length, rows: expected.size, seconds, backlogAtKill, wrong }
  } finally {
    for (const processor of running) await processor.kill()
    await log.close()
    await kafka.stop()
    rmSync(base, { recursive: true, force: true })
  }
}

async function produce(brokers: string, events: readonly CatalogEvent[]): Promise<void> {
  await succeed(
    ['produce', '--brokers', brokers, '--topology', TOPOLOGY],
    events.map((event) => JSON.stringify(event)),
  )
}

async function untilDone(left: () => Promise<number>, tell: (text: string) => void): Promise<void> {
  const deadline = performance.now() + SETTLE_MS
  let told = performance.now()
  let quietSince: number | null = null
  for (;;) {
    const records = await left()
    const now = performance.now()
    if (records > 0) quietSince = null
    else quietSince ??= now
    if (quietSince !== null && now - quietSince >= QUIET_MS) return
    if (now > deadline) throw new Error(`${records} records were not processed within ${SETTLE_MS / 1000} s`)
    if (now - told > 5_000) {
      tell(`${records} records to be done`)
      told = now
    }
    await sleep(100)
  }
}

function outputOf(key: Buffer | null, value: Buffer | null): CatalogOutput {
  return { key: String(key), value: value === null ? null : (JSON.parse(value.toString()) as CatalogRow) }
}

/** Breaches of 2. Nothing but products and categories is there, so a row's versions say all. */
function twice(outputs: readonly CatalogOutput[]): string[] {
  const seen = new Set<string>()
  const found: string[] = []
  for (const { key, value } of outputs) {
    if (value === null) continue
    const name = `${key} ${value.category} ${JSON.stringify(value.versions)}`
    if (seen.has(name)) found.push(`written twice: ${name}`)
    seen.add(name)
  }
  return found
}

if (import.meta.main) {
  const [dir, seed = '1'] = process.argv.slice(2)
  if (dir === undefined) {
    process.stderr.write('usage: node test/kafka/real-data.ts DIRECTORY [SEED]\n')
    process.exit(2)
  }
  const began = performance.now()
  const { wrong, ...figures } = await runRealData(dir, Number(seed), (text) => {
    process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}\n`)
  })
  process.stdout.write(`${JSON.stringify(figures)}\n`)
  for (const line of wrong.slice(0, 10)) process.stdout.write(`  ${line}\n`)
  process.stdout.write(`catalog equals the oracle: ${wrong.length === 0 ? 'yes' : `no, ${wrong.length} differences`}\n`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}
