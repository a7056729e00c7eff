// mapAsync over commits, crashes and partitions: against a model where calls do not share slots, and by what must always hold where they do.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AsyncCall, json, type MapAsyncOptions, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { histories } from '../support/histories.ts'
import { ran } from '../support/bars.ts'
import { holds, many } from '../support/many.ts'
import { runsOf } from '../support/tier.ts'
import { type Behaviour, type Left, modelOf } from './map-async-model.ts'

interface Job {
  readonly n: number
  readonly free: boolean
  readonly behaviour: Behaviour
}
interface Done {
  readonly n: number
  readonly error: Left['error']
}

const JOB = { key: string(), value: json<Job>() }
const DONE = { key: string(), value: json<Done>() }
const TIMEOUT_MS = 30_000
const KEYS = ['a', 'b', 'c', 'd']
const keys = fc.constantFrom(...KEYS)
const partitionCounts = fc.integer({ min: 1, max: 3 })

type Answer = (job: Job, nowMs: number, call: AsyncCall) => Promise<Done>

/** `answer` is told what the driver's clock says. */
function program(answer: Answer, options: MapAsyncOptions<string, Job, Done, Done>) {
  let nowMs = (): number => 0
  return topology('calls', (t) => {
    t.stream('jobs', JOB)
      .processValues<Job>(
        (context) => {
          nowMs = () => context.currentSystemTimeMs()
          return { process: (record) => context.forward(record) }
        },
        { value: json<Job>() },
      )
      .mapAsync((job, _, call) => answer(job, nowMs(), call), { store: 'calls', value: json<Done>(), timeout: TIMEOUT_MS, ...options })
      .to('done', DONE)
  })
}

const failure = (error: unknown): 'timeout' | 'failed' => (/not answered within/.test(String(error)) ? 'timeout' : 'failed')
const byNumber = (lefts: readonly Left[]): Left[] => [...lefts].sort((a, b) => a.n - b.n)

