// Runs one worker over a loaded log and measures it: the real runtime, barrier and stores; the log in memory or embedded.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareTopics } from '../src/app/topics.ts'
import { LIMITS } from '../src/base/limits.ts'
import { partitionOf } from '../src/base/murmur2.ts'
import type { World } from '../src/base/ports.ts'
import { NO_HEADERS } from '../src/base/record.ts'
import { systemWorld } from '../src/base/system.ts'
import { openEmbeddedLog } from '../src/log/embedded/index.ts'
import type { Log } from '../src/log/log.ts'
import { memoryLog } from '../src/log/memory.ts'
import { DEFAULT_POLICIES, deadLetterTopic } from '../src/runtime/dead-letter.ts'
import { Worker } from '../src/runtime/worker.ts'
import { levelProvider } from '../src/state/leveldb.ts'
import type { Topology } from '../src/topology/node.ts'
import { plan as planOf } from '../src/topology/plan.ts'
import type { Event } from './events.ts'

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
  /** By topic. */
  readonly input: ReadonlyMap<string, readonly Event[]>
  readonly commitIntervalMs?: number
}

export class Rig {
  readonly #options: RigOptions
  readonly #dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  readonly #world: World = systemWorld()
  #log!: Log
  #runs = 0

  constructor(options: RigOptions) {
    this.#options = options
  }

  async load(): Promise<void> {
    const { log, partitions, input } = this.#options
    this.#log = log === 'memory' ? memoryLog(this.#world) : await openEmbeddedLog({ dir: join(this.#dir, 'log'), world: this.#world })
    await this.#log.createTopics([...input.keys()].map((name) => ({ name, partitions, kind: 'plain' })))
    const writer = this.#log.writer({ transactionalId: 'load', guarantee: 'exactly_once' })
    await writer.init()
    for (const [topic, events] of input) {
      for (let i = 0; i < events.length; i += 20_000) {
        for (const { key, value, timestamp } of events.slice(i, i + 20_000)) {
          writer.append(topic, partitionOf(key, partitions), timestamp, key, value, NO_HEADERS)
        }
        writer.seal()
        await writer.flush()
        await writer.commit(null, 'load', [])
      }
    }
    await writer.close()
  }

  /** From the start of the worker to the commit of the last input record; `fresh`: the stores' disk is wiped first. */
  async run(applicationId: string, fresh: boolean): Promise<Run> {
    const plan = planOf(this.#options.topology, applicationId)
    const topics = await prepareTopics(this.#log, plan, this.#options.partitions)
    const dir = join(this.#dir, `stores-${fresh ? ++this.#runs : this.#runs}`)
    let restored = 0
    const done = new Map<string, number>()
    let failure: unknown
    const worker = new Worker({
      deps: {
        log: this.#log,
        groupId: applicationId,
        provider: levelProvider({ dir, world: this.#world }),
        sized: topics.sized,
        policies: DEFAULT_POLICIES,
        deadLetterTopic: deadLetterTopic(applicationId),
        partitionsOf: topics.partitionsOf,
        inputTopics: topics.inputTopics,
        changelogTopic: (store) => plan.internalTopics.find((topic) => topic.store === store)?.name as string,
        world: this.#world,
        onProgress: (progress) => done.set(`${progress.task}/${progress.store}`, progress.restored),
        stopping: () => false,
      },
      transactionalId: applicationId,
      instanceId: null,
      guarantee: 'exactly_once',
      limits: { intervalMs: this.#options.commitIntervalMs ?? 100, recordsMax: LIMITS.epochRecordsMax, bytesMax: LIMITS.epochBytesMax },
      stored: [],
      onFatal: (error) => {
        failure = error
      },
    })
    const started = performance.now()
    const cpu = process.cpuUsage()
    await worker.start()
    while (!(worker.ready && (await this.#caughtUp(applicationId, topics.sized.tasks.length > 0 ? plan.inputs : [])))) {
      if (failure !== undefined) throw failure
      await this.#world.timers.sleep(5)
    }
    const seconds = (performance.now() - started) / 1000
    const { user, system } = process.cpuUsage(cpu)
    let records = 0
    for (const task of worker.tasks.values()) records += task.counts.records
    for (const n of done.values()) restored += n
    const { epochs } = worker.barrier.figures
    await worker.close()
    return { records, seconds, cpuSeconds: (user + system) / 1e6, epochs, restored }
  }

  async #caughtUp(groupId: string, inputs: readonly string[]): Promise<boolean> {
    const all = inputs.flatMap((topic) => Array.from({ length: this.#options.partitions }, (_, partition) => ({ topic, partition })))
    const [committed, ends] = await Promise.all([this.#log.committed(groupId, all), this.#log.offsets(all, 'latest')])
    return all.every((_, i) => (committed[i]?.offset ?? 0) >= (ends[i] as number))
  }

  async close(): Promise<void> {
    await this.#log.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
