// holdUntil against an oracle: nothing lost, nothing twice, the order of each key, dependencies before what depends on them, bounds and
// timeouts, with commits, crashes and one to three partitions. Versions come out of order and again; rows are deleted while records wait.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { type BufferOptions, json, string, type Topology, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { histories } from '../support/histories.ts'
import { ran } from '../support/bars.ts'
import { holds, many } from '../support/many.ts'
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

const keys = fc.constantFrom('a', 'b', 'c', 'd')
const rowKeys = fc.constantFrom('p', 'q', 'r')
const versions = fc.integer({ min: 1, max: 4 })
const step = fc.constantFrom(0, 0, 0, 1, 5, 49, 50, 51, 120, -60)
const need = fc.oneof(
  fc.record({ table: fc.constant('plain' as const), key: rowKeys, version: fc.constant(null) }),
  fc.record({ table: fc.constant('versioned' as const), key: rowKeys, version: fc.option(versions, { nil: null }) }),
)
/** Where there are many histories, stream time is of them all, and goes on seldom with each. */
const own = (count: number) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant('bundle' as const),
        own: keys,
        needs: fc.option(fc.array(need, { maxLength: 3 }), { nil: null, freq: 8 }),
        step: count === 1 ? step : fc.oneof({ weight: 14, arbitrary: fc.constantFrom(0, 0, -1, -5) }, { weight: 1, arbitrary: step }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ act: fc.constant('plain' as const), key: rowKeys, gone: fc.boolean() }) },
    {
      weight: 4,
      arbitrary: fc.record({
        act: fc.constant('versioned' as const),
        key: rowKeys,
        version: versions,
        gone: fc.nat(3).map((n) => n === 0),
      }),
    },
  )
const world = fc.oneof(
  { weight: 1, arbitrary: fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(1, 49, 50, 51, 200) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }) },
)
const buffers = (count: number) =>
  fc.record({
    clock: fc.constantFrom('wall' as const, 'stream' as const, undefined),
    maxRecords: fc.constantFrom(1, 2, 5, ...(count === 1 ? [] : [20, 40]), 100),
    onFull: fc.constantFrom('pause' as const, 'expireOldest' as const),
  })

const TIMEOUT_MS = 50
const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)

/** As lastWriteWins decides: by version, then by the bytes. */
function wins(event: Versioned, held: Versioned | undefined): boolean {
  if (held === undefined || held.version !== event.version) return held === undefined || held.version < event.version
  return Buffer.compare(Buffer.from(JSON.stringify(event)), Buffer.from(JSON.stringify(held))) > 0
}

const byKey = (numbers: readonly number[], owns: readonly string[]): ReadonlyMap<string | undefined, number[]> =>
  Map.groupBy(numbers, (n) => owns[n])

describe('holdUntil', () => {
  it('does what the oracle does', { timeout: 900_000 }, async () => {
    const met = { out: 0, expired: 0, full: 0, paused: 0, crashes: 0, withdrawn: 0, tombstones: 0 }
    const property = (count: number) => {
      const turns = many({ history: histories(own(count), count === 1 ? 16 : 8, count === 1 ? 50 : 18), world, count })
      return fc.asyncProperty(
        turns,
        buffers(count),
        fc.integer({ min: 1, max: 3 }),
        async (all, { clock, maxRecords, onFull }, partitions) => {
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
          const bundles = driver.input('bundles')
          const look = (nowMs: number): void => {
            for (const oracle of oracles) oracle.look(nowMs)
          }
          let timestamp = 100
          let nowMs = 0
          for (const [i, { of, step }] of all.entries()) {
            if (of === null) {
              if (step.act === 'advance') {
                await driver.advance(step.ms)
                nowMs += step.ms
                look(nowMs)
              } else {
                if (step.act === 'crash') met.crashes++
                await driver[step.act]()
              }
            } else if (step.act === 'bundle') {
              timestamp = Math.max(0, timestamp + step.step)
              const key = `${step.own}${of}`
              const needs = step.needs?.map((each) => ({ ...each, key: `${each.key}${of}` })) ?? null
              const n = owns.push(key) - 1
              await bundles.pipe({ key, value: needs, timestamp, headers: { n: String(n) } })
              if (needs === null) met.tombstones++
              oracles[partitionOf(Buffer.from(key), partitions)]?.record({ n, own: key, needs: needs ?? [], timestamp }, nowMs)
            } else {
              const key = `${step.key}${of}`
              if (step.act === 'plain') {
                await driver.input('plain').pipe({ key, value: step.gone ? null : 'row', timestamp: 1_000_000 })
                if (step.gone && plain.delete(key)) met.withdrawn++
                if (!step.gone) plain.add(key)
              } else {
                const event = { version: step.version, gone: step.gone }
                await driver.input('versioned').pipe({ key, value: event, timestamp: 5 })
                if (wins(event, rows.get(key))) rows.set(key, event)
              }
              look(nowMs)
            }
            if (count > 1 && of !== null && i % 8 > 0) continue // to look costs as much as a step does
            const parked = driver.counters('held').get('parked') ?? 0
            const held = oracles.map((oracle) => oracle.held)
            if (parked !== sum(held) || Math.max(...held) > maxRecords) expect({ parked, held }).toBe(`no more than ${maxRecords} each`)
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
          for (const [got, wanted] of [
            [out, oracles.flatMap((oracle) => oracle.out)],
            [dead, oracles.flatMap((oracle) => oracle.expired)],
          ] as const)
            expect(byKey(got, owns)).toEqual(byKey(wanted, owns))
          expect(out.length + dead.length + sum(oracles.map((oracle) => oracle.held + oracle.waitingInput))).toBe(owns.length)
          met.out += out.length
          met.expired += dead.length
        },
      )
    }
    ran('22, holdUntil', await holds(property, { histories: runsOf(1_000, 20_000), alone: runsOf(100, 500) }))
    for (const [what, times] of Object.entries(met)) expect([what, times > 25]).toEqual([what, true])
  })
})
