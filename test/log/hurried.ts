// A log on a scripted broker, in a world whose clock runs fifty times as fast: pauses and patience of minutes pass in seconds.
import { silent, type World } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafka/index.ts'
import type { Log } from '../../src/log/log.ts'
import type { Outcome, RequestKind } from '../../src/log/outcome.ts'
import { NETWORK, ROWS, TIMEOUT, UNCLASSIFIED } from '../../src/log/outcome.ts'
import { type ScriptedBroker, type Step, scriptedBroker } from './scripted-broker.ts'
import { type Api, codeOf } from './scripted-requests.ts'

const FASTER = 50

export function hurriedWorld(): World {
  const real = systemWorld(silent)
  return {
    ...real,
    clock: { now: real.clock.now, monotonic: () => real.clock.monotonic() * FASTER },
    timers: {
      after: (ms, run) => real.timers.after(ms / FASTER, run),
      sleep: (ms) => real.timers.sleep(ms / FASTER),
      turn: real.timers.turn,
    },
  }
}

/** Opens both, and closes both whatever happens. */
export async function onBroker(
  options: Partial<KafkaLogOptions>,
  work: (log: Log, broker: ScriptedBroker, world: World) => Promise<void>,
): Promise<void> {
  const broker = await scriptedBroker()
  const world = hurriedWorld()
  const log = await openKafkaLog({ brokers: [broker.address], clientId: 'test', world, ...options })
  try {
    await work(log, broker, world)
  } finally {
    await log.close()
    await broker.close()
  }
}

export async function until(what: () => boolean, text: string): Promise<void> {
  const end = performance.now() + 5_000
  while (!what()) {
    if (performance.now() > end) throw new Error(`not within 5 s: ${text}`)
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
