// npm run bench: figures of one process, on the memory and the embedded log. Machines are noisy: compare ratios inside one run.
// BENCH_RECORDS says how many records (500,000; `watched` 250,000), BENCH_ONLY=compile|calls|lww|catalog|restore runs one part. `npm run bench -- guarantees` compares the
// two guarantees, on a real Kafka too, `watched` what metrics and queries cost; both run nothing else.
import { json, string, topology } from '../src/index.ts'
import { CATALOG_TOPICS, deliver, historyOf } from '../test/support/catalog-history.ts'
import catalog from '../topologies/catalog.ts'
import { benchCalls } from './calls.ts'
import { benchCompile } from './compile.ts'
import { distinctEvents, versionedEvents } from './events.ts'
import { benchGrowth, benchGrowthKeys } from './growth.ts'
import { compareGuarantees, type GuaranteeRun, type LogKind, median } from './guarantees.ts'
import { Rig, type Run } from './rig.ts'
import { profiled } from './stages.ts'
import { benchWatched, MODES, type WatchedRun, watchedTable } from './watched.ts'

interface Product {
  id: string
  version: number
  op: 'upsert' | 'delete'
}

const RECORDS = Number(process.env.BENCH_RECORDS ?? 500_000)
const PARTS = ['compile', 'lww', 'catalog', 'restore', 'calls'] as const
/** Those that run only when they are asked for. */
const OTHERS = ['growth', 'growth-keys', 'guarantees', 'guarantees-kafka', 'guarantees-embedded', 'watched'] as const
const only = process.argv[2] ?? process.env.BENCH_ONLY
if (only !== undefined && ![...PARTS, ...OTHERS].some((part) => part === only)) {
  const isHelp = only === '--help' || only === '-h'
  console.log(
    `${isHelp ? '' : `bench: there is no part ${only}; `}npm run bench -- [part]: ${PARTS.join(', ')} (these without a part), ${OTHERS.join(', ')}`,
  )
  process.exit(isHelp ? 0 : 2)
}
const wanted = (part: string): boolean => only === undefined || only === part

const lastWriteWins = topology('bench-lww', (t) => {
  t.stream('events', { key: string(), value: json<Product>() })
    .lastWriteWins({ store: 'rows', version: (e) => e.version, deleted: (e) => e.op === 'delete' })
    .toStream()
    .to('table', { key: string(), value: json<Product>() })
})

const rate = (records: number, seconds: number): string =>
  `${Math.round(records / seconds)
    .toLocaleString('en')
    .padStart(10)} records/s`
const line = (name: string, { records, seconds, cpuSeconds, epochs }: Run): string =>
  `${name.padEnd(44)} ${rate(records, seconds)}  ${((cpuSeconds / records) * 1e6).toFixed(2).padStart(6)} us CPU a record  ${epochs} epochs`

if (wanted('compile')) benchCompile()

if (wanted('lww')) {
  for (const log of ['memory', 'embedded'] as const) {
    const rig = new Rig({ topology: lastWriteWins, log, partitions: 4, input: versionedEvents('events', RECORDS, RECORDS / 10) })
    await rig.load()
    for (const round of [1, 2, 3])
      console.log(line(`lastWriteWins, ${log} log, LevelDB, round ${round}`, await rig.run(`lww-${round}`, true)))
    const { result, seconds } = await profiled(() => rig.run('lww-profiled', true))
    const parts = [...seconds].sort(([, a], [, b]) => b - a)
    console.log(
      `  by stage, us a record on the event loop (profiled): ${parts
        .map(([stage, spent]) => `${stage} ${((spent / result.records) * 1e6).toFixed(2)}`)
        .join(', ')}`,
    )
    await rig.close()
  }
}

