// Spans as an exporter gets them: an epoch, in it the batches of its tasks and its commit; links to the records' contexts, which go on
// with the records whatever way they take.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AlwaysOffSampler, ParentBasedSampler, type ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { afterEach, describe, expect, it } from 'vitest'
import { openLog } from '../../src/app.ts'
import { openTracing } from '../../src/app/tracing.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { type Logger, silent } from '../../src/base/ports.ts'
import { type Headers, headersToText } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { json, string, StreamProcessor, type Topology, topology, tumbling } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { proxied } from '../support/proxied.ts'
import { type InputRecord, load, readAll, runWorker } from '../support/run-worker.ts'
import { register, unregister } from '../support/tracing.ts'

const world = systemWorld()
const TEXT = { key: string(), value: string() }
const APP = { applicationId: 'traced', clientId: 'traced-a', log: 'kafka', logger: silent } as const
const copy = topology('copy', (t) => t.stream('in', TEXT).to('out'))

afterEach(unregister)

const parentOf = (n: number): string => `00-${n.toString(16).padStart(32, 'a')}-${n.toString(16).padStart(16, 'b')}-01`
const headers = (traceparent: string, more: Headers = []): Headers => [...more, ['traceparent', Buffer.from(traceparent)]]
const record = (topic: string, key: string, value: unknown, timestamp: number, of: Headers = []): InputRecord => ({
  topic,
  key: Buffer.from(key),
  value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  timestamp,
  headers: of,
})

/** Runs until everything is committed, closed. */
async function processed(log: Log, program: Topology, logger: Logger = silent): Promise<void> {
  const running = await runWorker({
    log,
    topology: program,
    applicationId: 'traced',
    provider: memoryProvider(),
    world,
    partitions: 2,
    tracing: await openTracing({ ...APP, logger }),
  })
  await running.untilCaughtUp()
  await running.worker.close()
}

const one = (spans: readonly ReadableSpan[]): ReadableSpan => {
  expect(spans.map(({ name }) => name)).toHaveLength(1)
  return spans[0] as ReadableSpan
}

