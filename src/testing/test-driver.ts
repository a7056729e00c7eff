// TopologyTestDriver: a topology in a test, record by record, with several partitions, commits, crashes and a wall clock that the
// test moves. Kafka Streams' driver has one partition and no crashes.
import {
  type SessionReader,
  sessionReader,
  type StoreReader,
  storeReader,
  type VersionedReader,
  versionedReader,
  type WindowReader,
  windowReader,
} from '../app/store-reader.ts'
import { asBuffer, keyText } from '../base/bytes.ts'
import { type Duration, durationMs } from '../base/duration.ts'
import { MillraceError } from '../base/errors.ts'
import { headersFromText, headersToText } from '../base/record.ts'
import { pairWritings, prepareSerdes } from '../topology/prepare.ts'
import { deadLetterTopic } from '../runtime/dead-letter.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { Topology } from '../topology/node.ts'
import { readsTopic } from '../topology/pattern.ts'
import { type OnError, type Policy, resolveConfig } from '../config.ts'
import { lettersOf, settleLetter } from './letters.ts'
import { type OutputRecord, Session } from './session.ts'

export interface TestDriverOptions {
  /** Partitions of every external topic; default 1. */
  readonly partitions?: number
  /** Where the wall clock starts, epoch ms; default 0. */
  readonly startTime?: number
  readonly seed?: number
  /** As of a StreamProcessor. */
  readonly onError?: Policy | OnError
}

export interface TestRecord<K = any, V = any> {
  readonly key: K | null
  readonly value: V | null
  /** Default: the wall clock. */
  readonly timestamp?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Default: by murmur2 of the key. */
  readonly partition?: number
}

export interface ReadRecord<K = any, V = any> {
  readonly key: K | null
  readonly value: V | null
  readonly timestamp: number
  readonly headers: Readonly<Record<string, string>>
  readonly partition: number
}

export interface TestInput<K = any, V = any> {
  /** Carries each record through the whole topology before the next. */
  pipe(records: TestRecord<K, V> | readonly TestRecord<K, V>[]): Promise<void>
}

export interface TestOutput<K = any, V = any> {
  /** The next record not read yet. */
  read(): ReadRecord<K, V> | undefined
  readAll(): ReadRecord<K, V>[]
  /** All records so far as a table: the last value per key, tombstones removed. */
  readTable(): Map<K, V>
}

/** Rows as the topology sees them now, what is not committed yet among them; read as those of a running processor. */
export type TestStore<K = any, V = any> = StoreReader<K, V>

export class TopologyTestDriver {
  readonly #session: Session
  readonly #started: Promise<void>
  readonly #taken: OutputRecord[] = []
  readonly #readers = new Map<string, { next: number }>()
  readonly #letters: string
  /** Dead letters that were replayed or dropped. */
  readonly #settled = new Set<string>()

