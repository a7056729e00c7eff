// Runs a topology over a history in several ways that must make no difference: stores in memory or on LevelDB, commits here or there, a
// crash behind each step, behind one of them or none. What it wrote and what its stores hold is the same in all of them.
//
// 1. Outputs are compared by topic and partition, in their order: key, value, timestamp.
// 2. Stores are compared as they are when all is committed: each row's bytes and timestamp, of each task.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asBuffer } from '../../src/base/bytes.ts'
import { silent } from '../../src/base/ports.ts'
import { headersFromText } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { type MemoryProvider, memoryProvider } from '../../src/state/memory.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import { openSession, type OutputRecord } from '../../src/testing/session.ts'
import type { Topology } from '../../src/topology/node.ts'
import { readsTopic } from '../../src/topology/pattern.ts'

export type Step =
  | {
      readonly topic: string
      readonly key: unknown
      readonly value: unknown
      readonly timestamp: number
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly advanceMs: number }

export interface Way {
  readonly name: string
  readonly stores: 'memory' | 'level'
  /** In memory: a crash takes what was committed too, and all comes back from the changelogs. */
  readonly keepsDisk: boolean
  commitsBehind(step: number): boolean
  crashesBehind(step: number): boolean
}

export interface Ran {
  readonly outputs: Readonly<Record<string, readonly (readonly [key: string | null, value: string | null, timestamp: number])[]>>
  /** By task and store. */
  readonly stores: Readonly<Record<string, readonly string[]>>
}

const never = (): boolean => false
const always = (): boolean => true
const each =
  (n: number, from = 0) =>
  (step: number) =>
    step % n === from

export const PLAIN: Way = { name: 'in memory, no crash', stores: 'memory', keepsDisk: true, commitsBehind: never, crashesBehind: never }

/** The ways that are compared with PLAIN; `step` is where one of them crashes once. */
export function waysOf(step: number): readonly Way[] {
  return [
    {
      name: 'in memory, lost by a crash behind each step',
      stores: 'memory',
      keepsDisk: false,
      commitsBehind: each(3),
      crashesBehind: always,
    },
    {
      name: 'in memory, kept over a crash behind each commit',
      stores: 'memory',
      keepsDisk: true,
      commitsBehind: always,
      crashesBehind: always,
    },
    {
      name: `in memory, one crash behind step ${step}`,
      stores: 'memory',
      keepsDisk: true,
      commitsBehind: each(5, 2),
      crashesBehind: (at) => at === step,
    },
    { name: 'on LevelDB, no crash', stores: 'level', keepsDisk: true, commitsBehind: each(4), crashesBehind: never },
  ]
}

/** Opens each store again at each step: it takes longer. */
export const LEVEL_EACH_STEP: Way = {
  name: 'on LevelDB, a crash behind each step',
  stores: 'level',
  keepsDisk: true,
  commitsBehind: each(3, 1),
  crashesBehind: always,
}

export async function run(topology: Topology, partitions: number, steps: readonly Step[], way: Way): Promise<Ran> {
  const dir = way.stores === 'level' ? mkdtempSync(join(tmpdir(), 'millrace-steps-')) : null
  try {
    return await runOn(topology, partitions, steps, way, dir)
  } finally {
    if (dir !== null) rmSync(dir, { recursive: true, force: true })
  }
}

async function runOn(topology: Topology, partitions: number, steps: readonly Step[], way: Way, dir: string | null): Promise<Ran> {
  let provider: StoreProvider | null = null
  const providerOf = (): StoreProvider => {
    if (provider !== null && dir === null && way.keepsDisk) (provider as MemoryProvider).crash()
    else if (dir === null) provider = memoryProvider()
    else provider ??= levelProvider({ dir, world: { ...systemWorld(), logger: silent }, bootId: 'test', checkTables: false })
    return provider as StoreProvider
  }
  const session = await openSession(topology, { partitions, provider: providerOf })
  const written: OutputRecord[] = []
  const commit = async (): Promise<void> => {
    await session.commit()
    written.push(...session.take())
  }
  for (const [at, step] of steps.entries()) {
    if ('advanceMs' in step) await session.advance(step.advanceMs)
    else {
      const serdes = session.inputs().find(({ topic }) => readsTopic(topic, step.topic))
      if (serdes === undefined) throw new Error(`${topology.name} does not read ${step.topic}`)
      const bytes = (serde: { encode(value: any): Uint8Array }, value: unknown): Buffer | null =>
        value === null ? null : asBuffer(serde.encode(value))
      const { topic, timestamp, headers } = step
      const key = bytes(serdes.key, step.key)
      await session.pipe({ topic, key, value: bytes(serdes.value, step.value), timestamp, headers: headersFromText(headers) })
    }
    if (way.commitsBehind(at)) await commit()
    if (way.crashesBehind(at)) await session.crash()
  }
  await commit()
  const tasks = session.plan.subTopologies.flatMap((sub) =>
    Array.from({ length: partitions }, (_, partition) => ({ task: `${sub.id}_${partition}`, stores: sub.stores })),
  )
  await session.close()
  const stores: Record<string, string[]> = {}
  for (const { task, stores: specs } of tasks) {
    for (const { name, persistent } of specs) {
      if (!persistent) continue
      const { store } = await (provider as unknown as StoreProvider).open(task, name, true)
      const rows: string[] = []
      for await (const chunk of store.scan({ from: null, to: null }))
        for (const [key, { value, timestamp }] of chunk) rows.push(`${key.toString('latin1')} = ${value.toString('latin1')} @${timestamp}`)
      stores[`${task}/${name}`] = rows
      await store.close()
    }
  }
  const outputs: Record<string, [string | null, string | null, number][]> = {}
  for (const { topic, partition, key, value, timestamp } of written) {
    const at = `${topic}-${partition}`
    outputs[at] ??= []
    outputs[at].push([key === null ? null : key.toString('latin1'), value === null ? null : value.toString('utf8'), timestamp])
  }
  return { outputs, stores }
}
