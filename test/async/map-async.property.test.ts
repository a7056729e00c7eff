// mapAsync over commits, crashes and partitions: against a model where calls do not share slots, and by what must always hold where they do.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AsyncCall, json, type MapAsyncOptions, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { histories } from '../support/histories.ts'
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
  const acts = histories(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ act: fc.constant('job' as const), key: keys, behaviour: behaviours, free: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(10_000, 20_000, 40_000) }) },
      { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }) },
    ),
    12,
    30,
  )

  it('gives what the model gives, whatever crashes', { timeout: 900_000 }, async () => {
    const met = { ok: 0, failed: 0, timeout: 0, free: 0, waited: 0, crashes: 0 }
    const orders = fc.constantFrom('key' as const, 'key' as const, 'none' as const)
    await fc.assert(
      fc.asyncProperty(acts, partitionCounts, fc.integer({ min: 1, max: 3 }), orders, async (list, partitions, attempts, order) => {
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
        for (const act of list) {
          if (act.act === 'job') {
            const job = { n: jobs.length, free: act.free, behaviour: act.behaviour }
            jobs.push({ ...job, key: act.key, atMs: nowMs })
            await driver.input('jobs').pipe({ key: act.key, value: job, timestamp: job.n })
          } else if (act.act === 'advance') {
            await driver.advance(act.ms)
            nowMs += act.ms
          } else if (act.act === 'commit') await driver.commit()
          else {
            met.crashes++
            await driver.crash()
          }
        }
        await driver.commit()
        const expected = modelOf(jobs, { ordered: order === 'key', attempts, timeoutMs: TIMEOUT_MS, untilMs: nowMs })
        const out = driver.output<string, Done>('done').readAll()
        const waitsItsTurn = ({ n }: Left): boolean => order === 'key' && jobs[n]?.free === false
        for (const key of KEYS) {
          const got = out.filter((record) => record.key === key).map(({ value }): Left => value as Done)
          const want = expected.filter((left) => left.key === key).map(({ n, error }): Left => ({ n, error }))
          expect(got.filter(waitsItsTurn)).toEqual(want.filter(waitsItsTurn))
          expect(byNumber(got)).toEqual(want)
        }
        for (const { value, timestamp } of out) expect(timestamp).toBe((value as Done).n)
        const counts = driver.counters('calls')
        expect((counts.get('in_flight') ?? 0) + (counts.get('waiting') ?? 0)).toBe(jobs.length - out.length)
        for (const { error } of expected) met[error ?? 'ok']++
        met.free += jobs.filter(({ free }) => free).length
        met.waited += jobs.length - expected.length
      }),
      { numRuns: runsOf(500, 10_000) },
    )
    for (const [what, times] of Object.entries(met)) expect([what, times > 20]).toEqual([what, true])
  })

  const controlled = histories(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ act: fc.constant('job' as const), key: keys, free: fc.boolean() }) },
      { weight: 6, arbitrary: fc.record({ act: fc.constant('answer' as const), which: fc.nat(9), fails: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ act: fc.constant('advance' as const), ms: fc.constantFrom(15, 10_000, 20_000, 30_000) }) },
      { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }) },
    ),
    16,
    40,
  )

  it('loses nothing, doubles nothing, keeps the order of each key and its bounds', { timeout: 900_000 }, async () => {
    const met = { answered: 0, given: 0, timeout: 0, full: 0, crashes: 0, sharing: 0 }
    const bounds = fc.record({
      concurrency: fc.integer({ min: 1, max: 3 }),
      maxRecords: fc.constantFrom(2, 4, 100),
      attempts: fc.constantFrom(1, 1, 2),
    })
    await fc.assert(
      fc.asyncProperty(controlled, partitionCounts, bounds, async (list, partitions, { concurrency, maxRecords, attempts }) => {
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
        for (const act of list) {
          if (act.act === 'job') {
            const partition = KEYS.indexOf(act.key) % partitions
            keyAt.set(n, act.key)
            partitionAt.set(n, partition)
            free.set(n, act.free)
            await input.pipe({ key: act.key, value: { n: n++, free: act.free, behaviour: { kind: 'hangs' } }, timestamp: n, partition })
          } else if (act.act === 'answer') {
            const one = [...open][act.which % Math.max(1, open.size)]
            one?.give(act.fails ? new Error('no') : null)
            await driver.settle()
          } else if (act.act === 'advance') await driver.advance(act.ms)
          else if (act.act === 'commit') await driver.commit()
          else {
            met.crashes++
            await driver.crash()
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
        for (const key of KEYS) {
          const ordered = out.flatMap((each) =>
            each.key === key && free.get((each.value as Done).n) === false ? [(each.value as Done).n] : [],
          )
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
      }),
      { numRuns: runsOf(500, 10_000) },
    )
    for (const [what, times] of Object.entries(met)) expect([what, times > 20]).toEqual([what, true])
  })
})
