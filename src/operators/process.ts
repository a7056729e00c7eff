// `process` and `processValues`: runs a user's processor. The supplier is called once, when the task opens.
//
// Invariants
// 1. A processor is synchronous. What it does for a record is undone when it throws; an error below it can't be caught away (Life).
// 2. What is forwarded without headers keeps those of the record that is being processed; in a timer there are none.
// 3. `processValues` forwards under the key it was given: by its bytes, when it is not the same object.
import { durationMs } from '../base/duration.ts'
import { MillraceError } from '../base/errors.ts'
import { type Headers, headersFromText, headersToText } from '../base/record.ts'
import { isRowSerde } from '../serde/window-rows.ts'
import type { ProcessNode } from '../topology/node.ts'
import type { Processor, ProcessorContext, ProcessorRecord } from '../topology/processor.ts'
import { keyToBytes } from './encode.ts'
import type { Operator, Push, Site } from './operator.ts'
import { Life } from './processor-life.ts'
import { storesOf } from './user-stores/stores-of.ts'

/** Logs take no later time. */
const TIMESTAMP_MAX = 2 ** 51

/** What a processor gets. Its headers are made into text when they are asked for, and are not copied by `{...record}`. */
class Incoming {
  readonly key: unknown
  readonly value: unknown
  readonly timestamp: number
  readonly #headers: Headers
  #text: Readonly<Record<string, string>> | undefined

  constructor(key: unknown, value: unknown, timestamp: number, headers: Headers) {
    this.key = key
    this.value = value
    this.timestamp = timestamp
    this.#headers = headers
  }

  get headers(): Readonly<Record<string, string>> {
    this.#text ??= headersToText(this.#headers)
    return this.#text
  }
}

export const process: Operator = (site) => {
  const { node, context, services } = site
  const operator = node.operator as ProcessNode
  const life = new Life(node.name)
  const children = outputsOf(site, operator)
  const keepsKey = operator.kind === 'processValues'
  const stores = storesOf(site, operator, life)
  let input: { readonly key: unknown } | null = null

  const checkKey = (key: unknown): void => {
    if (input === null || key === input.key) return
    const before = input.key === null ? null : keyToBytes(site, node.key, input.key)
    const now = key === null ? null : keyToBytes(site, node.key, key)
    if (before !== null && now !== null && before.equals(now)) return
    throw new MillraceError('STREAM_CALLBACK', `${node.name}: processValues must keep the key; use process to change it`)
  }

  const forward = (record: ProcessorRecord<unknown, unknown>, output?: string): void => {
    const push = output === undefined ? children.all : children.named.get(output)
    if (push === undefined) throw refused(`${node.name} has no output ${JSON.stringify(output)}; name it in outputs`)
    const { key = null, value = null, timestamp, headers } = checkRecord(node.name, record)
    if (keepsKey) checkKey(key)
    life.within('forward', () => {
      const before = context.headers
      if (headers !== undefined && !sameText(headers, before)) context.headers = headersFromText(headers)
      push(key, value, timestamp, undefined)
      context.headers = before
    })
  }

  const userContext: ProcessorContext<unknown, unknown, string> = {
    forward,
    store(handle: unknown): any {
      const name = typeof handle === 'string' ? handle : (handle as { readonly name?: unknown } | null)?.name
      const store = typeof name === 'string' ? stores.get(name) : undefined
      if (store !== undefined) return store
      throw refused(`${node.name}: the store ${JSON.stringify(name)} is not connected; name it in {stores: [...]}`)
    },
    schedule(interval, clock, run) {
      const intervalMs = durationMs(interval, `${node.name}: the interval of a timer`)
      if (intervalMs === 0) throw refused(`${node.name}: the interval of a timer must be longer than 0`)
      if (clock !== 'stream' && clock !== 'wall')
        throw refused(`${node.name}: a timer's clock is 'stream' or 'wall', not ${JSON.stringify(clock)}`)
      const fire = site.guard(synchronous(node.name, run))
      return services.schedule(node.name, intervalMs, clock, (timestamp) => {
        input = null
        life.run(timestamp, () => fire(timestamp))
      })
    },
    currentStreamTimeMs: () => context.streamTime,
    currentSystemTimeMs: () => services.nowMs(),
    recordMetadata: () => (context.offset < 0 ? null : { topic: context.topic, partition: context.partition, offset: context.offset }),
    commit: () => services.requestCommit(),
  }

  const processor = supplied(node.name, operator, userContext)
  const step = site.guard(synchronous(node.name, (record: Incoming) => processor.process(record)))
  return {
    inputs: [
      (key, value, timestamp) => {
        const outer = input
        input = { key }
        life.run(timestamp, () => step(new Incoming(key, value, timestamp, context.headers)))
        input = outer
      },
    ],
    reads: [
      operator.stores.flatMap(({ form, key }, i) => (form?.kind === 'window' || form?.kind === 'session' || isRowSerde(key) ? [] : [i])),
    ],
  }
}

/** A user's supplier that throws keeps the task from opening: no record can be blamed for it. */
function supplied(name: string, operator: ProcessNode, context: ProcessorContext<unknown, unknown, string>): Processor<unknown, unknown> {
  let processor: unknown
  try {
    processor = operator.supplier(context)
  } catch (error) {
    throw new MillraceError('STREAM_CALLBACK', `the supplier of ${name} threw`, { cause: error, disposition: 'stop' })
  }
  if (typeof processor === 'object' && processor !== null && 'process' in processor && typeof processor.process === 'function') {
    return processor as Processor<unknown, unknown>
  }
  throw new MillraceError('STREAM_CALLBACK', `the supplier of ${name} must return an object with process(record)`, { disposition: 'stop' })
}

function outputsOf(site: Site, { outputs }: ProcessNode): { readonly all: Push; readonly named: ReadonlyMap<string, Push> } {
  return { all: site.forward, named: new Map(outputs.map((name, i) => [name, site.forwardTo(i)])) }
}

function synchronous<A>(name: string, fn: (argument: A) => unknown): (argument: A) => void {
  return (argument) => {
    const result = fn(argument)
    if (!(result instanceof Promise)) return
    result.catch(() => {})
    throw refused(`${name}: process and timers must not be async; for what is slow write to a topic`)
  }
}

function checkRecord(name: string, record: ProcessorRecord<unknown, unknown>): ProcessorRecord<unknown, unknown> {
  if (typeof record !== 'object' || record === null) throw refused(`${name}: forward takes {key, value, timestamp}, not ${String(record)}`)
  if (Number.isSafeInteger(record.timestamp) && record.timestamp >= 0 && record.timestamp <= TIMESTAMP_MAX) return record
  throw refused(`${name}: forward takes a timestamp in epoch ms, not ${String(record.timestamp)}`)
}

function refused(message: string): MillraceError {
  return new MillraceError('STREAM_CALLBACK', message)
}

/** Handed on as they came: then the bytes are kept too, which text may not be able to say. */
function sameText(text: Readonly<Record<string, string>>, headers: Headers): boolean {
  const names = Object.keys(text)
  if (headers.length === 0 || names.length === 0) return headers.length === names.length
  const before = headersToText(headers)
  return names.length === Object.keys(before).length && names.every((name) => before[name] === text[name])
}
