// A small synchronous stand-in for the runtime: operators wired by hand over stores in Maps, what they send captured.
// `alone` places one operator with its tables given; `task` wires several nodes as a sub-topology on one partition.
import { asBuffer, keyBytes, keyText } from '../../src/base/bytes.ts'
import { type Headers, NO_HEADERS } from '../../src/base/record.ts'
import { decodeChange, operators } from '../../src/operators/index.ts'
import type { Counter, Instance, Push, RecordContext, Row, Site, StoreView, TaskServices } from '../../src/operators/operator.ts'
import type { AnySerde, Serde } from '../../src/serde/serde.ts'
import type { ScanRange } from '../../src/state/store.ts'
import type { StoreSpec } from '../../src/topology/node.ts'
import type { PlanNode, PlanOperator } from '../../src/topology/plan-types.ts'

export const text: Serde<string> = {
  name: 'string',
  encode: (value) => Buffer.from(value, 'utf8'),
  decode: (bytes) => asBuffer(bytes).toString('utf8'),
}
export const json: Serde<any> = {
  name: 'json',
  encode: (value) => Buffer.from(JSON.stringify(value), 'utf8'),
  decode: (bytes) => JSON.parse(asBuffer(bytes).toString('utf8')),
}

export interface Sent {
  readonly topic: string
  readonly partition: number | null
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
}

/** [key, value, timestamp, old] */
export type Forwarded = readonly [key: unknown, value: unknown, timestamp: number, old: unknown]

export class MapStore implements StoreView {
  readonly name: string
  readonly rows = new Map<string, Row<Buffer>>()
  readonly #spec: StoreSpec
  readonly #context: RecordContext

  constructor(spec: StoreSpec, context: RecordContext) {
    this.name = spec.name
    this.#spec = spec
    this.#context = context
  }