describe('mapAsync', () => {
  const behaviours = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('okFrom' as const), ms: fc.constantFrom(0, 0, 0, 10_000, 30_000, 70_000) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('hangs' as const) }) },
  )
  const job = fc.record({ key: keys, behaviour: behaviours, free: fc.boolean() })
  const world = fc.oneof(
    fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(10_000, 20_000, 40_000) }),
    fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }),
  )

  it('gives what the model gives, whatever crashes', { timeout: 900_000 }, async () => {
    const met = { ok: 0, failed: 0, timeout: 0, free: 0, waited: 0, crashes: 0 }
    const orders = fc.constantFrom('key' as const, 'key' as const, 'none' as const)
    const property = (count: number) => {
      const turns = many({ history: histories(job, 8, 20), world, count })
      return fc.asyncProperty(turns, partitionCounts, fc.integer({ min: 1, max: 3 }), orders, async (all, partitions, attempts, order) => {
        const answer: Answer = ({ n, behaviour }, atMs) => {
          if (behaviour.kind === 'hangs') return new Promise(() => {})
          return atMs < behaviour.ms ? Promise.reject(new Error('not yet')) : Promise.resolve({ n, error: null })
        }
        await using driver = new TopologyTestDriver(
          program(answer, {
            concurrency: 1_000,
            order,
            unordered: (job) => job.free,
            retry: { attempts, backoff: '10ms' },
            onError: (job, _, error) => ({ n: job.n, error: failure(error) }),
          }),
          { partitions },
        )
        let nowMs = 0
        const jobs: (Job & { readonly key: string; readonly atMs: number })[] = []
        for (const { of, step } of all) {
          if (of !== null) {
            const key = `${step.key}${of}`
            const job = { n: jobs.length, free: step.free, behaviour: step.behaviour }
            jobs.push({ ...job, key, atMs: nowMs })
            await driver.input('jobs').pipe({ key, value: job, timestamp: job.n })
          } else if (step.act === 'advance') {
            await driver.advance(step.ms)
            nowMs += step.ms
          } else {
            if (step.act === 'crash') met.crashes++
            await driver[step.act]()
          }
        }
        await driver.commit()
        const expected = modelOf(jobs, { ordered: order === 'key', attempts, timeoutMs: TIMEOUT_MS, untilMs: nowMs })
        const out = driver.output<string, Done>('done').readAll()
        const waitsItsTurn = ({ n }: Left): boolean => order === 'key' && jobs[n]?.free === false
        const outOf = Map.groupBy(out, ({ key }) => key)
        const expectedOf = Map.groupBy(expected, ({ key }) => key)
        expect([...outOf.keys()].every((key) => expectedOf.has(key as string))).toBe(true)
        for (const [key, lefts] of expectedOf) {
          const got = (outOf.get(key) ?? []).map(({ value }): Left => value as Done)
          const want = lefts.map(({ n, error }): Left => ({ n, error }))
          expect(got.filter(waitsItsTurn)).toEqual(want.filter(waitsItsTurn))
          expect(byNumber(got)).toEqual(want)
        }
        for (const { value, timestamp } of out) expect(timestamp).toBe((value as Done).n)
        const counts = driver.counters('calls')
        expect((counts.get('in_flight') ?? 0) + (counts.get('waiting') ?? 0)).toBe(jobs.length - out.length)
        for (const { error } of expected) met[error ?? 'ok']++
        met.free += jobs.filter(({ free }) => free).length
        met.waited += jobs.length - expected.length
      })
    }
    ran('18, calls as in the model', await holds(property, { histories: runsOf(500, 10_000), alone: runsOf(50, 250) }))
    for (const [what, times] of Object.entries(met)) expect([what, times > 20]).toEqual([what, true])
  })

  const own = fc.oneof(
    { weight: 1, arbitrary: fc.record({ act: fc.constant('job' as const), key: keys, free: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('answer' as const), which: fc.nat(99), fails: fc.boolean() }) },
  )
  const worldOfSome = fc.oneof(
    fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(15, 10_000, 20_000, 30_000) }),
    fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }),
  )

  it('loses nothing, doubles nothing, keeps the order of each key and its bounds', { timeout: 900_000 }, async () => {
    const met = { answered: 0, given: 0, timeout: 0, full: 0, crashes: 0, sharing: 0 }
    const bounds = (count: number) =>
      fc.record({
        concurrency: fc.constantFrom(1, 2, 3, ...(count === 1 ? [] : [10, 30])),
        maxRecords: fc.constantFrom(2, 4, ...(count === 1 ? [] : [20]), 100),
        attempts: fc.constantFrom(1, 1, 2),
      })
    const property = (count: number) => {
      const turns = many({ history: histories(own, 10, 24), world: worldOfSome, count })
      return fc.asyncProperty(turns, partitionCounts, bounds(count), async (all, partitions, { concurrency, maxRecords, attempts }) => {
        interface Open {
          readonly job: Job
          readonly key: string
          readonly give: (error: Error | null) => void
        }
        const open = new Set<Open>()
        const idOf = new Map<number, string>()
        const keyAt = new Map<number, string>()
        const partitionAt = new Map<number, number>()
        const failures = new Map<number, number>()
        let answersAll = false
        const answer: Answer = (job, _, { idempotencyKey, signal }) => {
          const key = keyAt.get(job.n) as string
          expect(idOf.get(job.n) ?? idempotencyKey).toBe(idempotencyKey)
          idOf.set(job.n, idempotencyKey)
          if (answersAll) return Promise.resolve({ n: job.n, error: null })
          if (!job.free) expect([...open].filter((other) => other.key === key && !other.job.free)).toEqual([])
          return new Promise((resolve, reject) => {
            const one: Open = {
              job,
              key,
              give(error) {
                open.delete(one)
                if (error === null) resolve({ n: job.n, error: null })
                else {
                  failures.set(job.n, (failures.get(job.n) ?? 0) + 1)
                  reject(error)
                }
              },
            }
            open.add(one)
            signal.addEventListener('abort', () => open.delete(one))
          })
        }
        await using driver = new TopologyTestDriver(
          program(answer, {
            concurrency,
            maxRecords,
            unordered: (job) => job.free,
            retry: { attempts, backoff: '10ms' },
            onError: (job, _, error) => ({ n: job.n, error: failure(error) }),
          }),
          { partitions },
        )
        const input = driver.input<string, Job>('jobs')
        let n = 0
        const free = new Map<number, boolean>()
        const check = (): void => {
          const counts = driver.counters('calls')
          const parked = (counts.get('in_flight') ?? 0) + (counts.get('waiting') ?? 0)
          expect(parked).toBeLessThanOrEqual(maxRecords * partitions)
          if (parked === maxRecords) met.full++
          // Those of one partition that are under way; a restart begins no more of them than there were.
          for (let p = 0; p < partitions; p++)
            expect([...open].filter(({ job }) => partitionAt.get(job.n) === p).length).toBeLessThanOrEqual(concurrency)
          if (open.size > 1) met.sharing++
        }
        for (const { of, step } of all) {
          if (of === null) {
            if (step.act === 'advance') await driver.advance(step.ms)
            else {
              if (step.act === 'crash') met.crashes++
              await driver[step.act]()
            }
          } else if (step.act === 'job') {
            const key = `${step.key}${of}`
            const partition = KEYS.indexOf(step.key) % partitions
            keyAt.set(n, key)
            partitionAt.set(n, partition)
            free.set(n, step.free)
            await input.pipe({ key, value: { n: n++, free: step.free, behaviour: { kind: 'hangs' } }, timestamp: n, partition })
          } else {
            const one = [...open][step.which % Math.max(1, open.size)]
            one?.give(step.fails ? new Error('no') : null)
            await driver.settle()
          }
          check()
        }
        answersAll = true
        for (const one of [...open]) one.give(null)
        await driver.settle()
        await driver.advance('1s') // what waits to be tried again
        await driver.crash()
        await driver.commit()
        const out = driver.output<string, Done>('done').readAll()
        expect(out.map(({ value }) => (value as Done).n).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
        for (const ofKey of Map.groupBy(out, ({ key }) => key).values()) {
          const ordered = ofKey.map(({ value }) => (value as Done).n).filter((one) => free.get(one) === false)
          expect(ordered).toEqual([...ordered].sort((a, b) => a - b))
        }
        for (const { value } of out) {
          const { n: which, error } = value as Done
          if (error === 'failed') expect(failures.get(which) ?? 0).toBeGreaterThanOrEqual(attempts)
          met[error === null ? 'answered' : error === 'timeout' ? 'timeout' : 'given']++
        }
        expect(new Set(idOf.values()).size).toBe(idOf.size)
        const counts = driver.counters('calls')
        expect([counts.get('in_flight'), counts.get('waiting')]).toEqual([0, 0])
      })
    }
    ran('18, calls that share', await holds(property, { histories: runsOf(500, 10_000), alone: runsOf(50, 250) }))
    for (const [what, times] of Object.entries(met)) expect([what, times > 20]).toEqual([what, true])
  })
})
