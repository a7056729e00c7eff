// One worker over a loaded log, measured: the real runtime, barrier and LevelDB stores; the log in memory or embedded.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemWorld } from '../src/base/system.ts'
import { openEmbeddedLog } from '../src/log/embedded/index.ts'
import type { Log } from '../src/log/log.ts'
import { memoryLog } from '../src/log/memory.ts'
import { levelProvider } from '../src/state/leveldb.ts'
import type { Topology } from '../src/topology/node.ts'
import { type InputRecord, load, runWorker } from '../test/support/run-worker.ts'

export interface Run {
  readonly records: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly epochs: number
  readonly restored: number
}

export interface RigOptions {
  readonly topology: Topology
  readonly log: 'memory' | 'embedded'
  readonly partitions: number
  readonly input: readonly InputRecord[]
  readonly commitIntervalMs?: number
  /** Topics to be made beside those of the input. */
  readonly topics?: readonly string[]
}

export class Rig {
  readonly #options: RigOptions
  readonly #dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  readonly #world = systemWorld()
  #log!: Log
  #runs = 0

  constructor(options: RigOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    const { log, partitions, input } = this.#options
    this.#log = log === 'memory' ? memoryLog(this.#world) : await openEmbeddedLog({ dir: join(this.#dir, 'log'), world: this.#world })
    const names = this.#options.topics ?? []
    if (names.length > 0) await this.#log.createTopics(names.map((name) => ({ name, partitions, kind: 'plain' })))
    await load(this.#log, input, partitions)
  }

  /** From the start of the worker to the commit of the last input record; `fresh`: on an empty disk. */
  async run(applicationId: string, fresh: boolean): Promise<Run> {
    const dir = join(this.#dir, `stores-${fresh ? ++this.#runs : this.#runs}`)
    const started = performance.now()
    const cpu = process.cpuUsage()
    const running = await runWorker({
      log: this.#log,
      topology: this.#options.topology,
      applicationId,
      provider: levelProvider({ dir, world: this.#world }),
      world: this.#world,
      partitions: this.#options.partitions,
      commitIntervalMs: this.#options.commitIntervalMs ?? 100,
    })
    await running.untilCaughtUp(600_000)
    const seconds = (performance.now() - started) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const { worker } = running
    let records = 0
    for (const task of worker.tasks.values()) records += task.counts.records
    const { epochs } = worker.barrier.figures
    const restored = running.restored()
    await worker.close()
    return { records, seconds, cpuSeconds: (user + system) / 1e6, epochs, restored }
  }

  async close(): Promise<void> {
    await this.#log.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
