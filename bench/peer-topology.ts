// The topology that PEER_CONFIG names: the module that each worker of bench/peer.ts imports, where there are several.
import { WORKLOADS } from './workloads.ts'

const { workload, topics } = JSON.parse(process.env.PEER_CONFIG ?? '{}') as { workload: string; topics: Record<string, string> }
const build = WORKLOADS[workload]
/** Undefined: there is no such workload. */
export default build?.(topics)
