// A foreign-key join on several partitions with every internal message in the hands of the test: which comes next, and whether it
// comes again. `Mutant` takes one rule of the protocol away, by what is done to the messages and rows on their way.
import { keyBytes } from '../../src/base/bytes.ts'
import { decodeResponse, encodeResponse, subscriptionKey } from '../../src/operators/foreign-key-messages.ts'
import { decodeState, NO_STATE } from '../../src/operators/foreign-key-state.ts'
import { json, type NodeSpec, type Sent, store, Task, text } from './harness.ts'

export type Step =
  | { readonly kind: 'left'; readonly key: string; readonly foreignKey: string | null; readonly at: number }
  | { readonly kind: 'leftDelete'; readonly key: string; readonly at: number }
  | { readonly kind: 'right'; readonly key: string; readonly present: boolean; readonly at: number }
  | { readonly kind: 'deliver'; readonly which: number; readonly again: boolean }

export interface Mutant {
  readonly response?: 'anySequence' | 'anyCounter' | 'dropAbsent'
  readonly subscription?: 'anySequence'
}

export interface LeftValue {
  readonly foreignKey: string | null
  readonly n: number
}

const joiner = (left: LeftValue, right: string | null, key: string): string => `${key}:${left.n}/${right ?? 'none'}`

/** What both worlds share: the histories, and the join of the final tables. */
export class Tables {
  readonly left = new Map<string, LeftValue>()
  readonly right = new Map<string, string>()
  #n = 0

  /** The new left value, or null for a delete. */
  leftChange(step: Step & { kind: 'left' | 'leftDelete' }): LeftValue | null {
    if (step.kind === 'leftDelete') {
      this.left.delete(step.key)
      return null
    }
    const value = { foreignKey: step.foreignKey, n: ++this.#n }
    this.left.set(step.key, value)
    return value
  }

  rightChange(step: Step & { kind: 'right' }): string | null {
    const value = `R${++this.#n}`
    if (step.present) this.right.set(step.key, value)
    else this.right.delete(step.key)
    return step.present ? value : null
  }

  join(type: 'inner' | 'left'): Map<string, string> {
    const result = new Map<string, string>()
    for (const [key, value] of this.left) {
      const right = value.foreignKey === null ? undefined : this.right.get(value.foreignKey)
      if (right !== undefined || type === 'left') result.set(key, joiner(value, right ?? null, key))
    }
    return result
  }
}

function leftNodes(type: 'inner' | 'left'): NodeSpec[] {
  const state = store('state')
  return [
    { name: 'left', operator: { kind: 'source', topics: ['left'], carries: 'records', key: text, value: json } },
    { name: 'responses', operator: { kind: 'source', topics: ['responses'], carries: 'bytes', key: text, value: text } },
    { name: 'lefts', operator: { kind: 'toTable' }, parents: ['left'], stores: [store('lefts', json)] },
    {
      name: 'join',
      operator: {
        kind: 'foreignKeyLeft',
        subscriptionTopic: 'subscriptions',
        state,
        foreignKeySerde: text,
        leftKey: text,
        leftValue: json,
        rightValue: text,
        join: { type, foreignKey: (value: LeftValue) => value.foreignKey, joiner },
      },
      parents: ['lefts', 'responses'],
      stores: [state, store('joined')],
      sendsOld: true,
    },
  ]
}

function rightNodes(): NodeSpec[] {
  return [
    { name: 'right', operator: { kind: 'source', topics: ['right'], carries: 'records', key: text, value: text } },
    { name: 'subscriptions', operator: { kind: 'source', topics: ['subscriptions'], carries: 'bytes', key: text, value: text } },
    { name: 'rights', operator: { kind: 'toTable' }, parents: ['right'], stores: [store('rights')] },
    {
      name: 'ask',
      operator: { kind: 'foreignKeyRight', responseTopic: 'responses', state: store('asked'), foreignKeySerde: text, rightValue: text },
      parents: ['rights', 'subscriptions'],
      stores: [store('asked')],
    },
  ]
}

const partitionOf = (key: Buffer, partitions: number): number => key.reduce((sum, byte) => sum + byte, 0) % partitions

export class ForeignKeyWorld {
  readonly tables = new Tables()
  readonly #type: 'inner' | 'left'
  readonly #mutant: Mutant
  readonly #lefts: Task[]
  readonly #rights: Task[]
  readonly #inFlight: Sent[] = []
  readonly #downstream = new Map<string, string>()
  oldsWereRight = true

