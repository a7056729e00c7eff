// Buffering joins against an oracle: nothing lost, nothing twice, the order of each key, bounds and timeouts, with commits, crashes and
// one to three partitions.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { type BufferOptions, json, string, type Topology, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { Oracle, type Result } from './buffering-join-oracle.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'

interface Order {
  readonly n: number
  readonly product: string
}
interface Joined {
  readonly n: number
  readonly row: string | null
}

const ORDERS = { key: string(), value: json<Order>() }
const OUT = { key: string(), value: json<Joined>() }

function program(byForeignKey: boolean, buffer: BufferOptions): Topology {
  return topology('waits', (t) => {
    const rows = t.table('rows', { key: string(), value: string() })
    const orders = t.stream('orders', ORDERS)
    const emits = { ...buffer, onTimeout: 'emit' } as const
    const joiner = (order: Order, row: string | undefined): Joined => ({ n: order.n, row: row ?? null })
    const store = 'waiting'
    if (byForeignKey) orders.join(rows, joiner, { on: (order) => order.product, buffer: emits, store }).to('out', OUT)
    else orders.join(rows, joiner, { buffer: emits, store }).to('out', OUT)
  })
}

const keys = fc.constantFrom('a', 'b', 'c', 'd')
const step = fc.constantFrom(0, 0, 0, 1, 5, 49, 50, 51, 120, -60)
const acts = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ act: fc.constant('order' as const), own: keys, product: keys, step }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant('row' as const), key: keys, gone: fc.boolean(), step }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(1, 49, 50, 51, 200) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }) },
  ),
  { maxLength: 40, size: 'max' },
)
const buffers = fc.record({
  clock: fc.constantFrom('wall' as const, 'stream' as const, undefined),
  maxRecords: fc.constantFrom(1, 2, 5, 100),
  onFull: fc.constantFrom('pause' as const, 'expireOldest' as const),
})

const TIMEOUT_MS = 50
const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)

describe('a buffering join', () => {
  for (const byForeignKey of [false, true]) {
    it(`by ${byForeignKey ? 'foreign key' : 'key'} does what the oracle does`, { timeout: runsOf(60_000, 600_000) }, async () => {
      const met = { drained: 0, expired: 0, full: 0, paused: 0, crashes: 0 }
      let histories = 0
      await fc.assert(
        fc.asyncProperty(acts, buffers, fc.integer({ min: 1, max: 3 }), async (list, { clock, maxRecords, onFull }, partitions) => {
          histories++
          const buffer = { timeout: TIMEOUT_MS, maxRecords, onFull, ...(clock === undefined ? {} : { clock }) }
          await using driver = new TopologyTestDriver(program(byForeignKey, buffer), { partitions })
          const oracles = Array.from(
            { length: partitions },
            () => new Oracle({ timeoutMs: TIMEOUT_MS, clock: clock ?? 'either', recordsMax: maxRecords, onFull }),
          )
          const taskOf = (key: string): number => partitionOf(Buffer.from(key), partitions)
          const placed = new Map<number, number>()
          let timestamp = 100
          let nowMs = 0
          let n = 0
          for (const act of list) {
            if ('step' in act) timestamp = Math.max(0, timestamp + act.step)
            if (act.act === 'order') {
              const wants = byForeignKey ? act.product : act.own
              await driver.input('orders').pipe({ key: act.own, value: { n, product: act.product }, timestamp })
              placed.set(n, taskOf(wants))
              oracles[taskOf(wants)]?.record({ own: act.own, wants, n: n++, timestamp }, nowMs)
            } else if (act.act === 'row') {
              const value = act.gone ? null : `row-${n++}`
              await driver.input('rows').pipe({ key: act.key, value, timestamp })
              oracles[taskOf(act.key)]?.row(act.key, value, timestamp, nowMs)
            } else if (act.act === 'advance') {
              await driver.advance(act.ms)
              nowMs += act.ms
              for (const oracle of oracles) oracle.wall(nowMs)
            } else if (act.act === 'commit') await driver.commit()
            else {
              met.crashes++
              await driver.crash()
            }
            const counts = driver.counters('waiting')
            const [parked, wanted] = [counts.get('parked') ?? 0, sum(oracles.map((oracle) => oracle.parked))]
            if (parked !== wanted) expect(parked).toBe(wanted) // asked of many: an assertion that holds takes its time, too
            if (oracles.some((oracle) => oracle.parked > maxRecords)) expect.fail(`more than ${maxRecords} wait`)
            if (oracles.some((oracle) => oracle.waitingInput > 0)) met.paused++
            if (oracles.some((oracle) => oracle.parked === maxRecords)) met.full++
          }
          await driver.commit()
          const out = driver.output<string, Joined>('out').readAll()
          const results = out.map(({ value, timestamp: at }): Result => ({ ...(value as Joined), timestamp: at }))
          for (const [task, oracle] of oracles.entries())
            expect(results.filter((result) => placed.get(result.n) === task)).toEqual(oracle.results)
          expect(results).toHaveLength(sum(oracles.map((oracle) => oracle.results.length)))
          met.expired += results.filter(({ row }) => row === null).length
          met.drained += driver.counters('waiting').get('drained') ?? 0
        }),
        { numRuns: runsOf(500, 10_000), interruptAfterTimeLimit: runsOf(60_000, 150_000) },
      )
      ran('22', histories)
      for (const [what, times] of Object.entries(met)) expect([what, times > 20]).toEqual([what, true])
    })
  }
})
