// What `topology(name, (t) => ...)` hands out as `t`: the sources.
import { durationMs } from '../base/duration.ts'
import { json } from '../serde/json.ts'
import type { StoreHandle } from '../topology/processor.ts'
import { checkOnError, checkOptionalFunction, checkOptions, checkSerde, checkTopic, given, refuse } from './check.ts'
import { addNode, claimStore, type Draft, freshName, type Place } from './draft.ts'
import { GlobalTable } from './global-table.ts'
import { addStateful, addTable } from './place.ts'
import { declareStore, type StoreDeclaration } from './stores.ts'
import { Stream } from './stream.ts'
import { Table } from './table.ts'
import type { GlobalTableOptions, SourceOptions, TableSourceOptions } from './types.ts'

export class TopologyBuilder {
  readonly #draft: Draft

  constructor(draft: Draft) {
    this.#draft = draft
    Object.freeze(this)
  }

  /** The records of a topic, of several, or of all input topics that match. */
  stream<K = unknown, V = unknown>(topic: string | readonly string[] | RegExp, options?: SourceOptions<K, V>): Stream<K, V> {
    return new Stream(this.#source('stream', this.#topics(topic), checkOptions('stream', options, SOURCE_OPTIONS)))
  }

  /** A topic as a table: the latest value per key, in the order of the topic; null deletes. */
  table<K = unknown, V = unknown>(topic: string, options?: TableSourceOptions<K, V>): Table<K, V> {
    const known = checkOptions('table', options, [...SOURCE_OPTIONS, 'store', 'versioned', 'cache'])
    const source = this.#source('table', [checkTopic('table', topic)], known)
    const serdes = { key: source.node.key, value: source.node.value }
    const body = { kind: 'toTable', ...serdes, keyChanged: false, ofTopic: true } as const
    if (known.versioned === undefined)
      return new Table(addTable([source], 'table', known.store, serdes, (store) => ({ ...body, store }), known.cache))
    if (known.cache !== undefined) refuse('table', 'cache does not go with versioned: of a versioned table every update counts')
    const form = Object.freeze({ kind: 'versioned', retentionMs: durationMs(known.versioned, 'table: versioned') } as const)
    return new Table(
      addStateful([source], 'table', known.store, serdes, (store) => ({ ...body, store: Object.freeze({ ...store, form }) })),
    )
  }

  /** A topic that every process holds all of, for joins by any key. It is read to its end before anything is processed, and goes on being
   *  read; nothing orders it against the streams. */
  globalTable<K = unknown, V = unknown>(topic: string, options?: GlobalTableOptions<K, V>): GlobalTable<K, V> {
    const label = 'globalTable'
    if (typeof options === 'object' && options !== null && 'onError' in options)
      refuse(label, 'onError is not for a global table: a record that can not be decoded is left out and counted, in every process')
    const { key, value, store: wanted } = checkOptions(label, options, ['key', 'value', 'store'])
    const serdes = { key: checkSerde(label, 'key', key, json()), value: checkSerde(label, 'value', value, json()) }
    const { name, store } = claimStore(this.#draft, label, wanted, serdes.key, serdes.value)
    const body = { topic: checkTopic(label, topic), store: Object.freeze({ ...store, changelog: false }), keyChanged: false }
    return new GlobalTable(addNode(this.#draft, name, [], { kind: label, ...body, ...serdes }))
  }

  /** Declares a store for processors; what it answers goes into their `stores`. */
  store<S>(declaration: StoreDeclaration<S>): StoreHandle<S> {
    return declareStore(this.#draft, declaration)
  }

  #topics(topic: unknown): readonly string[] | RegExp {
    if (topic instanceof RegExp) {
      // With these flags `test` would remember where it stopped.
      if (topic.global || topic.sticky) refuse('stream', `the pattern ${topic} must not have the flags g or y`)
      return topic
    }
    if (typeof topic === 'string') return [checkTopic('stream', topic)]
    if (!Array.isArray(topic)) refuse('stream', `the topic must be a name, an array of names or a RegExp, not ${given(topic)}`)
    const topics = (topic as readonly unknown[]).map((name) => checkTopic('stream', name))
    if (topics.length === 0) refuse('stream', 'name at least one topic')
    const twice = topics.find((name, i) => topics.indexOf(name) !== i)
    if (twice !== undefined) refuse('stream', `the topic "${twice}" is named twice`)
    return topics
  }

  #source<K, V>(operator: string, topics: readonly string[] | RegExp, options: Partial<SourceOptions<K, V>>): Place {
    const { key, value, timestamp, offsetReset = null, onError } = options
    if (offsetReset !== null && offsetReset !== 'earliest' && offsetReset !== 'latest' && offsetReset !== 'none') {
      refuse(operator, `offsetReset must be 'earliest', 'latest' or 'none', not ${JSON.stringify(offsetReset)}`)
    }
    return addNode(this.#draft, freshName(this.#draft, 'source'), [], {
      kind: 'source',
      topics: topics instanceof RegExp ? topics : Object.freeze(topics),
      timestamp: checkOptionalFunction(operator, 'timestamp', timestamp),
      offsetReset,
      key: checkSerde(operator, 'key', key, json()),
      value: checkSerde(operator, 'value', value, json()),
      keyChanged: false,
      ...checkOnError(operator, onError),
    })
  }
}

const SOURCE_OPTIONS = ['key', 'value', 'timestamp', 'offsetReset', 'onError'] as const
