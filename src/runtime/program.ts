// Compiles a sub-topology into the program of one task: a flat set of functions, children first, so that a record's way through the
// operators is plain calls. Knows no queue, no log and no epoch.
//
// Invariants
// 1. `forward` runs children depth first, in the declared order.
// 2. What an operator sends is staged; the task hands it to the writer when the whole record has gone through, or drops it.
import { MillraceError, wrap } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { partitionOf } from '../base/murmur2.ts'
import { type Headers, NO_HEADERS, recordBytes } from '../base/record.ts'
import { operators } from '../operators/index.ts'
import type {
  Counter,
  Instance,
  Push,
  RecordContext,
  RowsReader,
  Site,
  StoreView,
  TableGetter,
  TaskServices,
} from '../operators/operator.ts'
import type { Overlay } from '../state/overlay.ts'
import { onErrorOf } from '../topology/on-error.ts'
import type { PlanNode, PlanSource, SubTopology } from '../topology/plan-types.ts'
import { Blame } from './blame.ts'
import { Dues } from './dues.ts'
import { RecordCache } from './record-cache.ts'
import { Suspend } from './suspend.ts'
import { untouchedNodes } from './untouched.ts'
import { TypedView } from './view.ts'

/** A record on its way out. */
export interface Staged {
  readonly topic: string
  readonly partition: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
}

export interface SourceEntry {
  readonly node: PlanNode
  readonly source: PlanSource
  readonly push: Push
  /** Called for a record that was undone and given up. */
  readonly undone: readonly Push[]
  /** What keeps keys waiting behind dead letters; null: nothing does. */
  readonly block: Instance['block'] | null
  /** Nobody below looks at the values of its records, which the application itself has written. */
  readonly unread: boolean
  /** Overlays whose rows this source's records read by their own key bytes: prefetched a batch at a time. */
  readonly reads: readonly Overlay[]
  /** Overlays whose rows they read by keys made of theirs and of the timestamp. */
  readonly ahead: readonly { readonly overlay: Overlay; rows(key: Buffer, timestamp: number): readonly Buffer[] }[]
}

export interface Program {
  readonly context: RecordContext
  /** By position in `SubTopology.sources`. */
  readonly sources: readonly SourceEntry[]
  readonly staged: Staged[]
  readonly dues: Dues
  readonly blame: Blame
  /** In the order in which one fills the next. */
  readonly caches: readonly RecordCache[]
  /** By node name, then counter name. */
  readonly counters: ReadonlyMap<string, ReadonlyMap<string, Counter>>
  /** Likewise. */
  readonly gauges: ReadonlyMap<string, ReadonlyMap<string, Counter>>
}

export interface ProgramOptions {
  readonly subTopology: SubTopology
  readonly partition: number
  readonly overlay: (store: string) => Overlay
  /** May throw a Suspend for a topic never seen. */
  readonly partitionsOf: (topic: string) => number
  readonly services: TaskServices
  /** The rows of a global table, by its store. */
  readonly global: (store: string) => TableGetter
  readonly globalRows: (store: string) => RowsReader
}

/** The context while a timer runs. */
export const NO_RECORD = {
  topic: '',
  offset: -1,
  key: null,
  keyBytes: null,
  keySerde: null,
  value: null,
  valueBytes: null,
  valueSerde: null,
} satisfies Partial<RecordContext>

