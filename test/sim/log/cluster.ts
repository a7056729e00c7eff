// The brokers: topics with their leaders, transactions, groups. What clients ask of it goes through network.ts; the nemesis and the
// checks look at it directly.
import { MillraceError } from '../../../src/base/errors.ts'
import type { World } from '../../../src/base/ports.ts'
import type { TopicPartition } from '../../../src/base/record.ts'
import type { TopicSpec } from '../../../src/log/log.ts'
import type { Chance } from '../chance.ts'
import { type GroupTimes, SimGroup } from './groups.ts'
import { CALM, type Network, type Times, type Weather } from './network.ts'
import { news, type SimPartition, simPartition } from './partition.ts'
import { TransactionCoordinator } from './transactions.ts'

export interface ClusterOptions {
  readonly world: World
  readonly chance: Chance
  readonly brokers: number
  readonly times: Times & GroupTimes
  readonly transactionTimeoutMs: number
  /** 2: KIP-890. */
  readonly transactionVersion: 1 | 2
  /** The longest way of a transaction's marker, in good and in bad weather. */
  readonly markerMsMax: readonly [calm: number, bad: number]
  readonly trace: ((who: string, what: string) => void) | null
}

export const NO_LEADER = -1

export class Cluster {
  readonly network: Network
  readonly options: ClusterOptions
  readonly topics = new Map<string, readonly SimPartition[]>()
  readonly groups = new Map<string, SimGroup>()
  readonly transactions: TransactionCoordinator
  /** Until then nobody coordinates. */
  #transactionsAwayUntil = 0
  #groupsAwayUntil = 0
  /** After every transaction that has ended everywhere. */
  onTransaction: (id: string, commit: boolean) => void = () => {}

  constructor(options: ClusterOptions) {
    const { world, chance, trace } = options
    this.options = options
    this.network = { world, chance, times: options.times, weather: CALM, onRequest: () => 0, onArrival: () => null, trace }
    this.transactions = new TransactionCoordinator({
      world,
      chance,
      trace,
      version: options.transactionVersion,
      transactionTimeoutMs: options.transactionTimeoutMs,
      markerMsMax: () => options.markerMsMax[this.network.weather === CALM ? 0 : 1],
      reachable: (partition) => (partition === null ? !this.groupsAway : partition.leader !== NO_LEADER) && !this.transactionsAway,
      onEnded: (id, commit) => this.onTransaction(id, commit),
    })
  }

  get #now(): number {
    return this.options.world.clock.monotonic()
  }

  get transactionsAway(): boolean {
    return this.#now < this.#transactionsAwayUntil
  }

  get groupsAway(): boolean {
    return this.#now < this.#groupsAwayUntil
  }

  setWeather(weather: Weather): void {
    this.network.weather = weather
  }

  createTopics(specs: readonly TopicSpec[]): void {
    for (const { name, partitions } of specs) {
      const there = this.topics.get(name)
      if (there !== undefined && there.length !== partitions)
        throw new MillraceError(
          'STREAM_TOPIC_MISMATCH',
          `topic ${name} has ${there.length} partitions, but ${partitions} are wanted; delete it or ask for ${there.length}`,
        )
    }
    for (const { name, partitions } of specs) {
      if (this.topics.has(name)) continue
      const leader = (partition: number): number => (this.topics.size + partition) % this.options.brokers
      this.topics.set(
        name,
        Array.from({ length: partitions }, (_, partition) => simPartition(name, partition, leader(partition))),
      )
    }
  }

  deleteTopics(names: readonly string[]): void {
    for (const name of names) {
      for (const partition of this.topics.get(name) ?? []) {
        partition.deleted = true
        news(partition)
      }
      this.topics.delete(name)
    }
  }

  partition({ topic, partition }: TopicPartition): SimPartition | undefined {
    return this.topics.get(topic)?.[partition]
  }

  group(id: string): SimGroup {
    let group = this.groups.get(id)
    if (group === undefined) {
      const { world, chance, times, trace } = this.options
      group = new SimGroup(id, world, chance, times, trace)
      this.groups.set(id, group)
    }
    return group
  }

  // --- what can happen to brokers ------------------------------------------------------------------------------------

  moveTransactions(forMs: number): void {
    this.#transactionsAwayUntil = this.#now + forMs
  }

  moveGroups(forMs: number): void {
    this.#groupsAwayUntil = this.#now + forMs
    for (const group of this.groups.values()) group.moved()
  }

  /** All partitions of a broker are led by nobody for a while, then by the next one. */
  moveLeaders(broker: number, forMs: number): void {
    const led = [...this.topics.values()].flat().filter((partition) => partition.leader === broker)
    for (const partition of led) {
      partition.leader = NO_LEADER
      news(partition)
    }
    this.options.world.timers.after(forMs, () => {
      for (const partition of led) partition.leader = (broker + 1) % this.options.brokers
    })
  }
}