  constructor(topology: Topology, options: TestDriverOptions = {}) {
    this.#session = new Session(topology, {
      partitions: options.partitions ?? 1,
      startTimeMs: options.startTime ?? 0,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      policies: resolveConfig(topology.name, options.onError === undefined ? {} : { onError: options.onError }).onError,
    })
    this.#letters = deadLetterTopic(topology.name)
    this.#started = this.#session.start()
    this.#started.catch(() => {}) // thrown by the first call that awaits it
  }

  /** A source topic. Throws STREAM_USAGE for a topic that the topology does not read. */
  input<K = any, V = any>(topic: string): TestInput<K, V> {
    const source = this.#session.inputs().find((input) => readsTopic(input.topic, topic))
    if (source === undefined) throw new MillraceError('STREAM_USAGE', `the topology does not read ${topic}`)
    return {
      pipe: async (records) => {
        await this.#started
        await prepareSerdes(pairWritings(topic, source))
        for (const record of Array.isArray(records) ? (records as readonly TestRecord<K, V>[]) : [records as TestRecord<K, V>]) {
          await this.#session.pipe({
            topic,
            key: encode(source.key, record.key),
            value: encode(source.value, record.value),
            headers: headersFromText(record.headers),
            ...(record.timestamp === undefined ? {} : { timestamp: record.timestamp }),
            ...(record.partition === undefined ? {} : { partition: record.partition }),
          })
        }
      },
    }
  }

  /** An output topic; the dead-letter topic too, whose keys and values are read as text. */
  output<K = any, V = any>(topic: string): TestOutput<K, V> {
    const reader = this.#readers.get(topic) ?? { next: 0 }
    this.#readers.set(topic, reader)
    const all = (): ReadRecord<K, V>[] => this.#outputs(topic).map((record) => this.#decode(topic, record) as ReadRecord<K, V>)
    return {
      read: () => {
        const record = this.#outputs(topic)[reader.next]
        if (record === undefined) return undefined
        reader.next++
        return this.#decode(topic, record) as ReadRecord<K, V>
      },
      readAll: () => {
        const rest = all().slice(reader.next)
        reader.next += rest.length
        return rest
      },
      readTable: () => {
        const rows = new Map<string, OutputRecord>()
        for (const record of this.#outputs(topic)) {
          const key = record.key === null ? '' : `k${keyText(record.key)}`
          rows.delete(key)
          if (record.value !== null) rows.set(key, record)
        }
        return new Map([...rows.values()].map((raw) => this.#decode(topic, raw)).map(({ key, value }) => [key as K, value as V]))
      },
    }
  }

  store<K = any, V = any>(name: string): TestStore<K, V> {
    return storeReader(this.#session.holder(), name)
  }

  /** Windows of aggregates and of window stores. */
  windowStore<K = any, V = any>(name: string): WindowReader<K, V> {
    return windowReader(this.#session.holder(), name)
  }

  sessionStore<K = any, V = any>(name: string): SessionReader<K, V> {
    return sessionReader(this.#session.holder(), name)
  }

  /** Versioned tables and stores. */
  versionedStore<K = any, V = any>(name: string): VersionedReader<K, V> {
    return versionedReader(this.#session.holder(), name)
  }

  /** Moves the wall clock: timers, punctuators and timeouts that become due fire. */
  async advance(duration: Duration): Promise<void> {
    await this.#started
    await this.#session.advance(durationMs(duration, 'advance'))
  }

  /** Waits for calls of `mapAsync` that are under way, as far as they are answered in good time: a call that nothing in the process will
   *  answer is not waited for. `advance`, `commit` and `close` do so too. */
  async settle(): Promise<void> {
    await this.#started
    await this.#session.settle()
  }

  /** A barrier: what was processed so far survives a crash. */
  async commit(): Promise<void> {
    await this.#started
    await this.#session.commit()
  }

  /** Loses what is not committed, restores the stores from their changelogs, reads the uncommitted records again. */
  async crash(): Promise<void> {
    await this.#started
    await this.#session.crash()
  }

  /** Replays the dead letters so far, but those that were replayed or dropped, as `millrace dead-letter replay` does; with `choose` some of
   *  them. How many there were. */
  async replayDeadLetters(choose?: (letter: ReadRecord) => boolean): Promise<number> {
    return await this.#settle('replay', choose)
  }

  /** Gives them up: with `blockKey` their keys go on. */
  async dropDeadLetters(choose?: (letter: ReadRecord) => boolean): Promise<number> {
    return await this.#settle('drop', choose)
  }

  async #settle(act: 'replay' | 'drop', choose: (letter: ReadRecord) => boolean = () => true): Promise<number> {
    await this.#started
    let count = 0
    for (const letter of lettersOf(this.#outputs(this.#letters))) {
      if (this.#settled.has(letter.place) || !choose(this.#decode(this.#letters, letter))) continue
      this.#settled.add(letter.place)
      if (await settleLetter(this.#session, letter, act)) count++
    }
    return count
  }

  /** Counters of an operator ('stale', 'duplicate', 'dropped', ...) by its name in `describe`. */
  counters(operator: string): ReadonlyMap<string, number> {
    return this.#session.counters().get(operator) ?? new Map()
  }

  async close(): Promise<void> {
    await this.#started
    await this.#session.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #outputs(topic: string): OutputRecord[] {
    this.#taken.push(...this.#session.take()) // a processor may ask for a commit, too
    return [...this.#taken, ...this.#session.uncommitted()].filter((record) => record.topic === topic)
  }

  #decode(topic: string, record: OutputRecord): ReadRecord {
    const serdes = this.#session.outputSerdes(topic)
    const read = (serde: AnySerde | undefined, bytes: Buffer | null): unknown =>
      bytes === null ? null : serde === undefined ? bytes.toString('utf8') : serde.decode(bytes)
    return {
      key: read(serdes?.key, record.key),
      value: read(serdes?.value, record.value),
      timestamp: record.timestamp,
      headers: headersToText(record.headers),
      partition: record.partition,
    }
  }
}

function encode(serde: AnySerde, value: unknown): Buffer | null {
  return value === null || value === undefined ? null : asBuffer(serde.encode(value))
}
