// holdUntil against an oracle: nothing lost, nothing twice, the order of each key, dependencies before what depends on them, bounds and
// timeouts, with commits, crashes and one to three partitions. Versions come out of order and again; rows are deleted while records wait.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { type BufferOptions, json, string, type Topology, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { histories } from '../support/histories.ts'
import { runsOf } from '../support/tier.ts'
import { HoldOracle, type Need } from './hold-until-oracle.ts'

interface Versioned {
  readonly version: number
  readonly gone: boolean
}

const BUNDLE = { key: string(), value: json<readonly Need[]>() }
const EVENT = { key: string(), value: json<Versioned>() }
const TEXT = { key: string(), value: string() }

function program(buffer: BufferOptions): Topology {
  return topology('holds', (t) => {
    const versioned = t.stream('versioned', EVENT).lastWriteWins({ store: 'versioned', version: (e) => e.version, deleted: (e) => e.gone })
    t.table('plain', { ...TEXT, store: 'plain' })
    t.stream('bundles', BUNDLE)
      .holdUntil((needs) => needs.map(({ table, key, version }) => ({ table: table === 'plain' ? table : versioned, key, version })), {
        buffer,
        store: 'held',
      })
      .to('out', BUNDLE)
  })
}

const KEYS = ['a', 'b', 'c', 'd']
const keys = fc.constantFrom(...KEYS)
const rowKeys = fc.constantFrom('p', 'q', 'r')
const versions = fc.integer({ min: 1, max: 4 })
const step = fc.constantFrom(0, 0, 0, 1, 5, 49, 50, 51, 120, -60)
const need = fc.oneof(
  fc.record({ table: fc.constant('plain' as const), key: rowKeys, version: fc.constant(null) }),
  fc.record({ table: fc.constant('versioned' as const), key: rowKeys, version: fc.option(versions, { nil: null }) }),
)
const acts = histories(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant('bundle' as const),
        own: keys,
        needs: fc.option(fc.array(need, { maxLength: 3 }), { nil: null, freq: 8 }),
        step,
      }),
    },
    { weight: 3, arbitrary: fc.record({ act: fc.constant('plain' as const), key: rowKeys, gone: fc.boolean() }) },
    {
      weight: 4,
      arbitrary: fc.record({
        act: fc.constant('versioned' as const),
        key: rowKeys,
        version: versions,
        gone: fc.nat(3).map((n) => n === 0),
      }),
    },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(1, 49, 50, 51, 200) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }) },
  ),
  16,
  50,
)
const buffers = fc.record({
  clock: fc.constantFrom('wall' as const, 'stream' as const, undefined),
  maxRecords: fc.constantFrom(1, 2, 5, 100),
  onFull: fc.constantFrom('pause' as const, 'expireOldest' as const),
})

const TIMEOUT_MS = 50
const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)

describe('holdUntil', () => {
  it('does what the oracle does', { timeout: 900_000 }, async () => {
    const met = { out: 0, expired: 0, full: 0, paused: 0, crashes: 0, withdrawn: 0, tombstones: 0 }
    await fc.assert(
      fc.asyncProperty(acts, buffers, fc.integer({ min: 1, max: 3 }), async (list, { clock, maxRecords, onFull }, partitions) => {
        const buffer = { timeout: TIMEOUT_MS, maxRecords, onFull, ...(clock === undefined ? {} : { clock }) }
        await using driver = new TopologyTestDriver(program(buffer), { partitions })
        const plain = new Set<string>()
        const rows = new Map<string, Versioned>()
        const isThere = ({ table, key, version }: Need): boolean => {
          if (table === 'plain') return plain.has(key)
          const row = rows.get(key)
          return row !== undefined && !row.gone && (version === null || row.version >= version)
        }
        const options = { timeoutMs: TIMEOUT_MS, clock: clock ?? ('either' as const), recordsMax: maxRecords, onFull }
        const oracles = Array.from({ length: partitions }, () => new HoldOracle(options, isThere))
        const owns: string[] = []
        const look = (nowMs: number): void => {
          for (const oracle of oracles) oracle.look(nowMs)
        }
        let timestamp = 100
        let nowMs = 0
        for (const act of list) {
          if (act.act === 'bundle') {
            timestamp = Math.max(0, timestamp + act.step)
            const task = partitionOf(Buffer.from(act.own), partitions)
            const n = owns.push(act.own) - 1
            await driver.input('bundles').pipe({ key: act.own, value: act.needs, timestamp, headers: { n: String(n) } })
            if (act.needs === null) met.tombstones++
            oracles[task]?.record({ n, own: act.own, needs: act.needs ?? [], timestamp }, nowMs)
          } else if (act.act === 'plain') {
            await driver.input('plain').pipe({ key: act.key, value: act.gone ? null : 'row', timestamp: 1_000_000 })
            if (act.gone && plain.delete(act.key)) met.withdrawn++
            if (!act.gone) plain.add(act.key)
            look(nowMs)
          } else if (act.act === 'versioned') {
            const event = { version: act.version, gone: act.gone }
            await driver.input('versioned').pipe({ key: act.key, value: event, timestamp: 5 })
            const held = rows.get(act.key)
            const wins =
              held === undefined ||
              held.version < act.version ||
              (held.version === act.version && Buffer.compare(Buffer.from(JSON.stringify(event)), Buffer.from(JSON.stringify(held))) > 0)
            if (wins) rows.set(act.key, event)
            look(nowMs)
          } else if (act.act === 'advance') {
            await driver.advance(act.ms)
            nowMs += act.ms
            look(nowMs)
          } else if (act.act === 'commit') await driver.commit()
          else {
            met.crashes++
            await driver.crash()
          }
          const parked = driver.counters('held').get('parked') ?? 0
          expect(parked).toBe(sum(oracles.map((oracle) => oracle.held)))
          expect(Math.max(...oracles.map((oracle) => oracle.held))).toBeLessThanOrEqual(maxRecords)
          if (oracles.some((oracle) => oracle.waitingInput > 0)) met.paused++
          if (oracles.some((oracle) => oracle.held === maxRecords)) met.full++
        }
        await driver.commit()
        const numbers = (topic: string): number[] =>
          driver
            .output(topic)
            .readAll()
            .map(({ headers }) => Number(headers.n))
        const out = numbers('out')
        const dead = numbers('holds-dead-letter')
        // By key: of two records that were let in together the second may go while the first one's question is on its way.
        for (const own of KEYS) {
          const ofKey = (n: number): boolean => owns[n] === own
          expect(out.filter(ofKey)).toEqual(oracles.flatMap((oracle) => oracle.out).filter(ofKey))
          expect(dead.filter(ofKey)).toEqual(oracles.flatMap((oracle) => oracle.expired).filter(ofKey))
        }
        expect(out.length + dead.length + sum(oracles.map((oracle) => oracle.held + oracle.waitingInput))).toBe(owns.length)
        met.out += out.length
        met.expired += dead.length
      }),
      { numRuns: runsOf(1_000, 20_000), interruptAfterTimeLimit: 60_000 },
    )
    for (const [what, times] of Object.entries(met)) expect([what, times > 50]).toEqual([what, true])
  })
})
