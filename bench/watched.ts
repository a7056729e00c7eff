// What it costs to be watched and asked: the same input through a processor that has no server and makes no spans, one whose metrics are scraped
// every second, one that is asked for 5,000 rows a second by HTTP as well, one whose spans are sampled out, and one whose spans are all recorded
// (and go nowhere). They take turns inside one run, so that the machine's moods fall on all.
//
// 1. Counted is from the first record processed to the last one; CPU is of the processor's own process, whoever asks is in another.
// 2. Each run has an application id, and so a group, stores and internal topics, of its own, on one embedded log.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { trace } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  ParentBasedSampler,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { systemWorld } from '../src/base/system.ts'
import { StreamProcessor } from '../src/index.ts'
import { openEmbeddedLog } from '../src/log/embedded/index.ts'
import type { Topology } from '../src/topology/node.ts'
import { median } from './guarantees.ts'
import { type InputRecord, load } from '../test/support/run-worker.ts'

export const MODES = ['bare', 'scraped', 'asked', 'sampled-out', 'recorded'] as const
export type Mode = (typeof MODES)[number]

export interface WatchedOptions {
  readonly modes: readonly Mode[]
  readonly topology: Topology
  readonly partitions: number
  readonly input: readonly InputRecord[]
  readonly keys: number
  readonly rounds: number
}

export interface WatchedRun {
  readonly mode: Mode
  readonly records: number
  readonly seconds: number
  /** Of the whole process; of the thread that processes records, alone. */
  readonly cpuSeconds: number
  readonly loopSeconds: number
  /** Rows answered a second, of `asked`. */
  readonly answersPerSecond: number
}

const ASKED_PER_SECOND = 5_000
const SCRAPE_MS = 1_000
const LOOK_MS = 2
const world = systemWorld()

/** A first round warms the machine up and is told apart; then each begins with another mode. */
export async function benchWatched(options: WatchedOptions, tell: (run: WatchedRun, round: number) => void): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const log = await openEmbeddedLog({ dir: join(stateDir, 'log'), world })
    await load(log, options.input, options.partitions)
    await log.close()
    for (let round = 0; round <= options.rounds; round++) {
      const order = options.modes.map((_, i) => options.modes[(i + round) % options.modes.length] as Mode)
      for (const mode of order) tell(await measure(options, stateDir, mode, `${mode}-${round}`), round)
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
}

async function measure(
  { topology, input, keys }: WatchedOptions,
  stateDir: string,
  mode: Mode,
  applicationId: string,
): Promise<WatchedRun> {
  const tracing = register(mode)
  const server = mode === 'scraped' || mode === 'asked' ? { server: { port: 0 } } : {}
  const app = new StreamProcessor(topology, { applicationId, stateDir, tracing, ...server })
  await app.start()
  const { port } = app.status()
  const asker =
    mode === 'asked'
      ? spawn(process.execPath, [fileURLToPath(new URL('asker.ts', import.meta.url)), `${port}`, `${ASKED_PER_SECOND}`, `${keys}`])
      : null
  let scraping = 'server' in server
  const scrapes = (async () => {
    while (scraping) {
      await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      await world.timers.sleep(SCRAPE_MS)
    }
  })()
  const { records: before } = app.status()
  const began = performance.now()
  const cpu = process.cpuUsage()
  const loop = process.threadCpuUsage()
  while (app.status().records < input.length) await world.timers.sleep(LOOK_MS)
  const seconds = (performance.now() - began) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const own = process.threadCpuUsage(loop)
  scraping = false
  const answers = asker === null ? 0 : await answersOf(asker)
  await scrapes
  if (app.status().rewinds > 0) throw new Error(`${applicationId}: it rewound: not a measurement`)
  await app.close()
  trace.disable()
  return {
    mode,
    records: input.length - before,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    loopSeconds: (own.user + own.system) / 1e6,
    answersPerSecond: answers,
  }
}

const NOWHERE: SpanProcessor = {
  onStart() {},
  onEnd() {},
  async forceFlush() {},
  async shutdown() {},
}

/** As an application would before it starts; whether there is a provider now. */
function register(mode: Mode): boolean {
  if (mode !== 'sampled-out' && mode !== 'recorded') return false
  const root = mode === 'recorded' ? new AlwaysOnSampler() : new AlwaysOffSampler()
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [NOWHERE], sampler: new ParentBasedSampler({ root }) }))
  return true
}

async function answersOf(asker: ChildProcess): Promise<number> {
  let said = ''
  asker.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const ended = new Promise((resolve) => asker.once('close', resolve))
  asker.kill('SIGTERM')
  await ended
  const { seconds, ...answers } = JSON.parse(said) as Record<string, number>
  return ((answers['200'] ?? 0) + (answers['404'] ?? 0)) / (seconds as number)
}

/** What each mode costs, as ratios to the bare run of the same round: their median, all rounds together, and each. */
export function watchedTable(runs: readonly WatchedRun[]): string {
  const of = (mode: Mode): readonly WatchedRun[] => runs.filter((run) => run.mode === mode)
  const sum = (each: readonly number[]): number => each.reduce((total, one) => total + one, 0)
  const cost = (mode: Mode, what: 'seconds' | 'loopSeconds' | 'cpuSeconds'): number[] => of(mode).map((run) => run[what] / run.records)
  const rows = MODES.filter((mode) => mode !== 'bare' && of(mode).length > 0).map((mode) => {
    const ratio = (what: 'seconds' | 'loopSeconds' | 'cpuSeconds'): string => {
      const [own, bare] = [cost(mode, what), cost('bare', what)]
      const each = own.map((one, i) => one / (bare[i] as number))
      return `${median(each).toFixed(3)}, ${(sum(own) / sum(bare)).toFixed(3)} (${each.map((one) => one.toFixed(2)).join(' ')})`
    }
    const answers = mode === 'asked' ? `, ${Math.round(median(of(mode).map((run) => run.answersPerSecond)))} answers/s` : ''
    return [`${mode}${answers}`, ratio('seconds'), ratio('loopSeconds'), ratio('cpuSeconds')]
  })
  const load = loadavg()
    .map((one) => one.toFixed(1))
    .join(', ')
  return [
    `load average ${load}; embedded log; a record's cost as a multiple of bare: median, all rounds together (each round)`,
    ...[['', 'time', 'CPU of the loop', 'CPU of the process'], ...rows].map((cells) =>
      cells.map((cell, i) => cell.padEnd(i === 0 ? 24 : 17 + 5 * of('bare').length)).join('  '),
    ),
  ].join('\n')
}
