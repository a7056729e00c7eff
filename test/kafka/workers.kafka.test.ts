// Several workers in one process, on a real Kafka: each key's output once, whatever is killed; one door for the keys and figures of all;
// restarts with as many, more and fewer workers that restore nothing.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import orders, { type CustomerTotal } from '../../topologies/orders-by-customer.ts'
import { explain } from '../../src/base/errors.ts'
import { partitionOf } from '../../src/base/murmur2.ts'
import { StreamProcessor } from '../../src/index.ts'
import { liveNow } from '../support/live-now.ts'
import { type Processor, startProcessorWith, succeed } from '../support/processor.ts'
import { seeded } from '../support/seeded.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { backlog } from './caught-up.ts'
import { runKills } from './faults-kill.ts'
import { SHORT, SHORT_BROKER } from './fleet.ts'
import { readCommitted } from './java-reader.ts'
import { KAFKA, open } from './running.ts'
import { failingOn, type Poison } from './workers-topology.ts'

const TOPOLOGY = 'topologies/orders-by-customer.ts'
const PARTITIONS = 4
const CUSTOMERS = 100
const ORDERS = 12_000
/** Records: nobody is killed before there is so much to be done. */
const BEHIND = 100
/** How long nothing has moved when it is believed that nothing moves any more. */
const REST_MS = 1_000
const REST_LOOKS = 20
const QUIET_MS = 1_500 // Kafka answers the end of a transaction before its markers are written
const SETTLE_MS = 120_000
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const customerOf = (order: number): string => `c${(order * 7) % CUSTOMERS}`
const order = (i: number): string =>
  JSON.stringify({
    topic: 'orders',
    key: `o${i}`,
    value: { version: 1, op: 'upsert', customerId: customerOf(i), cents: i % 50, state: 'open' },
  })

interface Running extends Processor {
  readonly port: Promise<number>
}

