// Brokers and their clients with times that suit a run of a few seconds, simulated or real.
import type { World } from '../../../src/base/ports.ts'
import type { Chance } from '../chance.ts'
import { type ClientOptions, SimClient } from './client.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'

export const NETWORK_TIMES: ClusterOptions['times'] = {
  requestTimeoutMs: 2_000,
  wayMsMax: 0.2,
  slowMsMax: 100,
  sessionTimeoutMs: 2_000,
  rebalanceTimeoutMs: 4_000,
  initialDelayMs: 5,
}

export interface OpenOptions {
  readonly world: World
  readonly chance: Chance
  readonly transactionVersion: 1 | 2
  readonly times: ClusterOptions['times']
  readonly transactionTimeoutMs?: number
  readonly markerMsMax?: ClusterOptions['markerMsMax']
  readonly client?: Partial<
    Pick<ClientOptions, 'chunkRecordsMax' | 'batchRecordsMax' | 'earlyRecords' | 'patienceMs' | 'stableOffsetsTimeoutMs'>
  >
  readonly trace: ((who: string, what: string) => void) | null
}

export interface OpenedCluster {
  readonly cluster: Cluster
  client(name: string, world: World): SimClient
}

export function openCluster(options: OpenOptions): OpenedCluster {
  const { client: of = {}, ...rest } = options
  const cluster = new Cluster({ transactionTimeoutMs: 10_000, markerMsMax: [0.3, 0.3], ...rest, brokers: 3 })
  return {
    cluster,
    client: (name, world) =>
      new SimClient({
        patienceMs: 10_000,
        stableOffsetsTimeoutMs: 10_000,
        chunkRecordsMax: 1_000,
        batchRecordsMax: 1_000,
        earlyRecords: 1_000,
        ...of,
        name,
        world,
        cluster,
      }),
  }
}
