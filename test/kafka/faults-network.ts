// A network that loses, cuts and delays between two instances and their broker, while the load and the judge have another way to it.
import { type KafkaOptions, startKafka } from './broker.ts'
import { type FleetOptions, openFleet, SHORT, sleep, stillRuns } from './fleet.ts'
import { MISHAPS, type Mishap, openNetwork } from './network.ts'
import { finish, type Outcome, PATIENCE_MS } from './outcome.ts'
import { world } from './running.ts'

/** Kinds of requests by their api key. Those that come all the time get a mishap now and then, by turns; the others come with a rebalance or
 *  with a transaction that begins anew, which the mishaps of the first bring about, and get theirs when they come. */
const OFTEN: Readonly<Record<number, string>> = { 0: 'Produce', 26: 'EndTxn', 28: 'TxnOffsetCommit', 1: 'Fetch', 12: 'Heartbeat' }
const TURNS = [0, 26, 28, 1, 0, 26, 28, 12]
const SELDOM: Readonly<Record<number, string>> = {
  2: 'ListOffsets',
  3: 'Metadata',
  9: 'OffsetFetch',
  10: 'FindCoordinator',
  11: 'JoinGroup',
  14: 'SyncGroup',
  22: 'InitProducerId',
  24: 'AddPartitionsToTxn',
  25: 'AddOffsetsToTxn',
}
/** Later than the client waits, and the transaction is another one by then. */
const NETWORK_LIMITS = { ...SHORT, requestTimeoutMs: 3_000, rebalanceTimeoutMs: 2_500, connectTimeoutMs: 3_000 }
const LATE_MS = 3_500
const OFTEN_GAP_MS = 600
const SELDOM_GAP_MS = 200

export interface NetworkOutcome extends Outcome {
  /** How often what happened to which request: `EndTxn late`. */
  readonly met: ReadonlyMap<string, number>
}

export interface NetworkFaults extends Omit<FleetOptions, 'brokers'> {
  readonly seconds: number
  readonly kafka?: KafkaOptions
}

export async function runNetwork(
  { seconds, kafka: config, ...options }: NetworkFaults,
  tell: (text: string) => void,
): Promise<NetworkOutcome> {
  let [brokerPort, calm, turn, oftenMs, seldomMs] = [0, true, 0, 0, 0]
  const met = new Map<string, number>()
  /** Of each kind of request the mishaps that are still to come, in any order; then all of them again. */
  const left = new Map<number, Mishap[]>()
  const isTime = (apiKey: number): boolean => {
    const now = world.clock.monotonic()
    if (apiKey in SELDOM && now >= seldomMs) {
      seldomMs = now + SELDOM_GAP_MS
      return true
    }
    if (apiKey !== TURNS[turn % TURNS.length] || now < oftenMs) return false
    turn++
    oftenMs = now + OFTEN_GAP_MS
    return true
  }
  const mishap = (apiKey: number): Mishap | null => {
    if (calm || !isTime(apiKey)) return null
    const list = left.get(apiKey) ?? []
    if (list.length === 0) list.push(...MISHAPS)
    const [found] = list.splice(world.random.below(list.length), 1)
    left.set(apiKey, list)
    const what = `${OFTEN[apiKey] ?? SELDOM[apiKey]} ${found}`
    met.set(what, (met.get(what) ?? 0) + 1)
    return found as Mishap
  }
  const network = await openNetwork({ to: () => brokerPort, mishap, lateMs: LATE_MS })
  const kafka = await startKafka({ ...config, doorPort: network.port })
  brokerPort = kafka.doorPort
  const fleet = await openFleet({
    limits: NETWORK_LIMITS,
    ...options,
    brokers: kafka.brokers,
    through: `127.0.0.1:${network.port}`,
  })
  try {
    const instances = ['one', 'two'].map((name) => fleet.start(name))
    await Promise.all(instances.map((instance) => instance.ready))
    calm = false
    await sleep(seconds * 1_000)
    calm = true
    const ms = await fleet.passed(await fleet.marks(), PATIENCE_MS)
    const count = [...met.values()].reduce((sum, n) => sum + n, 0)
    tell(`${options.prefix}${count} mishaps of ${met.size} kinds in ${seconds} s; all processed ${Math.round(ms)} ms after the last`)
    for (const instance of instances) stillRuns(instance)
    return { ...(await finish(fleet, [ms])), met }
  } finally {
    await fleet.close()
    await network.close()
    await kafka.stop()
  }
}
