// A scenario on the embedded log: each part a real `millrace run` that is killed with SIGKILL while it works, and started again.
//
// 1. What was sent while it was killed may not have arrived: it is sent again, so part of it comes twice.
// 2. The embedded log belongs to one process: parts take turns on one log, each behind those that feed it.
// 3. It waits until the judge has nothing to say, at most a minute; what is wrong after that stays wrong.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { consumed, millrace, startProcessorWith, succeed } from '../../test/support/processor.ts'
import { type Seeded, seeded } from '../../test/support/seeded.ts'
import { throughOutbox } from './outbox.ts'
import { disordered, type Scenario, type Sent, type Part } from './scenario.ts'
import { settled } from './settled.ts'

export interface KilledOptions {
  readonly folder: string
  readonly seed: number
  readonly tell: (text: string) => void
}

export async function runKilled(scenario: Scenario, { folder, seed, tell }: KilledOptions): Promise<string[]> {
  const random = seeded(seed)
  const outside = await scenario.outside?.(random)
  const stateDir = join(folder, 'state')
  const flow = new Map(Map.groupBy(scenario.happened(random), ({ topic }) => topic))
  const produced = new Set<string>()
  const wrong: string[] = []
  try {
    for (const part of scenario.parts) {
      const first = part.inputs.filter((topic) => flow.has(topic) && !produced.has(topic))
      const fresh = (part.disorder ?? disordered)(
        first.flatMap((topic) => flow.get(topic) ?? []),
        random,
      )
      for (const topic of first) {
        produced.add(topic)
        flow.set(
          topic,
          fresh.filter((one) => one.topic === topic),
        )
      }
      const placed = fresh.filter(({ topic }) => scenario.outbox?.includes(topic))
      if (placed.length > 0) wrong.push(...(await throughOutbox(placed, { folder, stateDir, random, tell })))
      const sent = fresh.filter((one) => !placed.includes(one))
      const written = await runOne(part, sent, { stateDir, env: outside?.env ?? {}, random, tell })
      const read = async (): Promise<string[]> =>
        part.judge(
          part.inputs.flatMap((topic) => flow.get(topic) ?? []),
          await written.read(),
        )
      await settled(read)
      await written.stop()
      wrong.push(...(await read()).map((what) => `${part.file}: ${what}`))
      for (const [topic, records] of Map.groupBy(await written.read(), ({ topic }) => topic)) {
        produced.add(topic)
        flow.set(topic, records)
      }
    }
    return [...wrong, ...(outside?.judge() ?? [])]
  } finally {
    await outside?.close()
  }
}

interface Place {
  readonly stateDir: string
  readonly env: Readonly<Record<string, string>>
  readonly random: Seeded
  readonly tell: (text: string) => void
}

/** Sends it half of its input, starts it, kills it while the rest comes, starts it again. */
async function runOne(part: Part, fresh: readonly Sent[], { stateDir, env, random, tell }: Place) {
  const lines = fresh.map((one) => JSON.stringify(one))
  const half = Math.ceil(lines.length / 2)
  const produce = ['produce', '--state-dir', stateDir, '--topology', part.file]
  const start = () => startProcessorWith({ env }, part.file, '--state-dir', stateDir)
  if (half > 0) await succeed(produce, lines.slice(0, half))
  const first = start()
  await first.ready
  const sending = half === lines.length ? null : millrace(['produce', '--state-dir', stateDir], lines.slice(half))
  await sleep(random.below(400))
  await first.kill()
  const arrived = sending === null || (await sending).code === 0
  tell(`${part.file}: SIGKILL to process ${first.pid}${arrived ? '' : `; ${lines.length - half} records are sent again`}`)
  const second = start()
  await second.ready
  if (!arrived) await succeed(['produce', '--state-dir', stateDir], lines.slice(half))
  return {
    async read(): Promise<Sent[]> {
      const all: Sent[] = []
      for (const topic of part.outputs)
        for (const { key, value } of await consumed<string, unknown>(topic, stateDir)) all.push({ topic, key, value })
      return all
    },
    async stop(): Promise<void> {
      const { code } = await second.stop()
      if (code !== 0) throw new Error(`${part.file} did not stop as it should: ${second.said()}`)
    },
  }
}