  constructor(type: 'inner' | 'left', leftPartitions: number, rightPartitions: number, mutant: Mutant = {}) {
    this.#type = type
    this.#mutant = mutant
    const send = (sent: Sent): unknown => this.#inFlight.push(sent)
    const tap = (node: string, key: unknown, value: unknown, old: unknown): void => {
      if (node !== 'join') return
      if ((this.#downstream.get(key as string) ?? null) !== old) this.oldsWereRight = false
      if (value === null) this.#downstream.delete(key as string)
      else this.#downstream.set(key as string, value as string)
    }
    this.#lefts = Array.from({ length: leftPartitions }, (_, partition) => new Task(leftNodes(type), { partition, send, tap }))
    this.#rights = Array.from({ length: rightPartitions }, (_, partition) => new Task(rightNodes(), { partition, send }))
  }

  run(step: Step): void {
    if (step.kind === 'deliver') {
      if (this.#inFlight.length > 0) this.#deliver(step.which % this.#inFlight.length, step.again)
      return
    }
    const key = text.encode(step.key) as Buffer
    if (step.kind === 'right') {
      const value = this.tables.rightChange(step)
      const task = this.#rights[partitionOf(key, this.#rights.length)]!
      task.receive('right', { key, value: value === null ? null : (text.encode(value) as Buffer), timestamp: step.at })
      return
    }
    const value = this.tables.leftChange(step)
    const task = this.#lefts[partitionOf(key, this.#lefts.length)]!
    task.receive('left', { key, value: value === null ? null : (json.encode(value) as Buffer), timestamp: step.at })
  }

  /** Delivers all there is; `picks` decides the order as long as it lasts. */
  drain(picks: readonly number[]): void {
    for (let i = 0; this.#inFlight.length > 0; i++) {
      if (i > 100_000) throw new Error('the join never comes to rest')
      this.#deliver((picks[i] ?? 0) % this.#inFlight.length, false)
    }
  }

  #deliver(which: number, again: boolean): void {
    const sent = again ? this.#inFlight[which]! : this.#inFlight.splice(which, 1)[0]!
    const partition = sent.partition ?? partitionOf(sent.key!, this.#rights.length)
    const task = sent.topic === 'responses' ? this.#lefts[partition]! : this.#rights[partition]!
    const value = this.#tampered(task, sent)
    if (value !== null) task.receive(sent.topic, { key: sent.key, value, timestamp: sent.timestamp })
  }

  #tampered(task: Task, sent: Sent): Buffer | null {
    const { response, subscription } = this.#mutant
    if (sent.topic === 'subscriptions' && subscription === 'anySequence') {
      const rows = task.stores.get('asked')!
      const rowKey = subscriptionKey(sent.key!, sent.value!.subarray(11))
      const row = rows.getBytes(rowKey)
      if (row !== null) rows.putBytes(rowKey, Buffer.concat([Buffer.alloc(6), row.value.subarray(6)]), 0)
    }
    if (sent.topic !== 'responses' || response === undefined) return sent.value
    const message = decodeResponse(sent.value!)
    const row = task.stores.get('state')!.getBytes(sent.key!)
    const state = row === null ? NO_STATE : decodeState(row.value)
    if (response === 'dropAbsent') return message.value === null ? null : sent.value
    if (response === 'anyCounter') return encodeResponse({ ...message, counter: state.counter + 1 })
    return state.foreignKey === null
      ? sent.value
      : encodeResponse({ ...message, sequence: state.sequence, foreignKey: state.foreignKey, counter: state.counter + 1 })
  }

  /** The result store of all partitions. */
  result(): Map<string, string> {
    const rows = this.#lefts.flatMap((task) => [...task.stores.get('joined')!.rows])
    return new Map(rows.map(([key, row]) => [keyBytes(key).toString('utf8'), row.value.toString('utf8')]))
  }

  downstream(): Map<string, string> {
    return this.#downstream
  }

  expected(): Map<string, string> {
    return this.tables.join(this.#type)
  }

  subscriptions(): number {
    return this.#rights.flatMap((task) => [...task.stores.get('asked')!.rows.values()]).filter((row) => row.value.length === 10).length
  }

  leftRowsWithForeignKey(): number {
    return [...this.tables.left.values()].filter((value) => value.foreignKey !== null).length
  }
}
