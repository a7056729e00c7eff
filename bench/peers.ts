// `npm run bench:peers`: millrace and the processors that it is compared with, on the same workloads, in turn, against one broker; the
// harness (beside the project, in shared/peers) starts the broker, loads the input, measures, and checks every output against its oracle.
//
//   npm run bench:peers -- --workloads W1,W4 --peers kafka-streams:nocache,kafka-streams --repeat 3 --threads 1
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Command } from 'commander'

/** One line of the harness. */
interface Line {
  readonly peer: string
  readonly variant?: string
  readonly workload: string
  readonly correct?: boolean
  readonly failure?: string
  readonly recordsPerSecond?: number
  readonly cpuSeconds?: number
  readonly records?: number
  readonly rssMiB?: number
  readonly seconds?: number
  readonly readySeconds?: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  readonly otherCpuSeconds?: number
}

const values = new Command('npm run bench:peers --')
  .description('Run millrace and the processors that it is compared with on the same workloads, in turn, against one broker; print ratios.')
  .option('--workloads <list>', 'of W1 to W6', 'W1,W2,W3,W4,W5,W6')
  .option('--peers <list>', 'names of the harness, `name:variant`', 'kafka-streams,kafka-streams:nocache')
  .option('--repeat <n>', 'runs of each; the median is shown', '3')
  .option('--threads <n>', 'workers, or threads, of each', '1')
  .option('--guarantee <which>', 'exactly_once or at_least_once', 'exactly_once')
  .option('--commit-interval <ms>', 'time between two commits', '100')
  .option('--records <n>', "records of the input (default: the workload's own)")
  .parse()
  .opts<{
    workloads: string
    peers: string
    repeat: string
    threads: string
    guarantee: string
    commitInterval: string
    records?: string
  }>()

const here = import.meta.dirname
const harness = join(here, '../../shared/peers/run')
if (!existsSync(harness)) {
  console.log('SKIPPED: the harness of the comparison, shared/peers, is not beside the project')
  process.exit(0)
}
const dir = mkdtempSync(join(tmpdir(), 'millrace-peers-'))
const out = join(dir, 'lines.ndjson')

const broker = spawn(harness, ['broker'], { stdio: ['ignore', 'pipe', 'inherit'] })
const address = await new Promise<{ brokers: string; pid: number }>((resolve, reject) => {
  createInterface({ input: broker.stdout }).on('line', (line) => {
    if (line.startsWith('{"brokers"')) resolve(JSON.parse(line))
  })
  broker.on('exit', (code) => reject(new Error(`the broker ended with ${code}`)))
})

const own = `${process.execPath} ${join(here, 'peer.ts')}`
const runs = ['millrace', ...values.peers.split(',').filter(Boolean)]

function measure(workload: string, name: string): void {
  const [peer = '', variant = ''] = name.split(':')
  const args = ['--peer', peer, '--workload', workload, '--threads', values.threads, '--guarantee', values.guarantee]
  args.push('--commit-interval', values.commitInterval, '--brokers', address.brokers, '--broker-pid', String(address.pid), '--out', out)
  if (variant !== '') args.push('--variant', variant)
  if (values.records !== undefined) args.push('--records', values.records)
  if (peer === 'millrace') args.push('--peer-command', own)
  const { stdout, status } = spawnSync(harness, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  console.log(stdout.trim() === '' ? `${name} ${workload}: no line, status ${status}` : stdout.trim())
}

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}

const FIGURES: readonly (readonly [name: string, of: (line: Line) => number | undefined])[] = [
  ['records/s', (l) => (l.workload === 'W6' ? undefined : l.recordsPerSecond)],
  ['CPU s a million', (l) => (l.cpuSeconds === undefined || l.records === undefined ? undefined : (l.cpuSeconds * 1e6) / l.records)],
  ['RSS MiB', (l) => l.rssMiB],
  ['ready s', (l) => l.readySeconds],
  ['p50 ms', (l) => l.p50Ms],
  ['p99 ms', (l) => l.p99Ms],
]

function table(lines: readonly Line[], workload: string): void {
  const of = (name: string) => lines.filter((l) => l.workload === workload && (l.variant ? `${l.peer}:${l.variant}` : l.peer) === name)
  for (const [figure, read] of FIGURES) {
    const medianOf = (name: string) => {
      const numbers = of(name).flatMap((l) => (l.correct === true ? (read(l) ?? []) : []))
      return numbers.length === 0 ? Number.NaN : median(numbers)
    }
    const mine = medianOf('millrace')
    if (Number.isNaN(mine)) continue
    const shown = runs.map((name) => {
      const theirs = medianOf(name)
      const ratio = name === 'millrace' || Number.isNaN(theirs) ? '' : ` (millrace ${(mine / theirs).toFixed(2)}x)`
      return `${name} ${Number.isNaN(theirs) ? 'none' : theirs.toFixed(theirs < 1000 ? 1 : 0)}${ratio}`
    })
    console.log(`${workload} ${figure}: ${shown.join(', ')}`)
  }
  for (const name of runs) {
    const wrong = of(name).filter((l) => l.correct !== true)
    if (wrong.length > 0) console.log(`${workload} ${name}: ${wrong.length} of ${of(name).length} runs wrong or failed, left out`)
  }
}

try {
  for (const workload of values.workloads.split(','))
    for (let i = 0; i < Number(values.repeat); i++) for (const name of runs) measure(workload, name)
  const lines = readFileSync(out, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)
  console.log()
  for (const workload of values.workloads.split(',')) table(lines, workload)
} finally {
  broker.kill('SIGTERM')
  rmSync(dir, { recursive: true, force: true })
}