describe.runIf(KAFKA)('several workers in a process', () => {
  let kafka: RunningKafka
  let base: string
  const running = new Set<Processor>()
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER })
    base = mkdtempSync(join(tmpdir(), 'millrace-workers-'))
  }, 180_000)
  afterEach(async () => {
    for (const processor of running) await processor.kill() // of a test that failed
  })
  afterAll(async () => {
    await kafka?.stop()
    rmSync(base, { recursive: true, force: true })
  }, 60_000)

  function start(workers: number, ...more: readonly string[]): Running {
    const port = Promise.withResolvers<number>()
    const onLine = (line: string): void => {
      const said = /"port":(\d+)/.exec(line)
      if (said !== null) port.resolve(Number(said[1]))
    }
    const words = ['--brokers', kafka.brokers, '--state-dir', join(base, 'state'), '--workers', String(workers), '--port', '0', ...more]
    const processor = startProcessorWith({ onLine }, TOPOLOGY, ...words)
    running.add(processor)
    void processor.ended.then(() => running.delete(processor))
    return { ...processor, port: port.promise }
  }
  const produce = (lines: readonly string[]): Promise<string> =>
    succeed(['produce', '--brokers', kafka.brokers, '--topology', TOPOLOGY], lines)

  async function processed(): Promise<void> {
    const log = await open(kafka.brokers)
    let quietSince: number | null = null
    for (const deadline = performance.now() + SETTLE_MS; ; await sleep(100)) {
      const left = await backlog(log, orders, 'orders-by-customer')
      if (left > 0) quietSince = null
      else quietSince ??= performance.now()
      if (quietSince !== null && performance.now() - quietSince > QUIET_MS) break
      if (performance.now() > deadline) throw new Error(`${left} records were not processed: ${[...running].map((of) => of.said())}`)
    }
    await log.close()
  }

  const text = async (port: number, path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  /** Label values of a series, and its number. */
  async function series(port: number, name: string): Promise<{ task: string; worker: string; value: number }[]> {
    const lines = (await text(port, '/metrics')).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    return lines.map((line) => ({
      task: /task="([^"]*)"/.exec(line)?.[1] ?? '',
      worker: /worker="([^"]*)"/.exec(line)?.[1] ?? '',
      value: Number(line.split(' ').at(-1)),
    }))
  }
  const total = async (port: number, name: string): Promise<number> => (await series(port, name)).reduce((sum, { value }) => sum + value, 0)

  test('killed at work and started again: each step of each total once; all keys and figures behind one port', {
    timeout: 300_000,
  }, async () => {
    const log = await open(kafka.brokers)
    await log.createTopics(['orders', 'customers', 'customer-totals'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
    await produce(
      Array.from({ length: CUSTOMERS }, (_, i) =>
        JSON.stringify({ topic: 'customers', key: `c${i}`, value: { version: 1, op: 'upsert', name: `name of c${i}` } }),
      ),
    )
    const first = start(2)
    await first.ready
    await processed()
    const random = seeded(7)
    const all = Array.from({ length: ORDERS }, (_, i) => order(i))
    const twice = random.shuffled([...all, ...all.filter(() => random.chance(0.2))])
    const half = twice.length >> 1
    await produce(twice.slice(0, half))
    const producing = produce(twice.slice(half))
    let left = 0
    for (const deadline = performance.now() + 20_000; left < BEHIND && performance.now() < deadline; )
      left = await backlog(log, orders, 'orders-by-customer')
    await first.kill()
    expect(left, 'records to be done when it was killed').toBeGreaterThanOrEqual(BEHIND)
    await producing
    const second = start(2)
    await second.ready
    await processed()
    await log.close()

    const port = await second.port
    expect(JSON.parse(await text(port, '/health'))).toMatchObject({ live: true, ready: true, tasks: 2 * PARTITIONS, restoring: null })
    expect(await series(port, 'millrace_tasks')).toEqual([
      { task: '', worker: '0', value: PARTITIONS },
      { task: '', worker: '1', value: PARTITIONS },
    ])
    const owner = new Map((await series(port, 'millrace_records_in_total')).map(({ task, worker }) => [task, worker]))
    expect([...owner.keys()].toSorted()).toEqual(['0_0', '0_1', '0_2', '0_3', '1_0', '1_1', '1_2', '1_3'])
    expect(await total(port, 'millrace_dead_letters_total')).toBe(0)
    const metrics = await text(port, '/metrics')
    for (const name of ['millrace_ready', 'millrace_epochs_total', 'process_cpu_seconds_total'])
      expect(metrics.match(new RegExp(`^# TYPE ${name} `, 'gm')), name).toHaveLength(1)

    // The live page is of the whole process.
    const live = await liveNow(port)
    expect(live.tasks.map(({ id }) => id)).toEqual([...owner.keys()].toSorted())
    expect(live).toMatchObject({ ready: true, others: [] })
    expect(live.tasks.reduce((sum, { records }) => sum + records, 0)).toBe(await total(port, 'millrace_records_in_total'))

    const counts = new Map<string, number>()
    const cents = new Map<string, number>()
    for (let i = 0; i < ORDERS; i++) {
      counts.set(customerOf(i), (counts.get(customerOf(i)) ?? 0) + 1)
      cents.set(customerOf(i), (cents.get(customerOf(i)) ?? 0) + (i % 50))
    }
    const asked = new Set<string>()
    for (const [customer, count] of counts) {
      const row = JSON.parse(await text(port, `/stores/totals/${customer}`)) as { value: object }
      expect(row).toEqual({ key: customer, value: { orders: count, cents: cents.get(customer) } })
      asked.add(owner.get(`0_${partitionOf(Buffer.from(customer), PARTITIONS)}`) as string)
      if (asked.size > 1) continue
      const queried = await succeed(['query', 'totals', customer, '--state-dir', join(base, 'state')])
      expect(JSON.parse(queried)).toEqual(row.value)
    }
    // Both, as a rule; where one joined long before the other it kept the tasks of this store, and gave those of the other sub-topology away.
    const owners = new Set([...owner].filter(([task]) => task.startsWith('0_')).map(([, worker]) => worker))
    expect([...asked].toSorted(), 'workers that were asked').toEqual([...owners].toSorted())
    expect((await fetch(`http://127.0.0.1:${port}/stores/totals/nobody`)).status).toBe(404)
    const found: string[] = []
    for (let from: string | undefined = ''; from !== undefined; ) {
      const page = JSON.parse(await text(port, `/stores/totals?limit=30&from=${from}`)) as { entries: { key: string }[]; next?: string }
      found.push(...page.entries.map(({ key }) => key))
      from = page.next
    }
    expect(found).toEqual([...counts.keys()].toSorted())

    const stopped = performance.now()
    expect(await second.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - stopped).toBeLessThan(13_000)

    const steps = new Map<string, CustomerTotal[]>()
    for (const { key, value } of await readCommitted(kafka.brokers, 'customer-totals')) {
      const customer = String(key)
      steps.set(customer, [...(steps.get(customer) ?? []), JSON.parse(String(value)) as CustomerTotal])
    }
    for (const [customer, count] of counts) {
      const own = steps.get(customer) ?? []
      expect(own.map((step) => step.orders)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
      expect(own.at(-1)).toEqual({ customer: `name of ${customer}`, orders: count, cents: cents.get(customer) })
    }
  })

  test('stopped and started with 2, 3, 1 and 2 workers: nothing is restored, nobody is waited for', { timeout: 300_000 }, async () => {
    for (const workers of [2, 3, 1, 2]) {
      const began = performance.now()
      // With it members stay in the group when they are closed: those that do not come back must be taken out.
      const processor = start(workers, '--instance-id', 'shop')
      await processor.ready
      const readyMs = performance.now() - began
      const port = await processor.port
      expect(await total(port, 'millrace_tasks'), `${workers} workers`).toBe(2 * PARTITIONS)
      expect(await total(port, 'millrace_ready')).toBe(workers)
      expect(await total(port, 'millrace_restored_records_total')).toBe(0)
      expect(readyMs, `${workers} workers are ready`).toBeLessThan(30_000)
      expect(JSON.parse(await text(port, '/stores/totals/c1'))).toMatchObject({ key: 'c1' })
      expect(await processor.stop()).toEqual({ code: 0, signal: null })
    }
  })

  test('two processes of two workers each, one of them killed six times: nothing is lost, nothing doubled', {
    timeout: 300_000,
  }, async () => {
    const options = { brokers: kafka.brokers, prefix: 'threads-', commitInterval: '100ms', instances: 2, workers: 2, kills: 6 }
    const { wrong, events } = await runKills(options, (said) => console.info(said))
    expect(wrong.slice(0, 10)).toEqual([])
    expect(events).toBeGreaterThan(1_000)
  })

  test('one that is cut off from the group for a while: the other has its tasks, and no store is open twice', {
    timeout: 120_000,
  }, async () => {
    const topic = 'poison-stall'
    const file = join(import.meta.dirname, 'workers-topology.ts')
    const mark = join(base, 'stalled')
    const log = await open(kafka.brokers)
    await log.createTopics([{ name: topic, partitions: PARTITIONS, kind: 'plain' }])
    const lines: string[] = []
    const env = { POISON_TOPIC: topic, POISON_MARK: mark, FAULTY_LIMITS: JSON.stringify(SHORT) }
    const words = ['--brokers', kafka.brokers, '--state-dir', join(base, 'stall'), '--workers', '2']
    const imports = [join(import.meta.dirname, 'faulty.ts')]
    const processor = startProcessorWith({ imports, env, onLine: (line) => void lines.push(line) }, file, ...words)
    running.add(processor)
    await processor.ready
    const writer = log.writer({ transactionalId: topic, guarantee: 'at_least_once' })
    await writer.init()
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    const rounds = 40
    for (let round = 0; round < rounds; round++) {
      for (const key of keys) {
        const value: Poison = round === 5 && key === 'k0' ? { how: 'stall' } : {}
        writer.append(topic, partitionOf(Buffer.from(key), PARTITIONS), 0, Buffer.from(key), Buffer.from(JSON.stringify(value)), [])
      }
      writer.seal()
      await writer.flush()
      await writer.commit(null, '', [])
      await sleep(400)
    }
    await writer.close()
    const count = async (key: string): Promise<number> =>
      Number(await succeed(['query', 'eaten', key, '--state-dir', join(base, 'stall'), '--topology', file]))
    for (const deadline = performance.now() + 60_000; (await count('k0')) < rounds && performance.now() < deadline; await sleep(500));
    for (const key of keys.slice(0, 8)) expect(await count(key), key).toBe(rounds)
    expect(existsSync(mark)).toBe(true)
    const refused = lines.filter((line) => line.includes('is still open in another worker of this process'))
    expect(refused.length, processor.said()).toBeGreaterThan(0)
    expect(await processor.stop()).toEqual({ code: 0, signal: null })
    running.delete(processor)
    await log.close()
  })

  describe('one of them fails', () => {
    const good = Array.from({ length: 40 }, (_, i) => ({ key: `k${i}`, value: {} as Poison }))
    /** The second that joins takes tasks of the first, and a thread tells of its own a moment later. */
    async function atRest(app: StreamProcessor): Promise<void> {
      const looks: boolean[] = []
      const look = (): boolean => {
        const { ready, tasks } = app.status()
        looks.push(ready && tasks.length === PARTITIONS)
        return looks.length >= REST_LOOKS && looks.slice(-REST_LOOKS).every((one) => one)
      }
      await expect.poll(look, { timeout: 30_000, interval: REST_MS / REST_LOOKS }).toBe(true)
    }

    async function fed(how: 'throw' | 'later' | 'reject' | 'exit' | 'hang'): Promise<StreamProcessor> {
      const topic = `poison-${how}`
      const log = await open(kafka.brokers)
      await log.createTopics([{ name: topic, partitions: PARTITIONS, kind: 'plain' }])
      const write = async (records: readonly { readonly key: string; readonly value: Poison }[]): Promise<void> => {
        const writer = log.writer({ transactionalId: topic, guarantee: 'at_least_once' })
        await writer.init()
        for (const { key, value } of records)
          writer.append(topic, partitionOf(Buffer.from(key), PARTITIONS), 0, Buffer.from(key), Buffer.from(JSON.stringify(value)), [])
        writer.seal()
        await writer.flush()
        await writer.commit(null, '', [])
        await writer.close()
      }
      process.env.POISON_TOPIC = topic
      const app = new StreamProcessor(failingOn(topic), {
        applicationId: `failing-${how}`,
        brokers: kafka.brokers.split(','),
        stateDir: join(base, how),
        workers: 2,
        module: join(import.meta.dirname, 'workers-topology.ts'),
        onError: 'fail',
      })
      await write(good)
      await app.start()
      await atRest(app)
      const eaten = app.store<string, number>('eaten')
      for (const { key } of good) while ((await eaten.read(key)) !== 1) await sleep(20)
      expect(good.map(({ key }) => eaten.get(key))).toEqual(good.map(() => 1))
      const keys: string[] = []
      for await (const [key] of eaten.all()) keys.push(key)
      expect(keys.toSorted()).toEqual(good.map(({ key }) => key).toSorted())
      expect(app.status()).toMatchObject({ ready: true, tasks: { length: PARTITIONS }, deadLetters: 0, restoring: null, port: null })
      await write([{ key: 'k0', value: { how } }])
      await log.close()
      return app
    }

    test.each([
      ['throw', /thrown by a callback/],
      ['later', /^thrown by a callback$/],
      ['reject', /^rejected by a callback$/],
      ['exit', /^worker [01] has ended by itself \(status 7\): does the topology end the process\?$/],
    ] as const)('%s: the processor fails with its error, and closes', { timeout: 60_000 }, async (how, why) => {
      const app = await fed(how)
      const error = await app.failed.catch((reason: unknown) => reason)
      expect(explain(error)).toMatch(why)
      const began = performance.now()
      await app.close()
      expect(performance.now() - began).toBeLessThan(13_000)
      expect(() => app.store('eaten')).toThrow(/not running/)
    })

    test('hang: the others answer, and close does not wait for it', { timeout: 60_000 }, async () => {
      const app = await fed('hang')
      const eaten = app.store<string, number>('eaten')
      await sleep(1_000)
      const began = performance.now()
      const answers = await Promise.allSettled(good.map(({ key }) => eaten.read(key)))
      expect(performance.now() - began).toBeLessThan(12_000)
      const silent = answers.filter((answer) => answer.status === 'rejected').map(({ reason }) => explain(reason))
      expect(silent.length).toBeGreaterThan(0)
      expect(silent.length).toBeLessThan(good.length)
      expect(new Set(silent).size).toBe(1)
      expect(silent[0]).toMatch(/^worker [01] of this process does not answer; ask again$/)
      const closing = performance.now()
      await expect(app.close()).rejects.toThrow(/^worker [01] has not closed within 8.5 s and was ended/)
      expect(performance.now() - closing).toBeLessThan(13_000) // 8.5 s, and the ends of threads on a busy machine
    })
  })
})
