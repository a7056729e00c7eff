// Lowers the nodes of a topology to plan nodes: cuts it where records must change partitions and puts internal topics there.
// What each cut looks like is in the head of plan-types.ts.
import type { AnySerde } from '../serde/serde.ts'
import { demandOf } from './demand.ts'
import { addDraft, addedStore, addInternalSource, connect, type DraftNode, type DraftPlan, internalTopicName } from './draft-plan.ts'
import type {
  BufferingJoinNode,
  ForeignKeyJoinNode,
  GlobalTableNode,
  HoldUntilNode,
  Node,
  SinkNode,
  SourceNode,
  StoreSpec,
  StreamJoinNode,
  TableAggregateNode,
  TableGroupNode,
  Topology,
} from './node.ts'
import type { ChangeSink, ForeignKeyLeft, ForeignKeyRight, ParkingSink, PlanSink, PlanSource, RepartitionSink } from './plan-types.ts'
import { PRESENT, RAW } from './raw.ts'
import { addBlockKey } from './lower-block.ts'
import { addHoldUntil } from './lower-hold.ts'
import { sourceFedTables } from './source-fed.ts'
import { sameSource, sourcesOf } from './validate.ts'

export function lower(topology: Topology, applicationId: string, blockKey: DraftPlan['blockKey']): DraftPlan {
  const { nodes } = topology
  const specs = nodes.flatMap((node) => ('stores' in node ? node.stores : (storeOf(node) ?? [])))
  const storeNames = new Set(specs.map((spec) => spec.name.toLowerCase()))
  const plan: DraftPlan = {
    applicationId,
    nodes: [],
    topics: [],
    names: new Set(),
    storeNames,
    internal: new Set(),
    shared: topology.optimize === true ? new Map() : null,
    blockKey,
  }
  const { sendsOld, kept } = demandOf(nodes)
  const fed = topology.optimize === true && blockKey === null ? sourceFedTables(nodes, sendsOld) : new Map<number, string>()
  const made = new Map<number, DraftNode>()
  const sources: { readonly node: SourceNode; readonly draft: DraftNode }[] = []
  const histories = new Map<StoreSpec, StoreSpec>()

  function parentsOf(node: Node): DraftNode[] {
    return node.parents.map((id) => made.get(id) as DraftNode)
  }

  /** The stores that the node owns: the user's, or the plan's where the table must be kept. */
  function storesOf(node: Node): readonly StoreSpec[] {
    if ('stores' in node) return [...node.stores, ...node.stores.filter(isVersioned).map(historyOf)]
    const spec = storeOf(node)
    if (spec !== null && isVersioned(spec)) return [spec, historyOf(spec)]
    if (spec !== null) return [fedStore(node, spec)]
    return kept.has(node.id) ? [fedStore(node, addedStore(plan, node.name, node.key, node.value, true))] : []
  }

  function fedStore(node: Node, spec: StoreSpec): StoreSpec {
    const source = fed.get(node.id)
    return source === undefined ? spec : Object.freeze({ ...spec, changelog: false, source })
  }

  /** Beside a versioned store there is one for older versions; whoever has the one has the other. */
  function historyOf(spec: StoreSpec): StoreSpec {
    const { persistent, changelog, generated } = spec
    const made =
      histories.get(spec) ?? Object.freeze({ ...addedStore(plan, `${spec.name}-history`, RAW, RAW, generated), persistent, changelog })
    histories.set(spec, made)
    return made
  }

  function add(
    node: Exclude<Node, SourceNode | TableGroupNode | GlobalTableNode | ForeignKeyJoinNode | HoldUntilNode | { kind: 'repartition' }>,
    parents: DraftNode[],
  ): DraftNode {
    return addDraft(plan, node.name, {
      operator: node.kind === 'sink' ? sinkOf(node) : node,
      key: node.key,
      value: node.value,
      parents,
      sendsOld: sendsOld.has(node.id),
      stores: storesOf(node),
    })
  }

  function sinkOf(node: SinkNode): PlanSink {
    if (typeof node.topic === 'string') return node
    return Object.freeze({ ...node, inputs: node.loop ? [] : sourcesOf(nodes).map(({ topics }) => topics), internal: plan.internal })
  }

  function addSource(node: SourceNode): DraftNode {
    const twin = sources.find((source) => sameSource(source.node, node))
    if (twin !== undefined) return twin.draft
    const { topics, key, value, timestamp, onError } = node
    // What a store is made of again from the topic's beginning must have begun there, whoever else reads the topic with it.
    const feeds = nodes.some(({ id, parents }) => fed.has(id) && sameSource(nodes[parents[0] as number] as SourceNode, node))
    const offsetReset = feeds ? 'earliest' : node.offsetReset
    const read = { kind: 'source', topics, internal: false, carries: 'records', key, value, timestamp, offsetReset } as const
    const operator: PlanSource = onError === undefined ? read : { ...read, onError }
    const source = addDraft(plan, node.name, { operator: Object.freeze(operator), key, value, parents: [], sendsOld: false, stores: [] })
    const draft = addBlockKey(plan, source, topics instanceof RegExp || topics.length !== 1)
    sources.push({ node, draft })
    return draft
  }

  /** Each parent whose key may have changed goes through a topic of its own. */
  function repartitioned(node: Node, store: StoreSpec, parents: readonly DraftNode[]): DraftNode[] {
    return parents.map((parent, i) => {
      if (nodes[node.parents[i] as number]?.keyChanged !== true) return parent
      const name = parents.length === 1 ? store.name : `${store.name}-${i + 1}`
      return addRepartition(plan, parent, { name, generated: store.generated, value: valueFor(plan, node, parent) })
    })
  }

  /** A stream joined with itself goes through one topic. A side that puts out what has no match needs records without a key too. */
  function joinSides(node: StreamJoinNode, [left, right]: readonly [DraftNode, DraftNode]): DraftNode[] {
    const { name, generated } = node.store
    const [leftChanged, rightChanged] = node.parents.map((id) => nodes[id]?.keyChanged === true)
    const through = (parent: DraftNode, side: string, keepsNullKeys: boolean): DraftNode =>
      addRepartition(plan, parent, { name: `${name}-${side}`, generated, keepsNullKeys })
    const newLeft = leftChanged ? through(left, 'left', node.type !== 'inner') : left
    if (left === right) return [newLeft, newLeft]
    return [newLeft, rightChanged ? through(right, 'right', node.type === 'outer') : right]
  }

  for (const node of nodes) {
    const parents = parentsOf(node)
    const [first] = parents as [DraftNode]
    switch (node.kind) {
      case 'source':
        made.set(node.id, addSource(node))
        break
      case 'repartition':
        made.set(
          node.id,
          addRepartition(plan, first, {
            name: node.topicName ?? node.name,
            generated: node.topicName === null,
            partitions: node.partitions,
            shares: false,
          }),
        )
        break
      case 'tableGroup':
        // Its aggregates read it, each through a topic of its own.
        made.set(node.id, first)
        break
      case 'tableAggregate':
        made.set(node.id, add(node, [addTableGroup(plan, nodes[node.parents[0] as number] as TableGroupNode, node, first)]))
        break
      case 'foreignKeyJoin':
        made.set(node.id, addForeignKeyJoin(plan, node, parents, nodes, storesOf(node), sendsOld.has(node.id)))
        break
      case 'bufferingJoin':
        made.set(node.id, add(node, [streamOfBufferingJoin(plan, nodes, node, first), ...parents.slice(1)]))
        break
      case 'holdUntil': {
        const changed = nodes[node.parents[0] as number]?.keyChanged === true
        const stream = changed
          ? addRepartition(plan, first, { name: node.store.name, generated: node.store.generated, keepsNullKeys: true })
          : first
        made.set(node.id, addHoldUntil(plan, node, stream, parents.slice(1)))
        break
      }
      case 'aggregate':
      case 'toTable':
      case 'lastWriteWins':
      case 'dedupe':
      case 'mapAsync':
      case 'streamTableJoin': {
        // Without an order by key it does not matter where a record is called for.
        const changed = nodes[node.parents[0] as number]?.keyChanged === true && !(node.kind === 'mapAsync' && !node.calling.ordered)
        const spec = storeOf(node)
        const name = spec?.name ?? node.name
        // A left join puts a record without a key out with no row (KIP-962), so it must get through. So do events without a key.
        const keepsNullKeys =
          node.kind === 'dedupe' || node.kind === 'mapAsync' || (node.kind === 'streamTableJoin' && node.type === 'left')
        made.set(
          node.id,
          add(
            node,
            changed
              ? [
                  addRepartition(plan, first, {
                    name,
                    generated: spec?.generated ?? true,
                    keepsNullKeys,
                    value: valueFor(plan, node, first),
                  }),
                  ...parents.slice(1),
                ]
              : parents,
          ),
        )
        break
      }
      case 'globalTable':
        break
      case 'streamGlobalJoin':
        made.set(node.id, add(node, [first]))
        break
      case 'streamJoin':
        made.set(node.id, add(node, joinSides(node, parents as [DraftNode, DraftNode])))
        break
      case 'windowAggregate':
      case 'cogroup':
        made.set(node.id, add(node, repartitioned(node, node.store, parents)))
        break
      default:
        made.set(node.id, add(node, parents))
    }
  }
  return plan
}

