// A worker that works for a while, in a process of its own (`node --expose-gc working.ts DIR load SECONDS` or `... moves TIMES`): events as fast as
// they go, on the embedded log with its stores on disk, counted by key and by window; or members that come and go, beside one that stays. It
// prints a line of JSON each time that it looks at its memory, after a collection.
import { join } from 'node:path'
import { json, string, topology, tumbling } from '../../src/index.ts'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import type { Log } from '../../src/log/log.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { type InputRecord, load, type RunningWorker, runWorker } from '../support/run-worker.ts'

const PARTITIONS = 4
const PORTION = 10_000
const LOOK_MS = 500
const world = systemWorld()
const [dir = '', mode = '', amount = ''] = process.argv.slice(2)
/** So few that all rows are known, and cached, early on. */
const KEYS = mode === 'load' ? 20_000 : 1_000

const counts = { key: string(), value: json<number>() }
const working = topology('working', (t) => {
  const grouped = t.stream('in', counts).groupByKey()
  grouped.count({ store: 'by-key' }).toStream().to('out', counts)
  grouped
    .windowedBy(tumbling('1s', { grace: '1s' }), { emit: 'close' })
    .count({ store: 'by-window' })
    .toStream()
    .map((n, { key }) => [key, n], counts)
    .to('closed', counts)
})

let sent = 0
/** A second of event time a portion: windows open and close all the time, and no key stays away. */
const portion = (): InputRecord[] =>
  Array.from({ length: PORTION }, () => {
    const n = sent++
    return {
      topic: 'in',
      key: Buffer.from(`key-${(n * 7_919) % KEYS}`),
      value: Buffer.from('1'),
      timestamp: Math.floor((n / PORTION) * 1_000),
    }
  })

function look(done: number): void {
  global.gc?.()
  global.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  process.stdout.write(`${JSON.stringify({ done, heapBytes: heapUsed + external, rssBytes: rss })}\n`)
}

const member = (log: Log, name: string): Promise<RunningWorker> =>
  runWorker({
    log,
    topology: working,
    applicationId: 'working',
    provider: levelProvider({ dir: join(dir, name), world }),
    world,
    partitions: PARTITIONS,
    commitIntervalMs: 100,
    member: name,
  })

const log = await openEmbeddedLog({ dir: join(dir, 'log'), world })
await log.createTopics(['in', 'out', 'closed'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
const stays = await member(log, 'stays')
if (mode === 'load') {
  const began = world.clock.monotonic()
  let lookedMs = began
  while (world.clock.monotonic() - began < Number(amount) * 1_000) {
    await load(log, portion(), PARTITIONS)
    await stays.untilCaughtUp(60_000)
    if (world.clock.monotonic() - lookedMs < LOOK_MS) continue
    look(sent)
    lookedMs = world.clock.monotonic()
  }
} else {
  for (let time = 0; time < Number(amount); time++) {
    const comes = await member(log, `comes-${time % 3}`)
    await load(log, portion().slice(0, 500), PARTITIONS)
    await stays.untilCaughtUp(60_000)
    await comes.worker.close()
    await stays.untilCaughtUp(60_000)
    look(time)
  }
}
await stays.worker.close()
await log.close()
