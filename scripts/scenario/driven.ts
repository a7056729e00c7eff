// A scenario in process: each part in a test driver, with partitions, commits and crashes at chance places.
import { TopologyTestDriver } from 'millrace/testing'
import { seeded } from '../../test/support/seeded.ts'
import { disordered, type Scenario, type Sent } from './scenario.ts'

export interface Driven {
  readonly sent: number
  readonly crashes: number
  readonly wrong: readonly string[]
}

/** One history, which the seed decides. */
export async function drive(scenario: Scenario, seed: number): Promise<Driven> {
  const random = seeded(seed)
  const flow: Sent[] = scenario.happened(random)
  const wrong: string[] = []
  let [count, crashes] = [0, 0]
  for (const { file, topology, inputs, outputs, disorder = disordered, afterwards, judge } of scenario.parts) {
    const sent = disorder(
      flow.filter(({ topic }) => inputs.includes(topic)),
      random,
    )
    await using driver = new TopologyTestDriver(topology(random), { partitions: 1 + random.below(3) })
    for (const { topic, key, value } of sent) {
      if (random.chance(0.1)) await driver.commit()
      if (random.chance(0.05)) {
        await driver.crash()
        crashes++
      }
      await driver.input(topic).pipe({ key, value })
    }
    for (let step = 0; step < (afterwards?.steps ?? 0); step++) {
      await driver.advance(afterwards?.by ?? '1s')
      if (random.chance(0.2)) {
        await driver.crash()
        crashes++
      }
    }
    await driver.commit()
    const written = outputs.flatMap((topic) =>
      driver
        .output(topic)
        .readAll()
        .map(({ key, value }): Sent => ({ topic, key, value })),
    )
    wrong.push(...judge(sent, written).map((what) => `seed ${seed}, ${file}: ${what}`))
    flow.push(...written)
    count += sent.length
  }
  return { sent: count, crashes, wrong }
}
