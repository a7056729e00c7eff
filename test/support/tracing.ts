// An OpenTelemetry provider whose spans a test reads back, and a context manager, as an application would register them.
import { AsyncLocalStorage } from 'node:async_hooks'
import * as api from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base'

export interface Recording {
  spans(): readonly ReadableSpan[]
  /** Those whose names begin so. */
  named(prefix: string): readonly ReadableSpan[]
}

/** Registered for this process, until `unregister`. */
export function register(sampler?: Sampler, more: readonly SpanProcessor[] = []): Recording {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter), ...more],
    ...(sampler === undefined ? {} : { sampler }),
  })
  api.trace.setGlobalTracerProvider(provider)
  api.context.setGlobalContextManager(new AsyncContexts())
  const spans = (): readonly ReadableSpan[] => exporter.getFinishedSpans()
  return { spans, named: (prefix) => spans().filter(({ name }) => name.startsWith(prefix)) }
}

export function unregister(): void {
  api.trace.disable()
  api.context.disable()
}

class AsyncContexts implements api.ContextManager {
  readonly #storage = new AsyncLocalStorage<api.Context>()

  active(): api.Context {
    return this.#storage.getStore() ?? api.ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: api.Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => run.apply(thisArg, args))
  }

  bind<T>(_context: api.Context, target: T): T {
    return target
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#storage.disable()
    return this
  }
}
