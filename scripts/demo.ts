// `npm run demo`: a catalog's history, shuffled, doubled and with creates that come after their deletes, through a real
// `millrace run topologies/catalog.ts` on the embedded log, which is killed with SIGKILL again and again while it works. In the end
// its table is compared with one that is computed from scratch. Status 0: they are equal. Status 1: they are not, or it broke.
//   node scripts/demo.ts [--products 3000] [--edits 20000] [--kills 5] [--seed 1]
//
// 1. All it writes is in one temporary directory, which goes when it ends, also on Ctrl-C. So do its processes, by their ids.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { catalogOf } from '../test/support/catalog-oracle.ts'
import { endAll } from '../test/support/processor.ts'
import { deliveryOf } from './demo/delivery.ts'
import { figuresOf, table, verdict } from './demo/report.ts'
import { runKilled } from './demo/run.ts'

const { values } = parseArgs({
  options: {
    products: { type: 'string', default: '3000' },
    edits: { type: 'string', default: '20000' },
    kills: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
})
const whole = (text: string): number => {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  process.stderr.write(`demo: ${text} is no whole number\n`)
  process.exit(2)
}
const [products, edits, kills, seed] = [whole(values.products), whole(values.edits), whole(values.kills), whole(values.seed)]

const base = mkdtempSync(join(tmpdir(), 'millrace-demo-'))
const clean = (): void => {
  endAll()
  rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
}
process.once('exit', clean)
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

const beganMs = performance.now()
const tell = (text: string): void => {
  process.stdout.write(`${((performance.now() - beganMs) / 1000).toFixed(1).padStart(5)} s  ${text}\n`)
}

try {
  const delivery = deliveryOf({ products, edits }, seed)
  tell(
    `${delivery.happened.toLocaleString('en')} events happened; ${delivery.events.length.toLocaleString('en')} will arrive, in any order`,
  )
  const expected = catalogOf(delivery.events)
  const ran = await runKilled(join(base, 'state'), delivery, { kills, seed, expected, tell })
  process.stdout.write(`\n${table(figuresOf(delivery, ran, kills))}\n`)
  const { equal, text } = verdict(ran.outputs, expected)
  process.stdout.write(`${text}\n`)
  process.exitCode = equal ? 0 : 1
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
