// `npm run scenario <name>`: a system of topologies/ under disorder, judged by plain code. First in process: histories with their records
// shuffled, doubled and read again, with commits and crashes anywhere. Then on the embedded log, or on the Kafka of `--brokers`: each part a
// real `millrace run` that is killed with SIGKILL while it works. Status 0: nothing wrong. Status 1: something is. Status 2: bad words.
//   node scripts/scenario.ts wallet [--histories 30] [--seed 1] [--kills 1] [--brokers localhost:9092]
//
// 1. All it writes is in one temporary directory, which goes when it ends, also on Ctrl-C. So do its processes, by their ids.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { endAll } from '../test/support/processor.ts'
import { drive } from './scenario/driven.ts'
import { runOnKafka } from './scenario/kafka.ts'
import { runKilled } from './scenario/killed.ts'
import type { Scenario } from './scenario/scenario.ts'

const PARTS = ['driven', 'kafka', 'killed', 'outbox', 'scenario', 'settled']
const names = readdirSync(new URL('scenario', import.meta.url))
  .map((file) => file.replace(/\.ts$/, ''))
  .filter((name) => !PARTS.includes(name))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    histories: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    /** Runs on a log, each with a kill of every part. */
    kills: { type: 'string', default: '1' },
    /** Of a Kafka; without them: the embedded log. */
    brokers: { type: 'string' },
  },
})
const refuse = (why: string): never => {
  process.stderr.write(`scenario: ${why}\n`)
  process.exit(2)
}
const whole = (text: string): number => (/^\d{1,7}$/.test(text) ? Number(text) : refuse(`${text} is no whole number`))
const name = positionals[0] ?? ''
if (positionals.length !== 1 || !names.includes(name)) refuse(`name one of ${names.join(', ')}`)
const [histories, seed, kills] = [whole(values.histories), whole(values.seed), whole(values.kills)]

const base = mkdtempSync(join(tmpdir(), 'millrace-scenario-'))
process.once('exit', () => {
  endAll()
  rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
})
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
const tell = (text: string): void => void process.stdout.write(`${text}\n`)

try {
  const { scenario } = (await import(`./scenario/${name}.ts`)) as { scenario: Scenario }
  const wrong: string[] = []
  let [sent, crashes] = [0, 0]
  for (let i = 0; i < histories; i++) {
    const driven = await drive(scenario, seed + i)
    sent += driven.sent
    crashes += driven.crashes
    wrong.push(...driven.wrong)
  }
  if (histories > 0) tell(`in process: ${histories} histories, ${sent} records, ${crashes} crashes: ${wrong.length} wrong`)
  for (let i = 0; i < kills; i++) {
    const run = { folder: join(base, `${i}`), seed: seed + i, tell }
    const found = await (values.brokers === undefined ? runKilled(scenario, run) : runOnKafka(scenario, values.brokers, run))
    tell(`on ${values.brokers === undefined ? 'the embedded log' : 'Kafka'}, every part killed once: ${found.length} wrong`)
    wrong.push(...found)
  }
  for (const what of wrong.slice(0, 10)) tell(`  ${what}`)
  if (wrong.length > 10) tell(`  and ${wrong.length - 10} more`)
  tell(`${name}: ${wrong.length === 0 ? 'right' : 'WRONG'}`)
  process.exitCode = wrong.length === 0 ? 0 : 1
} catch (error) {
  process.stderr.write(`scenario: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  endAll() // of parts that failed others may still run, and nobody would wait for them but this process
}