describe('spans', () => {
  it('are an epoch, its batches and its commit', async () => {
    const { named, spans } = register()
    const log = memoryLog(world)
    const noted = headers(parentOf(1), [['tracestate', Buffer.from('vendor=1')]])
    const odd = headers('00-00000000000000000000000000000000-bbbbbbbbbbbbbbbb-01')
    await load(
      log,
      [
        record('in', 'k', 'a', 1, noted),
        record('in', 'k', 'b', 2),
        record('in', 'k', 'c', 3, noted),
        record('in', 'k', 'd', 4, headers(parentOf(2))),
        record('in', 'k', 'e', 5, odd),
        record('in', 'k', 'f', 6, headers('no context')),
      ],
      1,
    )
    await load(log, [], 1)
    const seen = new Set<string | undefined>()
    await processed(
      log,
      topology('copy', (t) =>
        t
          .stream('in', TEXT)
          .peek(() => void seen.add(trace.getActiveSpan()?.spanContext().spanId))
          .to('out'),
      ),
    )
    const batch = one(named('process'))
    expect(batch).toMatchObject({ name: 'process in', kind: SpanKind.CONSUMER, status: { code: SpanStatusCode.UNSET } })
    expect(batch.attributes).toEqual({
      'messaging.system': 'kafka',
      'messaging.client.id': 'traced-a',
      'messaging.consumer.group.name': 'traced',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'in',
      'messaging.destination.partition.id': '0',
      'messaging.batch.message_count': 6,
      'millrace.application.id': 'traced',
      'millrace.task.id': '0_0',
      'millrace.epoch': expect.any(Number),
      'millrace.dead_letters': 0,
    })
    expect(batch.links.map(({ context }) => [context.traceId, context.spanId, context.isRemote, context.traceState?.serialize()])).toEqual([
      [parentOf(1).slice(3, 35), parentOf(1).slice(36, 52), true, 'vendor=1'],
      [parentOf(2).slice(3, 35), parentOf(2).slice(36, 52), true, undefined],
    ])
    expect(batch.links.map(({ attributes }) => attributes?.['messaging.kafka.offset'])).toEqual([0, 3])
    expect([...seen]).toEqual([batch.spanContext().spanId])

    const within = (parent: ReadableSpan): readonly ReadableSpan[] =>
      spans().filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)
    const epoch = one(named('epoch').filter((span) => within(span).includes(batch)))
    expect(epoch.parentSpanContext).toBeUndefined()
    expect(epoch.attributes).toMatchObject({
      'millrace.epoch': batch.attributes['millrace.epoch'],
      'messaging.batch.message_count': 6,
    })
    const commit = one(within(epoch).filter((span) => span !== batch))
    expect(commit).toMatchObject({ name: 'commit traced', kind: SpanKind.CLIENT, status: { code: SpanStatusCode.UNSET } })
    expect(commit.attributes).toMatchObject({ 'messaging.operation.type': 'settle', 'messaging.batch.message_count': 6 })
    expect(new Set(spans().map(({ ended }) => ended))).toEqual(new Set([true]))
  })

  it('are linked with so many contexts and no more', async () => {
    const { named } = register()
    const log = memoryLog(world)
    const many = LIMITS.spanLinksMax + 5
    await load(
      log,
      Array.from({ length: many }, (_, i) => record('in', 'k', 'v', i, headers(parentOf(i + 1)))),
      1,
    )
    await processed(log, copy)
    expect(one(named('process')).links).toHaveLength(LIMITS.spanLinksMax)
  })

  const broken = (): never => {
    throw new Error('the provider is broken')
  }
  const quiet = { forceFlush: async () => {}, shutdown: async () => {}, onStart() {}, onEnd() {} }
  it.each([
    ['sampler', () => register({ shouldSample: broken, toString: () => 'broken' })],
    ['processor at the beginning', () => register(undefined, [{ ...quiet, onStart: broken }])],
    ['processor at the end', () => register(undefined, [{ ...quiet, onEnd: broken }])],
  ])('of a provider whose %s throws are lost, and nothing else is', async (_what, registered) => {
    registered()
    const told: string[] = []
    const warn: Logger['warn'] = (fields, message) => void told.push(`${message} (${(fields as { reason: string }).reason})`)
    const log = memoryLog(world)
    await load(log, [record('in', 'k', 'v', 1)], 1)
    await processed(log, copy, { ...silent, warn })
    expect((await readAll(log, 'out')).flat()).toHaveLength(1)
    expect(told).toEqual(['the provider of OpenTelemetry throws: spans are lost (the provider is broken)'])
  })

  it('of an epoch that was lost say so, and it is done again', async () => {
    const { named } = register()
    const log = memoryLog(world)
    await load(log, [record('in', 'k', 'v', 1)], 1)
    let failures = 1
    const failing: Log = {
      ...proxied(log),
      writer(options) {
        const writer = log.writer(options)
        return {
          ...proxied(writer),
          get bufferedBytes() {
            return writer.bufferedBytes
          },
          async commit(identity, groupId, offsets) {
            if (offsets.length > 0 && failures-- > 0) throw new MillraceError('STREAM_DOUBT', 'injected: the end was not answered')
            await writer.commit(identity, groupId, offsets)
          },
        }
      },
    }
    await processed(failing, copy)
    const failed = [...named('epoch'), ...named('commit')].filter(({ status }) => status.code === SpanStatusCode.ERROR)
    expect(failed.map(({ name }) => name).sort()).toEqual(['commit traced', 'epoch traced'])
    for (const { status, attributes } of failed) {
      expect(status.message).toContain('injected: the end was not answered')
      expect(attributes['error.type']).toBe('STREAM_DOUBT')
    }
    expect(named('process').map(({ attributes }) => attributes['messaging.batch.message_count'])).toEqual([1, 1])
    expect((await readAll(log, 'out')).flat()).toHaveLength(1)
  })

  it('of an epoch whose tasks are taken away before it is sealed say so too', async () => {
    const { named } = register()
    const tracing = await openTracing(APP)
    tracing?.batch({ id: '0_0', partition: 0, queues: [] })?.end(3, 0)
    tracing?.lost(null)
    expect(one(named('epoch'))).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: expect.stringContaining('dropped before its commit') },
    })
    tracing?.lost(null)
    expect(named('epoch')).toHaveLength(1)
  })

  it('are not made of batches where the epoch is sampled out, or nobody has registered a provider', async () => {
    const task = { id: '0_0', partition: 0, queues: [] }
    expect((await openTracing(APP))?.batch(task)).toBeNull()
    const { spans } = register(new ParentBasedSampler({ root: new AlwaysOffSampler() }))
    const tracing = await openTracing(APP)
    expect(tracing?.batch(task)).toBeNull()
    tracing?.seal()?.committed(1, 1)
    expect(spans()).toEqual([])
    unregister()
    const { named } = register()
    expect((await openTracing(APP))?.batch(task)).not.toBeNull()
    expect(named('epoch')).toEqual([])
  })
})