function isVersioned(spec: StoreSpec): boolean {
  return spec.form?.kind === 'versioned'
}

function storeOf(node: Node): StoreSpec | null {
  return 'store' in node ? node.store : null
}

/** By foreign key the records go to where the rows are; by key only when the key may have changed. */
function streamOfBufferingJoin(plan: DraftPlan, nodes: readonly Node[], join: BufferingJoinNode, stream: DraftNode): DraftNode {
  const { name, generated } = join.store
  if (join.on === null) {
    const changed = nodes[join.parents[0] as number]?.keyChanged === true
    return changed ? addRepartition(plan, stream, { name, generated }) : stream
  }
  const topic = internalTopicName(plan, name, 'repartition')
  const operator: ParkingSink = { kind: 'parkingSink', topic, join }
  const writer = addDraft(plan, `${name}-repartition-sink`, {
    operator: Object.freeze(operator),
    key: RAW,
    value: RAW,
    parents: [stream],
    sendsOld: false,
    stores: [],
  })
  const reader = addInternalSource(plan, `${name}-repartition-source`, topic, 'bytes', RAW, RAW)
  connect(plan, { name: topic, partitions: null, generated, writer, reader })
  return reader
}

/** A count looks at no value, so none is written, sent and read again for it. `onLate` is shown the value, and `lateTo` takes it;
 *  others may share the topic. */
