// A log on a scripted broker, in a world whose pauses last a fiftieth; where a test waits for the end of somebody's patience its clock runs
// as much faster. Timeouts stay what they are: the machine may be busy.
import { silent, type World } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafka/index.ts'
import type { Log } from '../../src/log/log.ts'
import type { Outcome, RequestKind } from '../../src/log/outcome.ts'
import { NETWORK, ROWS, TIMEOUT, UNCLASSIFIED } from '../../src/log/outcome.ts'
import { type ScriptedBroker, type Step, scriptedBroker } from './scripted-broker.ts'
import { type Api, codeOf } from './scripted-requests.ts'

const FASTER = 50

function hurriedWorld(clock: number): World {
  const real = systemWorld(silent)
  return {
    ...real,
    clock: { now: real.clock.now, monotonic: () => real.clock.monotonic() * clock },
    timers: { ...real.timers, sleep: (ms) => real.timers.sleep(ms / FASTER) },
  }
}

export interface OnBroker extends Partial<KafkaLogOptions> {
  /** Its clock runs faster, too. */
  readonly impatient?: boolean
}

/** Opens both, and closes both whatever happens. */
export async function onBroker(options: OnBroker, work: (log: Log, broker: ScriptedBroker) => Promise<void>): Promise<void> {
  const { impatient = false, ...others } = options
  const broker = await scriptedBroker()
  const world = hurriedWorld(impatient ? FASTER : 1)
  const own = { clientId: 'test', world, connectTimeoutMs: 600_000, heartbeatMs: 50 }
  const log = await openKafkaLog({ brokers: [broker.address], ...own, ...others })
  try {
    await work(log, broker)
  } finally {
    await log.close()
    await broker.close()
  }
}

export async function until(what: () => boolean, text: string): Promise<void> {
  const end = performance.now() + 15_000
  while (!what()) {
    if (performance.now() > end) throw new Error(`not within 15 s: ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

export interface Case {
  readonly name: string
  readonly step: Step
  readonly outcome: Outcome
}

/** What the table has for this kind of request, and answers it has no row for: one of the protocol, one of tomorrow that the client package
 *  cannot even parse. */
export function casesOf(kind: RequestKind): readonly Case[] {
  const found: Case[] = []
  for (const row of ROWS) {
    if (!row.kinds.includes(kind)) continue
    for (const name of row.names) {
      const { outcome } = row
      if (name === NETWORK) found.push({ name: 'connection lost before it was done', step: 'lost', outcome })
      if (name === NETWORK) found.push({ name: 'connection lost behind it', step: 'cut', outcome })
      if (name === NETWORK || name === TIMEOUT) continue // a timeout has a test of its own
      if (name === UNCLASSIFIED) found.push({ name: 'code 131', step: 131, outcome })
      else found.push({ name, step: codeOf(name), outcome })
    }
  }
  return found
}

export const KIND_OF: Readonly<Partial<Record<RequestKind, Api>>> = {
  init: 'InitProducerId',
  addPartitions: 'AddPartitionsToTxn',
  addOffsets: 'AddOffsetsToTxn',
  produce: 'Produce',
  txnOffsets: 'TxnOffsetCommit',
  end: 'EndTxn',
  offsetCommit: 'OffsetCommit',
  offsetFetch: 'OffsetFetch',
  fetch: 'Fetch',
  listOffsets: 'ListOffsets',
  find: 'FindCoordinator',
  metadata: 'Metadata',
  join: 'JoinGroup',
  sync: 'SyncGroup',
  heartbeat: 'Heartbeat',
  leave: 'LeaveGroup',
}