describe('the context of a record goes on with it', () => {
  const ORDER = { key: string(), value: json<{ readonly product: string }>() }
  const program = topology('ways', (t) => {
    const orders = t.stream('orders', ORDER)
    const products = t.table('products', TEXT)
    orders
      .join(products, (_order, product) => product, {
        on: ({ product }) => product,
        buffer: { timeout: '1h' },
        store: 'waiting',
        value: string(),
      })
      .to('joined', TEXT)
    orders
      .groupBy(({ product }) => product, { key: string() })
      .count({ store: 'counts' })
      .toStream()
      .to('counted', { key: string(), value: json<number>() })
    orders
      .groupByKey()
      .windowedBy(tumbling('1s', { grace: '0s' }), { emit: 'close' })
      .count({ store: 'windows' })
      .toStream()
      .map((count, { key }) => [key, count], { key: string(), value: json<number>() })
      .to('closed', { key: string(), value: json<number>() })
  })

  it('through a repartition topic, a buffering join, an aggregate, and a window that it closes', async () => {
    const { named } = register()
    const log = memoryLog(world)
    await load(log, [record('products', 'none', 'x', 1)], 2)
    await load(
      log,
      [
        record('orders', 'o', { product: 'p' }, 10, headers(parentOf(1))),
        record('orders', 'o', { product: 'q' }, 5_000, headers(parentOf(2))),
      ],
      2,
    )
    await processed(log, program)
    const contexts = async (topic: string): Promise<(string | undefined)[]> =>
      (await readAll(log, topic)).flat().map((found) => headersToText(found.headers).traceparent)
    expect(await contexts('joined')).toEqual([])
    await load(log, [record('products', 'p', 'row', 20, headers(parentOf(3)))], 2)
    await processed(log, program)
    expect(await contexts('joined')).toEqual([parentOf(1)]) // the order's, not the row's
    expect((await contexts('counted')).sort()).toEqual([parentOf(1), parentOf(2)])
    expect(await contexts('closed')).toEqual([parentOf(2)])
    const linked = named('process').filter(({ links }) => links.some(({ context }) => context.traceId === parentOf(1).slice(3, 35)))
    expect(new Set(linked.map(({ attributes }) => String(attributes['millrace.task.id']).split('_')[0])).size).toBeGreaterThan(1)
  })
})

describe('a StreamProcessor', () => {
  it('has its spans made, unless it is told not to', async () => {
    const { named } = register()
    for (const tracing of [false, true]) {
      const stateDir = mkdtempSync(join(tmpdir(), 'millrace-traced-'))
      try {
        const log = await openLog(resolveConfig('copy', { stateDir }), world)
        await load(log, [record('in', 'k', 'v', 1)], 1)
        await log.close()
        await using app = new StreamProcessor(copy, { stateDir, ...(tracing ? {} : { tracing }) })
        await app.start()
        await expect.poll(() => app.status().records, { timeout: 10_000 }).toBe(1)
        await app.close()
        expect(named('process in').map(({ attributes }) => attributes['messaging.system'])).toEqual(tracing ? ['millrace'] : [])
      } finally {
        rmSync(stateDir, { recursive: true, force: true })
      }
    }
  })
})