function valueFor(plan: DraftPlan, node: Node, parent: DraftNode): AnySerde {
  if (plan.shared !== null) return parent.value
  const counts =
    (node.kind === 'aggregate' || (node.kind === 'windowAggregate' && node.onLate === null && !node.sinksLate)) && node.form === 'count'
  return counts ? PRESENT : parent.value
}

interface Repartition {
  readonly name: string
  readonly generated: boolean
  /** What the user asked for; left out: as many as its readers need. */
  readonly partitions?: number | null
  readonly keepsNullKeys?: boolean
  /** Left out: the parent's. */
  readonly value?: AnySerde
  /** Others may read it too, where repartition topics are merged; left out: true. */
  readonly shares?: boolean
}

/** Writes below `parent`, reads in another sub-topology; answers with the reader. */
function addRepartition(plan: DraftPlan, parent: DraftNode, repartition: Repartition): DraftNode {
  const { name, generated, partitions = null, keepsNullKeys = false, value = parent.value, shares = true } = repartition
  const share = `${parent.order} ${keepsNullKeys}`
  const known = shares ? plan.shared?.get(share) : undefined
  if (known !== undefined) return known
  const topic = internalTopicName(plan, name, 'repartition')
  const { key } = parent
  const operator: RepartitionSink = { kind: 'repartitionSink', topic, key, value, keepsNullKeys }
  const writer = addDraft(plan, `${name}-repartition-sink`, {
    operator: Object.freeze(operator),
    key,
    value,
    parents: [parent],
    sendsOld: false,
    stores: [],
  })
  const reader = addInternalSource(plan, `${name}-repartition-source`, topic, 'records', key, value)
  connect(plan, { name: topic, partitions, generated, writer, reader })
  const below = addBlockKey(plan, reader, generated)
  if (shares) plan.shared?.set(share, below)
  return below
}

