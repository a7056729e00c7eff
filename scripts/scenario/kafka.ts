// A scenario on a real Kafka: all parts at once, each a `millrace run` of its own, each killed with SIGKILL while it works.
//
// 1. Half of what happens is there before anything runs, the other half comes while all are dead. What is of a shop with an outbox comes by its relay,
//    which is killed with the others.
// 2. Topics are made here and go in the end, also those of millrace's own; one that is there already is refused.
// 3. A judge sees what lies in the topics, in the order of each partition: first what was written, then what that may go back to.
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemWorld } from '../../src/base/system.ts'
import { recordsControl } from '../../src/control/records.ts'
import { openKafkaLog } from '../../src/log/kafka/index.ts'
import type { Log } from '../../src/log/log.ts'
import { positionTopic } from '../../src/outbox/position.ts'
import { TABLE as OUTBOX } from '../../src/outbox/table.ts'
import { deadLetterDoneTopic, deadLetterTopic } from '../../src/runtime/dead-letter.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import type { Plan } from '../../src/topology/plan-types.ts'
import { type Processor, startProcessorWith } from '../../test/support/processor.ts'
import { type Seeded, seeded } from '../../test/support/seeded.ts'
import type { KilledOptions } from './killed.ts'
import { disordered, type Part, type Scenario, type Sent } from './scenario.ts'
import { settled } from './settled.ts'
import { type RelayedShop, relayedShop } from './outbox.ts'

const PARTITIONS = 3
const LOOK_MS = 100
const world = systemWorld()

interface Running {
  readonly part: Part
  readonly plan: Plan
  /** What is wrong now. */
  judge(): Promise<string[]>
  /** What must never be so. */
  look(): Promise<string[]>
  start(): Promise<void>
  kill(): Promise<void>
  stop(): Promise<void>
}

