// `npm run soak -- --minutes N [--only WORD]`: the fault runs of test/kafka with larger numbers, one after the other, round after round,
// until the time is over: real brokers, real `millrace run` processes, judged by the Java client. Prints a line a run with its recovery
// times. Status 1 when anything was lost, doubled or out of order, or a run broke; it goes on after that.
//
// 1. A round is never cut off: the last one may end later than asked.
// 2. It ends by their ids the processes and brokers that it started.
import { parseArgs } from 'node:util'
import { startKafka } from '../test/kafka/broker.ts'
import { runBulk } from '../test/kafka/faults-bulk.ts'
import { runKills } from '../test/kafka/faults-kill.ts'
import { runBounces, runComings, runDownAtStart, runRolling, runTwoDown } from '../test/kafka/faults-move.ts'
import { runNetwork } from '../test/kafka/faults-network.ts'
import { runStops } from '../test/kafka/faults-stop.ts'
import { runHeirKilled, runZombies } from '../test/kafka/faults-zombie.ts'
import { SHORT, SHORT_BROKER } from '../test/kafka/fleet.ts'
import type { Outcome } from '../test/kafka/outcome.ts'
import { endAll } from '../test/support/processor.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, only: { type: 'string', default: '' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0)) {
  process.stderr.write(`soak: --minutes ${values.minutes} is no number of minutes\n`)
  process.exit(2)
}

const began = performance.now()
const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(0).padStart(6)} s`
const tell = (text: string): void => void process.stdout.write(`${seconds()}  ${text}\n`)
const quiet = (): void => {}
const kafka = await startKafka({ nodes: 3, config: SHORT_BROKER })
const end = async (code: number): Promise<never> => {
  endAll()
  await kafka.stop()
  process.exit(code)
}
process.once('SIGINT', () => void end(130))
process.once('SIGTERM', () => void end(143))

const { brokers } = kafka
const padded = { brokers, eventsPerSecond: 250, padBytes: 1_200, commitInterval: '5s' }
const bulk = async (prefix: string): Promise<Outcome> => {
  const { wrong, passed, tookMs } = await runBulk(
    { brokers, prefix, events: 200_000, changes: 6, commitIntervals: ['100ms', '5s', '1s'] },
    quiet,
  )
  return { wrong, events: passed[0] ?? 0, recoveredMs: [tookMs], glimpses: null }
}
const often = { brokers, eventsPerSecond: 400, commitInterval: '100ms', watched: true }
const runs: readonly (readonly [name: string, run: (prefix: string) => Promise<Outcome>])[] = [
  ['kills, a commit every 100 ms', (prefix) => runKills({ ...often, prefix, instances: 3, kills: 20 }, quiet)],
  ['kills, a commit every 5 s', (prefix) => runKills({ ...often, prefix, commitInterval: '5s', instances: 3, kills: 20 }, quiet)],
  ['zombies with an open epoch', (prefix) => runZombies({ ...padded, prefix, places: ['open', 'open', 'open', 'open'] }, quiet)],
  [
    'zombies in a commit',
    (prefix) =>
      runZombies({ ...often, watched: false, prefix, places: ['sealed', 'offsets', 'ended', 'sealed', 'offsets', 'ended'] }, quiet),
  ],
  [
    'a zombie whose heir is killed',
    (prefix) => runHeirKilled({ ...often, prefix, limits: { ...SHORT, transactionTimeoutMs: 20_000 } }, quiet),
  ],
  ['one comes and one goes a second', (prefix) => runComings({ ...often, prefix }, 60, quiet)],
  [
    'rolling restarts',
    (prefix) => runRolling({ ...often, prefix, eventsPerSecond: 1_000, limits: { ...SHORT, sessionTimeoutMs: 30_000 } }, 3, quiet),
  ],
  ['broker bounces', (prefix) => runBounces({ ...often, prefix }, kafka, 10, quiet)],
  ['two of three brokers down', (prefix) => runTwoDown({ ...often, prefix }, kafka, quiet)],
  ['a broker down at the start', (prefix) => runDownAtStart({ ...often, prefix }, kafka, quiet)],
  ['stops', (prefix) => runStops({ ...often, prefix }, kafka, quiet)],
  ...([1, 2] as const).map(
    (version) =>
      [
        `a bad network, transactions of version ${version}`,
        (prefix: string) =>
          runNetwork(
            { prefix, commitInterval: '100ms', seconds: 60, kafka: { config: SHORT_BROKER, features: { 'transaction.version': version } } },
            quiet,
          ),
      ] as const,
  ),
  ['many events through three topologies', bulk],
]

let failures = 0
for (let round = 1; round === 1 || performance.now() - began < minutes * 60_000; round++) {
  for (const [i, [name, run]] of runs.entries()) {
    if (!name.includes(values.only)) continue
    try {
      const { events, wrong, recoveredMs, glimpses } = await run(`r${round}-${i}-`)
      const sorted = recoveredMs.toSorted((a, b) => a - b).map(Math.round)
      const figures = `median ${sorted[sorted.length >> 1]} ms, longest ${sorted.at(-1)} ms`
      tell(`${name}: ${events} events, ${wrong.length} wrong; all processed again after: ${figures}, of ${sorted.length}`)
      if (glimpses !== null) {
        const { ranges, rows, control, refused } = glimpses
        tell(`  read meanwhile: ${ranges} ranges, ${rows} rows by HTTP, ${control} by the control socket; ${refused} refused by name`)
      }
      for (const line of wrong.slice(0, 5)) tell(`  ${line}`)
      if (wrong.length > 0) failures++
    } catch (error) {
      failures++
      tell(`${name} broke: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
tell(failures === 0 ? 'nothing lost, nothing doubled' : `${failures} runs were wrong or broke`)
await end(failures === 0 ? 0 : 1)
