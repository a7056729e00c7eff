// npm run bench:memory: how much memory a million open windows take, in a process of its own on the embedded log and LevelDB stores:
// while they open, while they close together, and while their stores are restored. BENCH_OPEN says how many (1,000,000), BENCH_ONLY is
// a part of a case's name. The input is loaded by another process.
//
// The heap is bounded as `millrace run` does; BENCH_HEAP=default leaves it to V8.
// RSS is what the kernel says (/proc/self/status), files that LevelDB has mapped are in it; anonymous memory is beside it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemWorld } from '../src/base/system.ts'
import { boundHeap } from '../src/cli/heap.ts'
import { openEmbeddedLog } from '../src/log/embedded/index.ts'
import type { Log } from '../src/log/log.ts'
import { levelProvider } from '../src/state/leveldb.ts'
import { type InputRecord, load, runWorker } from '../test/support/run-worker.ts'
import { CASES, type Case, closing } from './open-windows.ts'

const OPEN = Number(process.env.BENCH_OPEN ?? 1_000_000)
const PARTITIONS = 4
const SAMPLE_MS = 10
const world = systemWorld()

interface Peak {
  rssMiB: number
  anonMiB: number
  heapMiB: number
}

/** Peaks since the last call of `take`. */
function watch(): { take(): Peak; end(): void } {
  let peak: Peak = { rssMiB: 0, anonMiB: 0, heapMiB: 0 }
  const look = (): void => {
    const status = readFileSync('/proc/self/status', 'latin1')
    const of = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024
    peak = {
      rssMiB: Math.max(peak.rssMiB, of('VmRSS'), of('VmHWM')),
      anonMiB: Math.max(peak.anonMiB, of('RssAnon')),
      heapMiB: Math.max(peak.heapMiB, process.memoryUsage().heapUsed / 2 ** 20),
    }
  }
  const timer = setInterval(look, SAMPLE_MS)
  return {
    take() {
      look()
      const taken = peak
      peak = { rssMiB: 0, anonMiB: 0, heapMiB: 0 }
      // What the kernel remembers as the highest begins anew, so that nothing between two looks is missed.
      writeFileSync('/proc/self/clear_refs', '5')
      return taken
    },
    end: () => clearInterval(timer),
  }
}

function say(what: string, seconds: number, cpuSeconds: number, { rssMiB, anonMiB, heapMiB }: Peak): void {
  const mib = (n: number): string => `${Math.round(n)} MiB`.padStart(9)
  console.log(
    `  ${what.padEnd(34)} ${seconds.toFixed(1).padStart(6)} s ${cpuSeconds.toFixed(1).padStart(6)} s CPU   RSS ${mib(rssMiB)}   anonymous ${mib(anonMiB)}   JS heap ${mib(heapMiB)}`,
  )
}

async function append(log: Log, records: Iterable<InputRecord>): Promise<void> {
  let some: InputRecord[] = []
  for (const record of records) {
    some.push(record)
    if (some.length < 20_000) continue
    await load(log, some, PARTITIONS)
    some = []
  }
  if (some.length > 0) await load(log, some, PARTITIONS)
}

async function records(log: Log, topic: string): Promise<number> {
  const all = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
  return (await log.offsets(all, 'latest')).reduce((sum, end) => sum + end, 0)
}

async function prepare(of: Case, dir: string): Promise<void> {
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), world })
  await log.createTopics(['clicks', 'purchases', 'out'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
  await append(log, of.input(OPEN))
  await log.close()
}

async function measure(of: Case, dir: string, stores: string, steps: readonly ('open' | 'restore' | 'close')[]): Promise<void> {
  const unbound = boundHeap(world, 1, process.env.BENCH_HEAP === 'default' ? '--heap-growing-percent --semi-space' : undefined)
  const peaks = watch()
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), world })
  const before = await records(log, 'out')
  let started = performance.now()
  const running = await runWorker({
    log,
    topology: of.topology,
    applicationId: 'bench-memory',
    provider: levelProvider({ dir: join(dir, stores), world }),
    world,
    partitions: PARTITIONS,
    commitIntervalMs: 100,
  })
  let usage = process.cpuUsage()
  const cpu = (): number => {
    const { user, system } = process.cpuUsage(usage)
    usage = process.cpuUsage()
    return (user + system) / 1e6
  }
  for (const step of steps) {
    if (step === 'close') {
      started = performance.now()
      await append(log, closing())
      while ((await records(log, 'out')) < before + OPEN) await world.timers.sleep(20)
    }
    await running.untilCaughtUp(600_000)
    say(`${step}${step === 'restore' ? ` ${running.restored()} rows` : ''}`, (performance.now() - started) / 1000, cpu(), peaks.take())
  }
  const out = (await records(log, 'out')) - before
  if (steps.includes('close') && out < OPEN) throw new Error(`${of.name}: only ${out} of ${OPEN} were put out`)
  await running.worker.close()
  await log.close()
  peaks.end()
  unbound()
}

const [part, name, dir] = process.argv.slice(2)
if (part === undefined) {
  for (const { name } of CASES) {
    if (!name.includes(process.env.BENCH_ONLY ?? '')) continue
    const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
    console.log(`${OPEN.toLocaleString('en')}: ${name}`)
    for (const part of ['prepare', 'open', 'restore']) {
      const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), part, name, dir], { stdio: 'inherit' })
      if (status !== 0) process.exit(status ?? 1)
    }
    rmSync(dir, { recursive: true, force: true })
  }
} else {
  const of = CASES.find((each) => each.name === name) as Case
  if (part === 'prepare') await prepare(of, dir as string)
  // Twice: what was opened is closed by a process that has restored it from the changelogs, on another disk.
  else if (part === 'open') await measure(of, dir as string, 'stores', ['open'])
  else await measure(of, dir as string, 'restored', ['restore', 'close'])
}
