// Spans of OpenTelemetry: one an epoch, in it one a batch of a task and one of the commit. The names of the attributes are those of the
// semantic conventions for messaging; what is our own begins with `millrace.`. Brings no SDK and no exporter: spans go to the provider
// that the process has registered, and without one to nobody.
//
// 1. An epoch is sampled as a whole: where its span is not recorded no span of a batch is made.
// 2. A batch is linked with the contexts (W3C `traceparent`) of its records: each once, LIMITS.spanLinksMax at most.
// 3. Whether the API is there is found out once, at the start; whether a provider is, with each epoch.
// 4. What a provider throws (its samplers, its span processors) is nobody's: it costs spans, and is told once. What is processed goes on.
import type { Attributes, Context, Link, Span, SpanContext, Tracer } from '@opentelemetry/api'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Logger } from '../base/ports.ts'
import type { Headers, LogRecord, TopicPartition } from '../base/record.ts'
import type { BatchTrace, CommitTrace, TracedTask, Tracing } from '../base/tracing.ts'
import type { Log } from '../log/log.ts'

type Api = typeof import('@opentelemetry/api')

export interface TracingOptions {
  readonly applicationId: string
  /** Of the worker: its transactional id. */
  readonly clientId: string
  readonly log: Log['kind']
  readonly logger: Logger
}

interface OpenEpoch {
  readonly span: Span
  readonly context: Context
  records: number
}

/** Null: the package @opentelemetry/api is not installed. */
export async function openTracing(options: TracingOptions): Promise<Tracing | null> {
  const api = await import('@opentelemetry/api').catch((error: unknown) => {
    if ((error as { readonly code?: string }).code === 'ERR_MODULE_NOT_FOUND') return null
    throw error
  })
  return api === null ? null : unharmed(new WorkerTracing(api, options), options.logger)
}

/** Invariant 4. */
function unharmed(tracing: Tracing, logger: Logger): Tracing {
  let told = false
  const safely = <T>(tell: () => T): T | null => {
    try {
      return tell()
    } catch (error) {
      if (!told) logger.warn({ reason: explain(error) }, 'the provider of OpenTelemetry throws: spans are lost')
      told = true
      return null
    }
  }
  return {
    batch(task) {
      const batch = safely(() => tracing.batch(task))
      if (batch === null) return null
      return {
        within: (run) => batch.within(run),
        record: (at, record) => void safely(() => batch.record(at, record)),
        end: (records, deadLetters) => void safely(() => batch.end(records, deadLetters)),
        failed: (error) => void safely(() => batch.failed(error)),
      }
    },
    seal() {
      const commit = safely(() => tracing.seal())
      if (commit === null) return null
      return {
        committed: (records, bytes) => void safely(() => commit.committed(records, bytes)),
        failed: (error) => void safely(() => commit.failed(error)),
      }
    },
    lost: (error) => void safely(() => tracing.lost(error)),
  }
}

class WorkerTracing implements Tracing {
  readonly #api: Api
  readonly #tracer: Tracer
  readonly #applicationId: string
  /** Of every span. */
  readonly #common: Attributes
  #open: OpenEpoch | null = null
  #epochs = 0

