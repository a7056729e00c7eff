// npm run bench: first figures, in one process. Machines are noisy: compare ratios inside one run.
import { json, string, topology } from '../src/index.ts'
import { distinctEvents, versionedEvents } from './events.ts'
import { Rig, type Run } from './rig.ts'

interface Product {
  id: string
  version: number
  op: 'upsert' | 'delete'
}

const RECORDS = Number(process.env.BENCH_RECORDS ?? 500_000)

const lastWriteWins = topology('bench-lww', (t) => {
  t.stream('events', { key: string(), value: json<Product>() })
    .lastWriteWins({ store: 'rows', version: (e) => e.version, deleted: (e) => e.op === 'delete' })
    .toStream()
    .to('table', { key: string(), value: json<Product>() })
})

const line = (name: string, { records, seconds, cpuSeconds, epochs }: Run): string =>
  `${name.padEnd(44)} ${Math.round(records / seconds)
    .toLocaleString('en')
    .padStart(10)} records/s  ${((cpuSeconds / records) * 1e6).toFixed(2).padStart(6)} us CPU a record  ${epochs} epochs`

for (const log of ['memory', 'embedded'] as const) {
  const rig = new Rig({ topology: lastWriteWins, log, partitions: 4, input: versionedEvents('events', RECORDS, RECORDS / 10) })
  await rig.load()
  for (const round of [1, 2, 3])
    console.log(line(`lastWriteWins, ${log} log, LevelDB, round ${round}`, await rig.run(`lww-${round}`, true)))
  await rig.close()
}

const restore = new Rig({ topology: lastWriteWins, log: 'embedded', partitions: 4, input: distinctEvents('events', RECORDS) })
await restore.load()
console.log(line('lastWriteWins, all keys distinct, embedded', await restore.run('restore', true)))
const again = await restore.run('restore', true)
console.log(
  `restore from the changelog                   ${Math.round(again.restored / again.seconds)
    .toLocaleString('en')
    .padStart(10)} records/s  (${again.restored} records in ${again.seconds.toFixed(2)} s, start included)`,
)
await restore.close()