if (wanted('catalog')) {
  const products = Math.ceil(RECORDS / 50)
  const size = { categories: Math.ceil(products / 15), brands: Math.ceil(products / 40), channels: 5, products, edits: products * 6 }
  const { events } = deliver(historyOf(size, 1), { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 }, 2)
  const input = events.map(({ topic, key, value, timestamp }) => {
    return { topic, key: Buffer.from(key), value: Buffer.from(JSON.stringify(value)), timestamp }
  })
  const rig = new Rig({ topology: catalog, log: 'memory', partitions: 4, input, topics: [...CATALOG_TOPICS, 'catalog'] })
  await rig.load()
  for (const round of [1, 2, 3]) {
    const run = await rig.run(`catalog-${round}`, true)
    console.log(line(`catalog, memory log, LevelDB, round ${round}`, run))
    console.log(`${'  of them input events'.padEnd(44)} ${rate(input.length, run.seconds)}  (the rest is internal: joins and groups)`)
  }
  await rig.close()
}

if (wanted('restore')) {
  const rig = new Rig({ topology: lastWriteWins, log: 'embedded', partitions: 4, input: distinctEvents('events', RECORDS) })
  await rig.load()
  console.log(line('lastWriteWins, all keys distinct, embedded', await rig.run('restore', true)))
  const again = await rig.run('restore', true)
  console.log(
    `${'restore from the changelog, embedded'.padEnd(44)} ${rate(again.restored, again.seconds)}  (${again.restored} records in ${again.seconds.toFixed(2)} s, start included)`,
  )
  await rig.close()
}

if (only === 'growth') await benchGrowth(lastWriteWins, RECORDS, line)
if (only === 'growth-keys') await benchGrowthKeys(Number(process.env.BENCH_KEYS ?? 10_000_000))

if (only === 'guarantees' || only === 'guarantees-kafka' || only === 'guarantees-embedded') {
  const rounds = Number(process.env.BENCH_ROUNDS ?? 6)
  const logs: readonly LogKind[] = ['kafka', 'embedded']
  for (const log of logs.filter((kind) => only === 'guarantees' || only === `guarantees-${kind}`)) {
    const input = versionedEvents('events', RECORDS, RECORDS / 10)
    const runs: GuaranteeRun[] = []
    await compareGuarantees({ topology: lastWriteWins, log, partitions: 4, input, commitIntervalMs: 100, rounds }, (run, round) => {
      if (round > 0) runs.push(run)
      console.log(line(`${round === 0 ? '(warm-up) ' : ''}${log} log, ${run.guarantee}`, { ...run, records: RECORDS, restored: 0 }))
    })
    const [once, least] = (['exactly_once', 'at_least_once'] as const).map((guarantee) => runs.filter((run) => run.guarantee === guarantee))
    const ratio = (of: 'seconds' | 'cpuSeconds'): string => {
      const pairs = (once ?? []).map((run, i) => run[of] / (least?.[i]?.[of] as number))
      return `${median(pairs).toFixed(3)} (${pairs.map((each) => each.toFixed(2)).join(', ')})`
    }
    console.log(
      `${log} log: exactly_once takes ${ratio('seconds')} times as long as at_least_once, CPU, the broker's too, ${ratio('cpuSeconds')} times`,
    )
  }
}
if (only === 'watched') {
  const rounds = Number(process.env.BENCH_ROUNDS ?? 7)
  const records = Number(process.env.BENCH_RECORDS ?? 250_000)
  const modes = MODES.filter((mode) => mode === 'bare' || (process.env.BENCH_MODES ?? MODES.join()).split(',').includes(mode))
  const runs: WatchedRun[] = []
  const input = versionedEvents('events', records, records / 10)
  await benchWatched({ modes, topology: lastWriteWins, partitions: 4, input, keys: records / 10, rounds }, (run, round) => {
    if (round > 0) runs.push(run)
    const asked = run.mode === 'asked' ? `  ${Math.round(run.answersPerSecond)} rows asked for a second` : ''
    console.log(`${line(`${round === 0 ? '(warm-up) ' : ''}${run.mode}`, { ...run, epochs: 0, restored: 0 }).replace('  0 epochs', asked)}`)
  })
  console.log(watchedTable(runs))
}
if (wanted('calls')) await benchCalls((text) => console.log(text))