  get(key: any): Row<any> | null {
    const row = this.getBytes(this.encodeKey(key))
    return row === null ? null : { value: this.decodeValue(row.value), timestamp: row.timestamp }
  }
  put(key: any, value: any, timestamp: number): void {
    if (value === null || value === undefined) throw new Error('a null value is never stored')
    this.putBytes(this.encodeKey(key), this.encodeValue(value), timestamp)
  }
  delete(key: any, timestamp: number): void {
    this.putBytes(this.encodeKey(key), null, timestamp)
  }
  getBytes(key: Buffer): Row<Buffer> | null {
    return this.rows.get(keyText(key)) ?? null
  }
  putBytes(key: Buffer, value: Buffer | null, timestamp: number): void {
    if (value === null) this.rows.delete(keyText(key))
    else this.rows.set(keyText(key), { value: Buffer.from(value), timestamp })
  }
  first(region: number, below: Buffer): Buffer | null {
    const texts = [...this.rows.keys()].filter((key) => key.charCodeAt(0) === region && key < keyText(below)).sort()
    return texts[0] === undefined ? null : keyBytes(texts[0])
  }
  prefixBytes(prefix: Buffer): (readonly [Buffer, Row<Buffer>])[] {
    const begin = keyText(prefix)
    const found = [...this.rows].filter(([key]) => key.startsWith(begin)).sort(([a], [b]) => (a < b ? -1 : 1))
    return found.map(([key, row]) => [Buffer.from(key, 'latin1'), row] as const)
  }
  *scan({ from, to, toExclusive = false, reverse = false }: ScanRange): Generator<readonly [Buffer, Row<Buffer>], void, undefined> {
    const texts = [...this.rows.keys()].filter((text) => {
      if (from !== null && text < keyText(from)) return false
      return to === null || text < keyText(to) || (!toExclusive && text === keyText(to))
    })
    texts.sort()
    if (reverse) texts.reverse()
    const found = texts.map((text) => [Buffer.from(text, 'latin1'), this.rows.get(text)!] as const)
    yield* found
  }
  encodeKey(key: any): Buffer {
    const context = this.#context
    if (key === context.key && context.keySerde === this.#spec.key && context.keyBytes !== null) return context.keyBytes
    return asBuffer(this.#spec.key.encode(key))
  }
  decodeKey(bytes: Buffer): any {
    return this.#spec.key.decode(bytes)
  }
  encodeValue(value: any): Buffer {
    return asBuffer(this.#spec.value.encode(value))
  }
  decodeValue(bytes: Buffer): any {
    return this.#spec.value.decode(bytes)
  }
}

export function store(name: string, value: AnySerde = text, key: AnySerde = text): StoreSpec {
  return { name, key, value, generated: false, persistent: true, changelog: true }
}

/** The fields of an operator that matter to it; the rest is filled in. */
export type Fields = { readonly kind: PlanOperator['kind'] } & Record<string, unknown>

export interface NodeSpec {
  readonly name: string
  readonly operator: Fields
  readonly parents?: readonly string[]
  readonly key?: AnySerde
  readonly value?: AnySerde
  readonly stores?: readonly StoreSpec[]
  readonly sendsOld?: boolean
}

function planNodes(specs: readonly NodeSpec[]): PlanNode[] {
  return specs.map((spec, index) => {
    const { key = text, value = text, parents = [], stores = [], sendsOld = false } = spec
    const base = { id: index, name: spec.name, parents: [], key, value, keyChanged: false }
    const children = specs.flatMap((child, at) =>
      (child.parents ?? []).flatMap((parent, input) => (parent === spec.name ? [{ index: at, input }] : [])),
    )
    return {
      index,
      name: spec.name,
      operator: { ...base, ...spec.operator } as unknown as PlanOperator,
      key,
      value,
      children,
      parents: parents.map((parent) => specs.findIndex((other) => other.name === parent)),
      sendsOld,
      stores,
    }
  })
}

export function newContext(): RecordContext {
  return {
    topic: 'in',
    partition: 0,
    offset: 0,
    timestamp: 0,
    recordTimestamp: 0,
    headers: NO_HEADERS,
    key: null,
    keyBytes: null,
    keySerde: null,
    value: null,
    valueBytes: null,
    valueSerde: null,
    streamTime: -1,
  }
}

export interface TaskOptions {
  readonly partition?: number
  readonly partitionsOf?: (topic: string) => number
  readonly send: (sent: Sent) => unknown
  /** At least once. */
  readonly repeats?: boolean
  /** Sees what each node forwards. */
  readonly tap?: (node: string, key: unknown, value: unknown, old: unknown, timestamp: number) => void
}

export interface Incoming {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers?: Headers
}

export class Task {
  readonly context = newContext()
  readonly stores = new Map<string, MapStore>()
  readonly counters = new Map<string, Counter>()
  readonly instances: Instance[] = []
  readonly #nodes: readonly PlanNode[]

  constructor(specs: readonly NodeSpec[], options: TaskOptions) {
    this.#nodes = planNodes(specs)
    for (const spec of this.#nodes.flatMap((node) => node.stores)) this.stores.set(spec.name, new MapStore(spec, this.context))
    for (const node of this.#nodes.toReversed()) {
      const children = node.children.map(({ index, input }) => this.instances[index]!.inputs[input]!)
      const forward: Push = (key, value, timestamp, old) => {
        options.tap?.(node.name, key, value, old, timestamp)
        for (const child of children) child(key, value, timestamp, old)
      }
      const site = siteOf(node, this.context, options, this.counters, {
        forward,
        forwardTo: (child) => children[child]!,
        store: (i) => this.stores.get(node.stores[i]!.name)!,
        getter: (input) => (key, asOf) => {
          const getter = this.instances[node.parents[input]!]?.getter
          if (getter === undefined) throw new Error(`${node.name}: input ${input} is no table`)
          return getter(key, asOf)
        },
      })
      this.instances[node.index] = node.operator.kind === 'source' ? { inputs: [forward] } : operators[node.operator.kind](site)
    }
  }

  /** One record through all sources of its topic, as the runtime does it. */
  receive(topic: string, record: Incoming): void {
    const { context } = this
    context.streamTime = Math.max(context.streamTime, record.timestamp)
    Object.assign(context, { topic, offset: context.offset + 1, timestamp: record.timestamp, headers: record.headers ?? NO_HEADERS })
    context.keyBytes = record.key
    context.valueBytes = record.value
    let read = false
    for (const node of this.#nodes) {
      const source = node.operator
      if (source.kind !== 'source' || !(source.topics as readonly string[]).includes(topic)) continue
      read = true
      const push = this.instances[node.index]!.inputs[0]!
      context.keySerde = source.carries === 'bytes' ? null : source.key
      context.valueSerde = source.carries === 'records' ? source.value : null
      context.key = source.carries === 'bytes' || record.key === null ? record.key : source.key.decode(record.key)
      if (source.carries === 'changes') {
        const change = decodeChange(record.value!)
        const half = (bytes: Buffer | null): unknown => (bytes === null ? null : source.value.decode(bytes))
        push(context.key, half(change.value), record.timestamp, half(change.old))
      } else {
        context.value = source.carries === 'bytes' || record.value === null ? record.value : source.value.decode(record.value)
        push(context.key, context.value, record.timestamp, undefined)
      }
    }
    if (!read) throw new Error(`nobody reads ${topic}`)
  }

  count(node: string, counter: string): number {
    return this.counters.get(`${node}.${counter}`)?.n ?? 0
  }
}

type Wiring = Pick<Site, 'forward' | 'forwardTo' | 'store' | 'getter'>

export const noServices: TaskServices = {
  nowMs: () => 0,
  steadyMs: () => 0,
  monotonicMs: () => 0,
  schedule: () => ({ cancel() {} }),
  requestCommit() {},
  wake() {},
  giveUp() {},
  pauseInput() {
    throw new Error('paused')
  },
  piece: () => 0,
  underWay: new Set(),
  rouse() {},
  chance: () => 0,
}

function siteOf(node: PlanNode, context: RecordContext, options: TaskOptions, counters: Map<string, Counter>, wiring: Wiring): Site {
  return {
    node,
    context,
    partition: options.partition ?? 0,
    ...wiring,
    send: (topic, partition, key, value, timestamp) => options.send({ topic, partition, key, value, timestamp }),
    partitionsOf: options.partitionsOf ?? (() => 1),
    global: () => () => null,
    globalRows: () => ({ get: () => null, scan: () => [].values() }),
    services: { ...noServices, repeats: options.repeats === true },
    due: (step) => ({ now: () => void step(1000, false), at() {} }),
    guard: (fn) => fn,
    counter(name) {
      const id = `${node.name}.${name}`
      const counter = counters.get(id) ?? { n: 0 }
      counters.set(id, counter)
      return counter
    },
    gauge: () => ({ n: 0 }),
    undecodable: (_, error) => error,
    misdated: (_, error) => error,
    untouched: false,
  }
}

export interface Alone {
  readonly instance: Instance
  readonly context: RecordContext
  /** What was forwarded, to all children or (split) to child i. */
  readonly out: Forwarded[]
  readonly outTo: Forwarded[][]
  readonly sent: Sent[]
  readonly stores: readonly MapStore[]
  /** The parents' tables, by input: what their getters answer. */
  readonly tables: readonly Map<unknown, Row<unknown>>[]
  push(input: number, key: unknown, value: unknown, timestamp: number, old?: unknown): void
  /** Pushes as a table would: keeps the row for the getter, gives the old one. */
  change(input: number, key: unknown, value: unknown, timestamp: number): void
  /** What was forwarded since the last call. */
  take(): Forwarded[]
  count(counter: string): number
}

export function alone(
  operator: Fields,
  spec: Partial<NodeSpec> & { partition?: number; partitionsOf?: TaskOptions['partitionsOf']; inputs?: number; repeats?: boolean } = {},
): Alone {
  const { inputs = 2 } = spec
  const name = spec.name ?? 'it'
  const [node] = planNodes([{ ...spec, name, operator }]) as [PlanNode]
  const parents = Array.from({ length: inputs }, (_, i) => i)
  const placed: PlanNode = { ...node, parents }
  const context = newContext()
  const counters = new Map<string, Counter>()
  const out: Forwarded[] = []
  const outTo: Forwarded[][] = []
  const sent: Sent[] = []
  const tables = parents.map(() => new Map<unknown, Row<unknown>>())
  const stores = node.stores.map((storeSpec) => new MapStore(storeSpec, context))
  const options: TaskOptions = {
    send: (record) => sent.push(record),
    partition: spec.partition ?? 0,
    repeats: spec.repeats === true,
    ...(spec.partitionsOf ? { partitionsOf: spec.partitionsOf } : {}),
  }
  const site = siteOf(placed, context, options, counters, {
    forward: (...record) => out.push(record),
    forwardTo: (child) => {
      const list: Forwarded[] = []
      outTo[child] = list
      return (...record) => list.push(record)
    },
    store: (i) => stores[i]!,
    getter: (input) => (key) => tables[input]!.get(key) ?? null,
  })
  if (operator.kind === 'source') throw new Error('a source is no operator')
  const instance = operators[operator.kind](site)
  const push: Alone['push'] = (input, key, value, timestamp, old) => {
    context.streamTime = Math.max(context.streamTime, timestamp)
    Object.assign(context, { key, value, timestamp, keyBytes: null, keySerde: null, valueBytes: null, valueSerde: null })
    instance.inputs[input]!(key, value, timestamp, old)
  }
  return {
    instance,
    context,
    out,
    outTo,
    sent,
    stores,
    tables,
    push,
    change(input, key, value, timestamp) {
      const old = tables[input]!.get(key)?.value ?? null
      if (value === null) tables[input]!.delete(key)
      else tables[input]!.set(key, { value, timestamp })
      push(input, key, value, timestamp, old)
    },
    take: () => out.splice(0),
    count: (counter) => counters.get(`${name}.${counter}`)?.n ?? 0,
  }
}
