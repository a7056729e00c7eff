// Relays in this process for tests: on a log whose client can die, or lose an answer, at any step of a relay.
import { type ErrorCode, MillraceError } from '../../src/base/errors.ts'
import type { World } from '../../src/base/ports.ts'
import type { LogRecord } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import type { MemoryLog } from '../../src/log/memory.ts'
import { Relay, type RelayOptions } from '../../src/outbox/relay.ts'
import type { OutboxSource } from '../../src/outbox/source.ts'

/** Whoever waits does not wait: every pause is over at the next turn. */
export function hastyWorld(): World {
  const world = systemWorld()
  return {
    ...world,
    timers: {
      ...world.timers,
      after: (_ms, run) => {
        const soon = setImmediate(run)
        return () => clearImmediate(soon)
      },
    },
  }
}

export interface Fault {
  /** Which call of the writer, counted from 0. */
  readonly step: number
  readonly when: 'before' | 'after'
  /** die: the process is gone. doubt: an answer is lost, the relay goes on. */
  readonly how: 'die' | 'doubt'
}

const STEPS = ['init', 'append', 'seal', 'flush', 'commit'] as const

/** The same log, whose writers fail at these steps. `onStep` is called before each. */
export function faultyLog(client: MemoryLog, faults: readonly Fault[], onStep: (step: number) => void): Log {
  let step = -1
  const strike = (when: Fault['when'], at: number): void => {
    const fault = faults.find((one) => one.step === at && one.when === when)
    if (fault === undefined) return
    if (fault.how === 'die') {
      client.crash()
      throw new MillraceError('STREAM_CLOSED', 'the process is gone')
    }
    throw new MillraceError('STREAM_DOUBT', 'an answer was lost')
  }
  const wrap = (writer: Writer): Writer =>
    new Proxy(writer, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown
        if (typeof value !== 'function') return value
        const call = value.bind(target) as (...words: unknown[]) => unknown
        if (!STEPS.includes(name as (typeof STEPS)[number])) return call
        return (...words: unknown[]): unknown => {
          const at = ++step
          onStep(at)
          strike('before', at)
          const answer = call(...words)
          if (answer instanceof Promise)
            return answer.then((said: unknown) => {
              strike('after', at)
              return said
            })
          strike('after', at)
          return answer
        }
      },
    })
  return new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (name === 'writer') return (options: Parameters<Log['writer']>[0]) => wrap(target.writer(options))
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** The same log, as a broker that refuses a transaction with this value in it, and does not say for which record. */
export function refusing(client: MemoryLog, value: string, code: ErrorCode): Log {
  const wrap = (writer: Writer): Writer => {
    let bad = false
    const init = async (): Promise<void> => {
      bad = false
      await writer.init()
    }
    const append: Writer['append'] = (topic, partition, timestamp, key, bytes, headers) => {
      bad ||= String(bytes) === value
      writer.append(topic, partition, timestamp, key, bytes, headers)
    }
    const flush: Writer['flush'] = async () => {
      if (bad) throw new MillraceError(code, 'Produce: no such record', { disposition: 'stop' })
      return await writer.flush()
    }
    return withCalls(writer, { init, append, flush })
  }
  return withCalls(client as Log, { writer: (options) => wrap(client.writer(options)) })
}

function withCalls<T extends object>(target: T, calls: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value = (Reflect.get(calls, name) ?? Reflect.get(target, name, target)) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export function relayOf(log: Log, source: OutboxSource, options: Partial<RelayOptions> = {}): Relay {
  const world = options.world ?? hastyWorld()
  return new Relay({
    name: 'outbox',
    log,
    source,
    world,
    rowsPerSecond: 1_000_000,
    pollMs: 20,
    createPartitions: 3,
    once: true,
    ...options,
  })
}

/** The source, and before each read of it somebody writes. */
export function written(source: OutboxSource, write: () => Promise<unknown> | void): OutboxSource {
  return withCalls(source, {
    async read(position, rowsMax) {
      await write()
      return await source.read(position, rowsMax)
    },
  })
}

/** What a committed reader sees of a topic, each partition in its order. */
export async function recordsOf(log: Log, topic: string): Promise<LogRecord[][]> {
  const info = (await log.topics([topic])).get(topic)
  const places = Array.from({ length: info?.partitions ?? 0 }, (_, partition) => ({ topic, partition }))
  const ends = await log.offsets(places, 'latest')
  const found = places.map((): LogRecord[] => [])
  const reader = log.reader()
  const open = new Set(places.filter(({ partition }) => (ends[partition] as number) > 0).map(({ partition }) => partition))
  reader.assign([...open].map((partition) => ({ topic, partition, offset: 0 })))
  while (open.size > 0)
    for (const { partition, records, position } of await reader.poll(100)) {
      found[partition]?.push(...records)
      if (position >= (ends[partition] as number)) open.delete(partition)
    }
  await reader.close()
  return found
}