export async function runOnKafka(scenario: Scenario, brokers: string, { folder, seed, tell }: KilledOptions): Promise<string[]> {
  const random = seeded(seed)
  const log = await openKafkaLog({ brokers: brokers.split(','), clientId: 'scenario', world })
  const outside = await scenario.outside?.(random)
  const plans = new Map(scenario.parts.map((part) => [part, planned(part, random)]))
  const outer = [...new Set([...plans.values()].flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
  const relays = scenario.outbox === undefined ? [] : [positionTopic(OUTBOX)]
  const topics = [...outer, ...[...plans.values()].flatMap(ownTopics), ...relays]
  let ours = false
  try {
    const [there] = (await log.topics(topics)).keys()
    if (there !== undefined) throw new Error(`there is a topic ${there} already: a scenario makes its own, and deletes them`)
    ours = true
    await log.createTopics(outer.map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
    const place = { log, brokers, folder, env: outside?.env ?? {}, tell }
    const all = [...plans].map(([part, plan]) => running(part, plan, place))
    const shop = scenario.outbox === undefined ? null : relayedShop(log, brokers, folder)
    const watch = watching(all.filter(({ part }) => part.always !== undefined))
    const wrong = await run(scenario, all, { log, shop, random, tell }).finally(() => watch.stop())
    const { looks, seen } = await watch.stop()
    if (looks > 0) tell(`looked at ${looks} times while they worked`)
    return [...wrong, ...seen, ...(outside?.judge() ?? [])]
  } finally {
    if (ours) await log.deleteTopics([...(await log.topics(topics)).keys()])
    await log.close()
    await outside?.close()
  }
}

function ownTopics({ applicationId, internalTopics }: Plan): string[] {
  return [...internalTopics.map(({ name }) => name), deadLetterTopic(applicationId), deadLetterDoneTopic(applicationId)]
}

function planned(part: Part, random: Seeded): Plan {
  const topology = part.topology(random)
  return planOf(topology, topology.name)
}

interface Stage {
  readonly log: Log
  /** Null: what happens is written to the topics. */
  readonly shop: RelayedShop | null
  readonly random: Seeded
  readonly tell: (text: string) => void
}

async function run(scenario: Scenario, all: readonly Running[], { log, shop, random, tell }: Stage): Promise<string[]> {
  const happened = Map.groupBy(scenario.happened(random), ({ topic }) => topic)
  const fresh = scenario.parts.flatMap((part) => {
    const own = part.inputs.filter((topic) => happened.has(topic))
    const sent = own.flatMap((topic) => happened.get(topic) ?? [])
    for (const topic of own) happened.delete(topic) // of parts that read the same, the first one says how it comes
    return [{ plan: all.find((one) => one.part === part)?.plan as Plan, sent: (part.disorder ?? disordered)(sent, random) }]
  })
  const isOfShop = ({ topic }: Sent): boolean => scenario.outbox?.includes(topic) === true
  const produce = async (half: 0 | 1): Promise<void> => {
    for (const { plan, sent } of fresh) {
      const middle = Math.ceil(sent.length / 2)
      const now = half === 0 ? sent.slice(0, middle) : sent.slice(middle)
      shop?.place(now.filter(isOfShop))
      const lines = now.filter((one) => !isOfShop(one)).map((one) => JSON.stringify(one))
      const control = recordsControl({ log, plan, world, createPartitions: null })
      await control.produce(lines.map((line, i) => ({ number: i + 1, bytes: Buffer.from(line) })))
    }
  }
  const [first, last] = [all.filter(({ part }) => part.comesLast !== true), all.filter(({ part }) => part.comesLast === true)]
  const [down, up] = [first.filter(({ part }) => part.down === true), first.filter(({ part }) => part.down !== true)]
  const wrong: string[] = []

  await produce(0)
  await Promise.all([each(first, (one) => one.start()), shop?.start(true)])
  await sleep(random.below(300))
  await Promise.all([each(first, (one) => one.kill()), shop?.kill()])
  const relayed = (await shop?.compared())?.relayed
  tell(
    `SIGKILL to ${names(first)}${shop === null ? '' : `, the relay of the outbox (behind ${relayed} rows)`}, then the rest of what happens`,
  )
  await produce(1)
  await Promise.all([each(up, (one) => one.start()), shop?.start(false)])
  // Before that nobody can tell what is missing.
  if (shop !== null) await settled(async () => (await shop.compared()).wrong)
  if (down.length > 0) {
    const alone = independent(up, down)
    for (const one of alone) wrong.push(...(await settled(() => one.judge())))
    for (const one of down) if ((await one.judge()).length === 0) wrong.push(`${one.part.file} was dead, and nothing was left for it to do`)
    tell(`${names(alone)}: done, while ${names(down)} lay dead`)
    await each(down, (one) => one.start())
  }
  for (const one of first) await settled(() => one.judge())
  if (last.length > 0) {
    const others = first.flatMap(({ plan }) => [...plan.inputs, ...plan.outputs])
    const before = await endsOf(log, others)
    await each(last, (one) => one.start())
    await each(last, (one) => one.kill())
    await each(last, (one) => one.start())
    for (const one of last) await settled(() => one.judge())
    tell(`${names(last)} came, was killed, and came again`)
    if ((await endsOf(log, others)) !== before) wrong.push(`the others have written something when ${names(last)} came`)
  }
  await Promise.all([each(all, (one) => one.stop()), shop?.stop()])
  if (shop !== null) {
    const { relayed: records, wrong: not } = await shop.compared()
    tell(`outbox: ${records} records`)
    wrong.push(...not)
  }
  for (const one of all) wrong.push(...(await one.judge()))
  return wrong
}

/** Looks again and again, until it is stopped. */
function watching(all: readonly Running[]) {
  const seen = new Set<string>()
  let [looks, stopped] = [0, false]
  const ended = (async () => {
    while (!stopped && all.length > 0) {
      for (const one of all) for (const what of await one.look()) seen.add(what)
      looks++
      await sleep(LOOK_MS)
    }
  })()
  ended.catch(() => {}) // told by who stops it
  return {
    async stop() {
      stopped = true
      await ended
      return { looks, seen: [...seen] }
    },
  }
}

/** Those that need nothing, directly or not, of what the dead ones write. */
function independent(all: readonly Running[], dead: readonly Running[]): readonly Running[] {
  const late = new Set(dead.flatMap(({ plan }) => plan.outputs))
  for (let size = -1; size !== late.size; ) {
    size = late.size
    for (const { plan } of all) if (plan.inputs.some((topic) => late.has(topic))) for (const topic of plan.outputs) late.add(topic)
  }
  return all.filter(({ plan }) => !plan.inputs.some((topic) => late.has(topic)))
}

async function endsOf(log: Log, topics: readonly string[]): Promise<string> {
  const places = [...new Set(topics)].flatMap((topic) => Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })))
  return (await log.offsets(places, 'latest')).join()
}

const nameOf = ({ part }: Running): string => basename(part.file, '.ts')
const names = (all: readonly Running[]): string => all.map(nameOf).join(', ')
async function each(all: readonly Running[], act: (one: Running) => Promise<void>): Promise<void> {
  await Promise.all(all.map(act))
}

interface Place {
  readonly log: Log
  readonly brokers: string
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
}

function running(part: Part, plan: Plan, { log, brokers, folder, env }: Place): Running {
  const control = recordsControl({ log, plan, world, createPartitions: null })
  const read = async (topics: readonly string[]): Promise<Sent[]> => {
    const all: Sent[] = []
    for (const topic of (await log.topics(topics)).keys())
      for await (const lines of control.consume(topic, false, new AbortController().signal))
        all.push(...lines.map((line) => JSON.parse(line) as Sent))
    return all
  }
  const asked = async (judge: Part['judge']): Promise<string[]> => {
    const written = await read(part.outputs)
    return judge(await read(part.inputs), written).map((what) => `${part.file}: ${what}`)
  }
  let child: Processor | null = null
  return {
    part,
    plan,
    judge: () => asked(part.judge),
    look: () => asked(part.always ?? (() => [])),
    async start() {
      child = startProcessorWith({ env }, part.file, '--brokers', brokers, '--state-dir', join(folder, plan.applicationId))
      await child.ready
    },
    async kill() {
      const ended = await child?.kill()
      if (ended?.signal !== 'SIGKILL') throw new Error(`${part.file} ended before it was killed: ${child?.said()}`)
    },
    async stop() {
      const ended = await child?.stop()
      if (ended?.code !== 0) throw new Error(`${part.file} did not stop as it should: ${child?.said()}`)
    },
  }
}