function addTableGroup(plan: DraftPlan, group: TableGroupNode, aggregate: TableAggregateNode, table: DraftNode): DraftNode {
  const { name } = aggregate.store
  const topic = internalTopicName(plan, name, 'repartition')
  const { key, value } = group
  const operator: ChangeSink = { kind: 'changeSink', topic, group }
  const writer = addDraft(plan, `${name}-repartition-sink`, {
    operator: Object.freeze(operator),
    key,
    value,
    parents: [table],
    sendsOld: false,
    stores: [],
  })
  const reader = addInternalSource(plan, `${name}-repartition-source`, topic, 'changes', key, value)
  connect(plan, { name: topic, partitions: null, generated: aggregate.store.generated, writer, reader })
  return addBlockKey(plan, reader, aggregate.store.generated)
}

/** Both halves and the two topics between them; answers with the left half, which puts out the results. */
function addForeignKeyJoin(
  plan: DraftPlan,
  join: ForeignKeyJoinNode,
  parents: readonly DraftNode[],
  nodes: readonly Node[],
  results: readonly StoreSpec[],
  sendsOld: boolean,
): DraftNode {
  const [left, right] = parents as [DraftNode, DraftNode]
  const [leftTable, rightTable] = join.parents.map((id) => nodes[id]) as [Node, Node]
  const name = join.store?.name ?? join.name
  const generated = join.store === null
  const subscriptionTopic = internalTopicName(plan, `${name}-subscription`, 'repartition')
  const responseTopic = internalTopicName(plan, `${name}-response`, 'repartition')
  const foreignKeySerde = rightTable.key
  const rightValue = rightTable.value

  const subscriptions = addInternalSource(plan, `${name}-subscription-source`, subscriptionTopic, 'bytes', RAW, RAW)
  const rightState = addedStore(plan, `${name}-subscriptions`, RAW, RAW, generated)
  const rightHalf: ForeignKeyRight = { kind: 'foreignKeyRight', join, responseTopic, state: rightState, foreignKeySerde, rightValue }
  const rightNode = addDraft(plan, `${name}-right`, {
    operator: Object.freeze(rightHalf),
    key: RAW,
    value: RAW,
    parents: [right, subscriptions],
    sendsOld: false,
    stores: [rightState],
  })

  const responses = addInternalSource(plan, `${name}-response-source`, responseTopic, 'bytes', RAW, RAW)
  const leftState = addedStore(plan, `${name}-foreign-keys`, leftTable.key, RAW, generated)
  const leftHalf: ForeignKeyLeft = {
    kind: 'foreignKeyLeft',
    join,
    subscriptionTopic,
    state: leftState,
    foreignKeySerde,
    leftKey: leftTable.key,
    leftValue: leftTable.value,
    rightValue,
  }
  const leftNode = addDraft(plan, join.name, {
    operator: Object.freeze(leftHalf),
    key: join.key,
    value: join.value,
    parents: [left, responses],
    sendsOld,
    stores: [leftState, ...results],
  })
  connect(plan, { name: subscriptionTopic, partitions: null, generated, writer: leftNode, reader: subscriptions })
  connect(plan, { name: responseTopic, partitions: null, generated, writer: rightNode, reader: responses })
  return leftNode
}