  constructor(api: Api, { applicationId, clientId, log }: TracingOptions) {
    this.#api = api
    this.#tracer = api.trace.getTracer('millrace')
    this.#applicationId = applicationId
    this.#common = {
      'messaging.system': log === 'kafka' ? 'kafka' : 'millrace',
      'messaging.client.id': clientId,
      'messaging.consumer.group.name': applicationId,
      'millrace.application.id': applicationId,
    }
  }

  batch(task: TracedTask): BatchTrace | null {
    const epoch = this.#opened()
    if (!epoch.span.isRecording()) return null
    const { SpanKind, trace } = this.#api
    const topics = [...new Set(task.queues.map(({ topic }) => topic))]
    const [topic] = topics
    const one = topics.length === 1 && topic !== undefined ? { 'messaging.destination.name': topic } : { 'millrace.topics': topics }
    const span = this.#tracer.startSpan(
      `process ${topics.length === 1 ? topic : this.#applicationId}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: {
          ...this.#common,
          ...one,
          ...operation('process', 'process'),
          'messaging.destination.partition.id': String(task.partition),
          'millrace.task.id': task.id,
          'millrace.epoch': this.#epochs,
        },
      },
      epoch.context,
    )
    return new WatchedBatch(this.#api, span, trace.setSpan(epoch.context, span), epoch)
  }

  seal(): CommitTrace {
    const epoch = this.#opened()
    this.#open = null
    const { SpanKind } = this.#api
    const commit = epoch.span.isRecording()
      ? this.#tracer.startSpan(
          `commit ${this.#applicationId}`,
          {
            kind: SpanKind.CLIENT,
            attributes: { ...this.#common, ...operation('commit', 'settle'), 'millrace.epoch': this.#epochs },
          },
          epoch.context,
        )
      : null
    const spans = commit === null ? [epoch.span] : [commit, epoch.span]
    return {
      committed: (records, bytes) => {
        for (const span of spans) {
          span.setAttributes({ 'messaging.batch.message_count': records, 'millrace.store.bytes': bytes })
          span.end()
        }
      },
      failed: (error) => {
        for (const span of spans) this.#fail(span, error)
      },
    }
  }

  lost(error: unknown): void {
    const epoch = this.#open
    if (epoch === null) return
    this.#open = null
    if (error === null && epoch.records === 0) epoch.span.end()
    else this.#fail(epoch.span, error ?? new MillraceError('STREAM_CLOSED', 'dropped before its commit: the records are processed again'))
  }

  #opened(): OpenEpoch {
    if (this.#open !== null) return this.#open
    this.#epochs++
    const { ROOT_CONTEXT, trace } = this.#api
    const attributes = { ...this.#common, 'millrace.epoch': this.#epochs }
    const span = this.#tracer.startSpan(`epoch ${this.#applicationId}`, { attributes, root: true }, ROOT_CONTEXT)
    this.#open = { span, context: trace.setSpan(ROOT_CONTEXT, span), records: 0 }
    return this.#open
  }

  #fail(span: Span, error: unknown): void {
    endFailed(this.#api, span, error)
  }
}

class WatchedBatch implements BatchTrace {
  readonly #api: Api
  readonly #span: Span
  readonly #context: Context
  readonly #epoch: OpenEpoch
  readonly #linked = new Set<string>()

  constructor(api: Api, span: Span, context: Context, epoch: OpenEpoch) {
    this.#api = api
    this.#span = span
    this.#context = context
    this.#epoch = epoch
  }

  within<T>(run: () => T): T {
    return this.#api.context.with(this.#context, run)
  }

  record({ topic, partition }: TopicPartition, { offset, headers }: LogRecord): void {
    if (headers.length === 0 || this.#linked.size >= LIMITS.spanLinksMax) return
    const parent = textOf(headers, 'traceparent')
    if (parent === null || this.#linked.has(parent)) return
    const context = this.#contextOf(parent, textOf(headers, 'tracestate'))
    if (context === null) return
    this.#linked.add(parent)
    const link: Link = {
      context,
      attributes: {
        'messaging.destination.name': topic,
        'messaging.destination.partition.id': String(partition),
        'messaging.kafka.offset': offset,
      },
    }
    this.#span.addLink(link)
  }

  end(records: number, deadLetters: number): void {
    this.#epoch.records += records
    this.#span.setAttributes({ 'messaging.batch.message_count': records, 'millrace.dead_letters': deadLetters })
    this.#span.end()
  }

  failed(error: unknown): void {
    endFailed(this.#api, this.#span, error)
  }

  /** Null: it is none. */
  #contextOf(parent: string, state: string | null): SpanContext | null {
    const [, traceId, spanId, flags] = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/.exec(parent) ?? []
    if (traceId === undefined || spanId === undefined) return null
    const { createTraceState, isSpanContextValid, TraceFlags } = this.#api
    const context: SpanContext = {
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags as string, 16) & TraceFlags.SAMPLED,
      isRemote: true,
      ...(state === null ? {} : { traceState: createTraceState(state) }),
    }
    return isSpanContextValid(context) ? context : null
  }
}

function operation(name: string, type: string): Attributes {
  return { 'messaging.operation.name': name, 'messaging.operation.type': type }
}

function endFailed({ SpanStatusCode }: Api, span: Span, error: unknown): void {
  span.setAttribute('error.type', error instanceof MillraceError ? error.code : error instanceof Error ? error.name : '_OTHER')
  span.setStatus({ code: SpanStatusCode.ERROR, message: explain(error) })
  span.end()
}

/** The last one of that name, as `headersToText` has it. */
function textOf(headers: Headers, name: string): string | null {
  for (let i = headers.length - 1; i >= 0; i--) {
    const [found, value] = headers[i] as Headers[number]
    if (found === name) return value === null ? null : value.toString('latin1')
  }
  return null
}