export function newContext(): RecordContext {
  return {
    topic: '',
    partition: 0,
    offset: -1,
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

const nothing: Push = () => {}

export function compile(options: ProgramOptions): Program {
  const { subTopology, partition, overlay, partitionsOf, services, global, globalRows } = options
  const { nodes } = subTopology
  const context = newContext()
  const staged: Staged[] = []
  const dues = new Dues()
  const blame = new Blame()
  const caches: RecordCache[] = []
  const cacheOf = new Map<number, RecordCache>()
  const counters = new Map<string, Map<string, Counter>>()
  const gauges = new Map<string, Map<string, Counter>>()
  const instances: (Instance | undefined)[] = new Array(nodes.length)
  const untouched = untouchedNodes(nodes)

  const inputOf = (child: { readonly index: number; readonly input: number }): Push => {
    const push = instances[child.index]?.inputs[child.input]
    if (push === undefined) throw new Error(`${nodes[child.index]?.name} has no input ${child.input}`)
    return push
  }

  /** Children are compiled first, so their caches come behind. */
  const cached = (site: Site, index: number, bytesMax: number): Site => {
    const cache = new RecordCache(site, site.forward, bytesMax, dues)
    caches.unshift(cache)
    cacheOf.set(index, cache)
    return { ...site, forward: cache.push }
  }

  for (let index = nodes.length - 1; index >= 0; index--) {
    const node = nodes[index] as PlanNode
    const children = node.children.map(inputOf)
    const counted = new Map<string, Counter>()
    const gauged = new Map<string, Counter>()
    counters.set(node.name, counted)
    gauges.set(node.name, gauged)
    const views = node.stores.map((spec): StoreView => new TypedView(spec, overlay(spec.name), context))
    let site: Site = {
      node,
      context,
      partition,
      forward: fanOut(children),
      forwardTo: (child) => children[child] ?? nothing,
      store: (i) => views[i] as StoreView,
      getter: (input) => getterOf(instances, node, input, nodes, cacheOf),
      send(topic, to, key, value, timestamp) {
        const count = partitionsOf(topic)
        if (count === 0) throw new MillraceError('STREAM_TOPIC_MISSING', `${node.name}: topic ${topic} does not exist`)
        const target = to ?? (key === null ? partition % count : partitionOf(key, count))
        const bytes = recordBytes(key, value, context.headers)
        if (bytes > LIMITS.recordBytesMax) {
          throw new MillraceError(
            'STREAM_RECORD_TOO_LARGE',
            `${node.name}: a record of ${bytes} bytes for ${topic} is over ${LIMITS.recordBytesMax}`,
          )
        }
        staged.push({ topic, partition: target, timestamp, key, value, headers: context.headers })
      },
      partitionsOf,
      services,
      global,
      globalRows,
      due: (step) => dues.add(node.name, step),
      guard: (fn) => guarded(node.name, fn),
      counter: (name) => named(counted, name),
      gauge: (name) => named(gauged, name),
      untouched: untouched[index] === true,
      undecodable(source, error) {
        blame.note(error, source.onError ?? 'deserialization')
        return error
      },
      misdated(source, error) {
        blame.note(error, source.onError ?? null)
        return error
      },
    }
    const cacheBytes = node.stores[0]?.cacheBytes
    if (cacheBytes !== undefined) site = cached(site, index, cacheBytes)
    const onError = onErrorOf(node.operator)
    if (node.operator.kind === 'source') instances[index] = { inputs: [site.forward] }
    else if (onError === null) instances[index] = operators[node.operator.kind](site)
    else instances[index] = blame.instance(operators[node.operator.kind](blame.site(site, onError)), onError)
  }

  const sources = subTopology.sources.map((index): SourceEntry => {
    const node = nodes[index] as PlanNode
    const push = instances[index]?.inputs[0] as Push
    const undone = node.children.flatMap((child) => instances[child.index]?.undone?.[child.input] ?? [])
    const below = node.children.find(({ index, input }) => input === 0 && instances[index]?.block !== undefined)
    const block = below === undefined ? null : instances[below.index]?.block
    const source = node.operator as PlanSource
    // What others have written may be undecodable, and is a dead letter then.
    const unread = source.internal && node.children.every((child) => instances[child.index]?.unread?.[child.input] === true)
    return { node, source, push, undone, block, unread, ...readsBelow(index, nodes, instances, overlay) }
  })
  return { context, sources, staged, dues, blame, caches, counters, gauges }
}

function named(counters: Map<string, Counter>, name: string): Counter {
  const counter = counters.get(name) ?? { n: 0 }
  counters.set(name, counter)
  return counter
}

function fanOut(children: readonly Push[]): Push {
  const [first, second] = children
  if (first === undefined) return nothing
  if (second === undefined) return first
  if (children.length === 2) {
    return (key, value, timestamp, old) => {
      first(key, value, timestamp, old)
      second(key, value, timestamp, old)
    }
  }
  return (key, value, timestamp, old) => {
    for (const child of children) child(key, value, timestamp, old)
  }
}

/** Looked up at the call: a node is compiled before its parents. */
function getterOf(
  instances: readonly (Instance | undefined)[],
  node: PlanNode,
  input: number,
  nodes: readonly PlanNode[],
  cacheOf: ReadonlyMap<number, RecordCache>,
): TableGetter {
  const parent = node.parents[input]
  let found: TableGetter | undefined
  return (key, asOf) => {
    if (found === undefined) {
      found = parent === undefined ? undefined : instances[parent]?.getter
      if (found === undefined)
        throw new Error(`${node.name}: input ${input} (${parent === undefined ? 'none' : nodes[parent]?.name}) is no table`)
      const cache = parent !== undefined && MAKES_TABLE.has(node.operator.kind) ? cacheOf.get(parent) : undefined
      if (cache !== undefined) found = cache.gone(found)
    }
    return found(key, asOf)
  }
}

function guarded<F extends (...args: any[]) => any>(name: string, fn: F): F {
  return ((...args: Parameters<F>): ReturnType<F> => {
    try {
      return fn(...args)
    } catch (error) {
      if (error instanceof Suspend) throw error
      throw wrap(error, 'STREAM_CALLBACK', `the callback of ${name} threw`)
    }
  }) as F
}

const KEEPS_KEY = new Set([
  'blockKey',
  'filter',
  'filterNot',
  'mapValues',
  'flatMapValues',
  'peek',
  'merge',
  'toStream',
  'branch',
  'split',
  'toTable',
  'tableFilter',
  'tableFilterNot',
  'tableMapValues',
  'lastWriteWins',
  'dedupe',
  'aggregate',
  'tableAggregate',
  'tableJoin',
  'streamTableJoin',
  'processValues',
  'streamJoin',
  'streamGlobalJoin',
  'source',
])

/** What makes a table of tables looks up rows that have gone on; others, as a stream's join, the latest. */
const MAKES_TABLE = new Set([
  'tableFilter',
  'tableFilterNot',
  'tableMapValues',
  'suppress',
  'tableJoin',
  'foreignKeyLeft',
  'foreignKeyRight',
])

const LOOKS_UP = new Set(['tableJoin', 'streamTableJoin', 'bufferingJoin'])

/** The stores that records of a source read by their own key: along the ways that keep the key. */
function readsBelow(
  source: number,
  nodes: readonly PlanNode[],
  instances: readonly (Instance | undefined)[],
  overlay: (store: string) => Overlay,
): Pick<SourceEntry, 'reads' | 'ahead'> {
  const { timestamp } = (nodes[source] as PlanNode).operator as PlanSource
  const keySerde = (nodes[source] as PlanNode).key
  const found = new Set<Overlay>()
  const made = new Map<number, SourceEntry['ahead'][number]>()
  const seen = new Set<string>()
  const visit = (index: number): void => {
    const node = nodes[index] as PlanNode
    for (const child of node.children) {
      const id = `${child.index}/${child.input}`
      if (seen.has(id)) continue
      seen.add(id)
      const below = nodes[child.index] as PlanNode
      for (const store of instances[child.index]?.reads?.[child.input] ?? []) {
        const spec = below.stores[store]
        if (spec !== undefined && spec.key === keySerde) found.add(overlay(spec.name))
      }
      const ahead = instances[child.index]?.ahead
      const own = below.stores[0]
      // What an extractor will say is not known yet.
      if (ahead?.key === keySerde && own !== undefined && timestamp === null)
        made.set(child.index, { overlay: overlay(own.name), rows: ahead.rows })
      // A join reads the other side's table too: the stores of its other parents.
      if (LOOKS_UP.has(below.operator.kind)) {
        for (const parent of below.parents)
          for (const spec of nodes[parent]?.stores ?? []) if (spec.key === keySerde) found.add(overlay(spec.name))
      }
      if (KEEPS_KEY.has(below.operator.kind)) visit(child.index)
    }
  }
  visit(source)
  return { reads: [...found], ahead: [...made.values()] }
}
