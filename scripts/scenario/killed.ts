// A scenario on the embedded log: each part a real `millrace run` that is killed with SIGKILL while it works, and started again.
//
// 1. What was sent while it was killed may not have arrived: it is sent again, so part of it comes twice.
// 2. It waits until the judge has nothing to say, at most SETTLE_MS; what is wrong after that stays wrong.
import { join } from 'node:path'
import { consumed, millrace, startProcessorWith, succeed } from '../../test/support/processor.ts'
import { type Seeded, seeded } from '../../test/support/seeded.ts'
import { disordered, type Scenario, type Sent, type Part } from './scenario.ts'

const SETTLE_MS = 60_000
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export interface KilledOptions {
  readonly folder: string
  readonly seed: number
  readonly env?: Readonly<Record<string, string>>
  readonly tell: (text: string) => void
}

export async function runKilled(scenario: Scenario, { folder, seed, env = {}, tell }: KilledOptions): Promise<string[]> {
  const random = seeded(seed)
  const flow = scenario.happened(random)
  const wrong: string[] = []
  for (const part of scenario.parts) {
    const sent = (part.disorder ?? disordered)(
      flow.filter(({ topic }) => part.inputs.includes(topic)),
      random,
    )
    const { written, found } = await runOne(part, sent, { folder, env, random, tell })
    wrong.push(...found.map((what) => `${part.file}: ${what}`))
    flow.push(...written)
  }
  return wrong
}

interface Place {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly random: Seeded
  readonly tell: (text: string) => void
}

async function runOne(part: Part, sent: readonly Sent[], { folder, env, random, tell }: Place) {
  const stateDir = join(folder, part.file.replaceAll(/\W/g, '-'))
  const lines = sent.map((one) => JSON.stringify(one))
  const half = Math.ceil(lines.length / 2)
  const start = () => startProcessorWith({ env }, part.file, '--state-dir', stateDir)
  const written = async (): Promise<Sent[]> => {
    const all = await Promise.all(
      part.outputs.map(async (topic) =>
        (await consumed<string, unknown>(topic, stateDir)).map(({ key, value }) => ({ topic, key, value })),
      ),
    )
    return all.flat()
  }
  await succeed(['produce', '--state-dir', stateDir, '--topology', part.file, '--partitions', '3'], lines.slice(0, half))
  const first = start()
  await first.ready
  const sending = millrace(['produce', '--state-dir', stateDir], lines.slice(half))
  await sleep(random.below(400))
  await first.kill()
  const arrived = (await sending).code === 0
  tell(`${part.file}: SIGKILL to process ${first.pid}, ${lines.length} records sent${arrived ? '' : ', half of them again'}`)
  const second = start()
  await second.ready
  if (!arrived) await succeed(['produce', '--state-dir', stateDir], lines.slice(half))
  const deadline = performance.now() + SETTLE_MS
  while (part.judge(sent, await written()).length > 0 && performance.now() < deadline) await sleep(200)
  const { code } = await second.stop()
  if (code !== 0) throw new Error(`${part.file} did not stop as it should: ${second.said()}`)
  const outputs = await written()
  return { written: outputs, found: part.judge(sent, outputs) }
}
