// What ten times the keys cost: `npm run bench -- growth` compares lastWriteWins with as many events on a tenth as many keys and on as many;
// `npm run bench -- growth-keys` fills stores with ten million rows (BENCH_KEYS) and works on them, through overlays and LevelDB, without a log: how fast,
// and how much memory the process has then.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemWorld } from '../src/base/system.ts'
import { boundHeap } from '../src/cli/heap.ts'
import { encodeRegister } from '../src/operators/last-write-wins-row.ts'
import { CacheBudget } from '../src/state/cache-budget.ts'
import { levelProvider } from '../src/state/leveldb.ts'
import { Overlay } from '../src/state/overlay.ts'
import type { Write } from '../src/state/store.ts'
import type { Topology } from '../src/topology/node.ts'
import { distinctEvents, versionedEvents, xorshift } from './events.ts'
import { Rig, type Run } from './rig.ts'

const STORES = 4
const FILL_ROWS = 10_000
const BATCH = 1_000
const EPOCH = 8_000
const WORKED = 400_000

export async function benchGrowth(topology: Topology, records: number, line: (name: string, run: Run) => string): Promise<void> {
  const rates: number[] = []
  for (const ids of [records / 10, records]) {
    const rig = new Rig({ topology, log: 'memory', partitions: 4, input: versionedEvents('events', records, ids) })
    await rig.load()
    let best = 0
    for (const round of [1, 2, 3]) {
      const run = await rig.run(`growth-${ids}-${round}`, true)
      console.log(line(`lastWriteWins, memory log, ids from ${ids}, round ${round}`, run))
      best = Math.max(best, run.records / run.cpuSeconds)
    }
    rates.push(best)
    await rig.close()
  }
  console.log(`ten times the keys: ${((rates[1] as number) / (rates[0] as number)).toFixed(2)} times the records a CPU second`)
}

/** MiB, from the kernel: the highest there was, and what of the present is not files that are mapped. */
function memory(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  const mib = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024)
  return `RSS ${mib('VmRSS')} MiB (highest ${mib('VmHWM')}), of it mapped files ${mib('RssFile')}`
}

export async function benchGrowthKeys(keys: number): Promise<void> {
  const world = systemWorld()
  const unbound = boundHeap(world, 1)
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const provider = levelProvider({ dir, world })
  const cache = new CacheBudget()
  const stores = await Promise.all(Array.from({ length: STORES }, async (_, i) => (await provider.open(`0_${i}`, 'rows', true)).store))
  const overlays = stores.map((store) => new Overlay(store, { cache }))
  const value = encodeRegister(false, 1, distinctEvents('events', 1)[0]?.value as Buffer)
  const next = xorshift(7)
  const report = async (name: string, count: number, work: () => Promise<void>): Promise<void> => {
    const cpu = process.cpuUsage()
    const started = performance.now()
    await work()
    const { user, system } = process.cpuUsage(cpu)
    const rate = Math.round((count / (performance.now() - started)) * 1000).toLocaleString('en')
    console.log(`${name}: ${rate} rows/s, ${((user + system) / count).toFixed(1)} us CPU a row; ${memory()}`)
  }
  try {
    // The order of the keys is not that of their bytes: a stride that is no divisor visits all of them.
    await report(`${keys.toLocaleString('en')} rows filled in`, keys, async () => {
      for (let at = 0, i = 0; i < keys; ) {
        const writes = stores.map((): Write[] => [])
        for (const end = Math.min(keys, i + FILL_ROWS); i < end; i++) {
          at = (at + 7_368_787) % keys
          writes[at % STORES]?.push({ key: Buffer.from(`p${at}`), value, timestamp: 1 })
        }
        await Promise.all(stores.map((store, n) => store.apply(writes[n] as Write[], { changelogOffset: i })))
      }
    })
    await report(`${WORKED.toLocaleString('en')} updates of random keys`, WORKED, async () => {
      const applying: Promise<void>[] = []
      for (let done = 0; done < WORKED; done += BATCH) {
        const n = (done / BATCH) % STORES
        const overlay = overlays[n] as Overlay
        const wanted = Array.from({ length: BATCH }, () => Buffer.from(`p${next(keys / STORES) * STORES + n}`))
        await overlay.prefetch(wanted)
        for (const key of wanted) {
          overlay.mark()
          overlay.get(key)
          overlay.put(key, value, 2)
        }
        if ((done + BATCH) % (EPOCH * STORES) !== 0) continue
        await Promise.all(applying.splice(0))
        for (const each of overlays) {
          each.seal()
          applying.push(each.apply({ changelogOffset: keys + done }))
        }
      }
      await Promise.all(applying)
    })
  } finally {
    unbound()
    await Promise.all(stores.map((store) => store.close()))
    rmSync(dir, { recursive: true, force: true })
  }
}
