// millrace as one peer of a comparison of stream processors: started with PEER_CONFIG (JSON: brokers, workload, guarantee, threads,
// commitIntervalMs, applicationId, stateDir, topics), it prints {"event":"running"} when its tasks are restored, and runs until SIGTERM.
//
// What it loads is compiled once and kept by Node: a user has the package built, here are the sources.
import { enableCompileCache } from 'node:module'

enableCompileCache()
const { StreamProcessor } = await import('millrace')
const { systemWorld } = await import('../src/base/system.ts')
const { boundHeap } = await import('../src/cli/heap.ts')

const text = process.env.PEER_CONFIG
if (text === undefined) {
  console.error('peer: PEER_CONFIG is not set; this program is started by a harness that compares stream processors')
  process.exit(2)
}
const config = JSON.parse(text) as {
  brokers: string
  workload: string
  guarantee: 'exactly_once' | 'at_least_once'
  threads: number
  commitIntervalMs: number
  applicationId: string
  stateDir: string
}
const say = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`)

const topology = (await import('./peer-topology.ts')).default
if (topology === undefined) {
  say({ event: 'unsupported', reason: `no workload ${config.workload}` })
  process.exit(0)
}
// As `millrace run` does: the memory of a process is its own to bound, not the library's.
const unbound = boundHeap(systemWorld(), config.threads)
const app = new StreamProcessor(topology, {
  applicationId: config.applicationId,
  brokers: config.brokers.split(','),
  stateDir: config.stateDir,
  guarantee: config.guarantee,
  commitInterval: config.commitIntervalMs,
  workers: config.threads,
  module: new URL('./peer-topology.ts', import.meta.url).href,
})
let stopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    unbound()
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
}
app.failed.catch((error: unknown) => {
  if (stopping) return
  console.error(error)
  process.exit(1)
})
await app.start()
say({ event: 'running', restored: app.status().restored })
