// The relay: rows of an outbox to their topics, until it is closed or, with `once`, until all is relayed that was there when it began.
//
// 1. Records and the position behind them are of one transaction of the log: what was relayed is known wherever it is, nothing is relayed twice.
// 2. One relay of a name at a time. A new one fences the older one, which ends when it meets the new one's name in the position. Fenced without
//    that (a broker has given up on its transaction) it goes on.
// 3. After any failure of the log it begins again with what is committed there; after one of the database, with its own position.
// 4. A row that cannot be relayed ends it, by its name, behind the commit of all rows before it. A log that refuses a transaction does not say for
//    which row: then fewer go at a time, until it is one.
// 5. What may pass is waited for, with growing pauses, and told each time.
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { partitionOf } from '../base/murmur2.ts'
import type { World } from '../base/ports.ts'
import type { Log, Writer } from '../log/log.ts'
import { appendProgress, type Progress, positionTopic, readProgress } from './position.ts'
import { type OutboxRow, type OutboxSource, type Portion, unfit } from './source.ts'
import { type Waiting, waiting } from './waiting.ts'

export interface RelayOptions {
  readonly name: string
  readonly log: Log
  readonly source: OutboxSource
  readonly world: World
  readonly rowsPerSecond: number
  readonly pollMs: number
  /** Of topics that are missing and made; null: they are refused. */
  readonly createPartitions: number | null
  readonly once: boolean
}

export interface OutboxStatus {
  /** By this relay. */
  readonly rows: number
  /** By all relays of its name. */
  readonly rowsEver: number
  readonly commits: number
  /** Failures that passed, or are waited for. */
  readonly failures: number
  /** Whether the last look at the table found nothing new. */
  readonly caughtUp: boolean
  /** What is waited for; null: nothing. */
  readonly waitsFor: string | null
  /** How old the last row was when it was relayed, by its timestamp; null: none was, or the table has no timestamps. */
  readonly lagMs: number | null
  /** When the table was last read without a failure, epoch ms; null: it was not. */
  readonly lookedAtMs: number | null
}

const PORTIONS_PER_SECOND = 10
/** Too long for a topic, a time too far from the broker's. */
const REFUSALS: readonly string[] = ['STREAM_RECORD_TOO_LARGE', 'STREAM_BROKER']

export class Relay {
  readonly #o: RelayOptions
  readonly #writer: Writer
  readonly #self: string
  readonly #partitions = new Map<string, number>()
  /** At a time; fewer behind a refusal. */
  #rowsMax: number
  readonly #running: Promise<void>
  /** Null: not opened, or lost. */
  #source: string | null = null
  /** What is committed; null: to be read. */
  #progress: Progress | null = null
  /** From where the source goes on: may be further than what is committed, past nothing. */
  #position: string | null = null
  #claimed = false
  #keyless = 0
  readonly #pause: Waiting
  #freeMs = 0
  #stopping = false
  #counts = { rows: 0, commits: 0, failures: 0 }
  #caughtUp = false
  #waitsFor: string | null = null
  #lagMs: number | null = null
  #lookedAtMs: number | null = null
  #toldMs: number
  #toldRows = 0

  constructor(options: RelayOptions) {
    this.#o = options
    const { log, name, rowsPerSecond, world } = options
    this.#self = world.random.hex(8)
    this.#pause = waiting(world)
    this.#writer = log.writer({ transactionalId: `${name}-relay`, guarantee: 'exactly_once' })
    this.#rowsMax = Math.min(LIMITS.outboxRowsAtOnce, Math.max(1, Math.floor(rowsPerSecond / PORTIONS_PER_SECOND)))
    this.#toldMs = world.clock.monotonic()
    this.#running = this.#run()
    this.#running.catch(() => {}) // told to whoever awaits `ended`
  }

  get ended(): Promise<void> {
    return this.#running
  }

  status(): OutboxStatus {
    return {
      ...this.#counts,
      rowsEver: this.#progress?.rows ?? 0,
      caughtUp: this.#caughtUp,
      waitsFor: this.#waitsFor,
      lagMs: this.#lagMs,
      lookedAtMs: this.#lookedAtMs,
    }
  }

  /** What is under way is committed first. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#pause.wake()
    this.#o.source.wake()
    await this.#running.catch(() => {})
  }

  async #run(): Promise<void> {
    const { source, world } = this.#o
    let failures = 0
    try {
      while (!this.#stopping) {
        try {
          const more = await this.#step()
          failures = 0
          this.#waitsFor = null
          if (!more) return
        } catch (error) {
          await this.#recover(error)
          this.#counts.failures++
          const pauseMs = Math.min(LIMITS.outboxBackoffMs * 2 ** Math.min(failures++, 10), LIMITS.outboxBackoffMaxMs)
          this.#waitsFor = explain(error)
          world.logger.warn({ reason: this.#waitsFor, againInMs: pauseMs }, 'the outbox is not relayed for now')
          await this.#pause.wait(pauseMs)
        }
      }
    } finally {
      this.#tell(true)
      // Neither has anything left to lose, and why it ended matters more.
      await source.close().catch(() => {})
      await this.#writer.close().catch(() => {})
    }
  }

  /** One portion, or one look at the table. False: that was all. */
  async #step(): Promise<boolean> {
    const { source, pollMs, once } = this.#o
    if (this.#source === null) this.#source = await source.open()
    if (this.#progress === null) await this.#take(this.#source)
    const portion = await source.read(this.#position, this.#rowsMax)
    this.#lookedAtMs = this.#o.world.clock.now()
    const refused = (await this.#put(portion)) ?? portion.refused
    if (refused !== null) throw refused
    this.#caughtUp = portion.rows.length === 0 && portion.last
    this.#tell(false)
    if (once && portion.endsStart) return false // writers may be faster than the rate
    // Where rows were found there may be more already.
    if (this.#caughtUp && !this.#stopping) await source.news(pollMs)
    return true
  }

  /** Becomes the one relay of its name: whatever an older one had open is settled, and it can begin nothing more. */
  async #take(source: string): Promise<void> {
    const { log, name, world } = this.#o
    const topic = positionTopic(name)
    await log.createTopics([{ name: topic, partitions: 1, kind: 'changelog' }])
    await log.topics([topic])
    await this.#writer.init()
    const found = await readProgress(log, name, 'settled')
    if (found !== null && found.source !== source)
      throw unfit(
        `the relay ${name} is of ${found.source}, and this is ${source}: give this one a --name of its own, or it would leave rows out`,
      )
    this.#partitions.clear()
    const mine: Progress = { relay: this.#self, source, position: found?.position ?? null, rows: found?.rows ?? 0 }
    appendProgress(this.#writer, name, mine, world.clock.now())
    await this.#commit()
    if (!this.#claimed) world.logger.info({ outbox: this.#o.source.name, name, rowsEver: mine.rows }, 'relaying')
    this.#claimed = true
    this.#progress = mine
    this.#position = mine.position
  }

  /** The rows before one that is refused, and with them the position behind them. */
  async #put(portion: Portion): Promise<MillraceError | null> {
    const { name, world } = this.#o
    const { rows } = portion
    if (rows.length === 0) {
      this.#position = portion.behind(0)
      return null
    }
    const missing = await this.#learn(rows)
    let count = 0
    let refused: MillraceError | null = null
    for (const row of rows) {
      refused = this.#append(row, missing)
      if (refused !== null) break
      count++
    }
    if (count > 0) {
      const position = portion.behind(count)
      const before = this.#progress as Progress
      const progress = { ...before, position, rows: before.rows + count }
      appendProgress(this.#writer, name, progress, world.clock.now())
      await this.#commit().catch((error: unknown) => this.#narrow(rows.slice(0, count), error))
      this.#progress = progress
      this.#position = position
      this.#counts.rows += count
      this.#counts.commits++
      const writtenAtMs = (rows[count - 1] as OutboxRow).timestamp
      this.#lagMs = writtenAtMs === null ? null : Math.max(0, world.clock.now() - writtenAtMs)
      await this.#pace(count)
    }
    return refused
  }

  #append(row: OutboxRow, missing: ReadonlySet<string>): MillraceError | null {
    const { world, source } = this.#o
    const { topic, key, value, headers } = row
    const who = `row ${row.id} of ${source.name}`
    if (missing.has(topic)) {
      const cure = 'create it, then start the relay again: nothing behind that row was relayed'
      return new MillraceError('STREAM_TOPIC_MISSING', `${who} is for the topic ${topic}, which does not exist; ${cure}`)
    }
    const partitions = this.#partitions.get(topic) as number
    const partition = key === null ? this.#keyless++ % partitions : partitionOf(key, partitions)
    try {
      this.#writer.append(topic, partition, row.timestamp ?? world.clock.now(), key, value, headers)
      return null
    } catch (error) {
      if (!(error instanceof MillraceError) || error.disposition !== 'park') throw error
      return unfit(`${who} cannot be written to ${topic}`, error)
    }
  }

  /** The log takes something of these rows neither now nor later. Always throws. */
  #narrow(rows: readonly OutboxRow[], error: unknown): never {
    if (!(error instanceof MillraceError) || error.disposition !== 'stop' || !REFUSALS.includes(error.code)) throw error
    const [first] = rows as [OutboxRow]
    if (rows.length === 1) throw unfit(`row ${first.id} of ${this.#o.source.name} cannot be written to ${first.topic}`, error)
    this.#rowsMax = Math.ceil(rows.length / 2)
    throw new MillraceError('STREAM_DOUBT', `the log refused ${rows.length} rows at once, now it gets ${this.#rowsMax}`, { cause: error })
  }

  /** How many partitions the topics have; answers those that do not exist and are not made. */
  async #learn(rows: readonly OutboxRow[]): Promise<ReadonlySet<string>> {
    const { log, createPartitions } = this.#o
    const fresh = new Set<string>()
    for (const { topic } of rows) if (!this.#partitions.has(topic)) fresh.add(topic)
    if (fresh.size === 0) return fresh
    let there = await log.topics([...fresh])
    if (createPartitions !== null && there.size < fresh.size) {
      const absent = [...fresh].filter((topic) => !there.has(topic))
      await log.createTopics(absent.map((topic) => ({ name: topic, partitions: createPartitions, kind: 'plain' })))
      there = await log.topics([...fresh])
    }
    for (const { name, partitions } of there.values()) {
      this.#partitions.set(name, partitions)
      fresh.delete(name)
    }
    return fresh
  }

  async #commit(): Promise<void> {
    this.#writer.seal()
    await this.#writer.flush()
    await this.#writer.commit(null, '', [])
  }

  /** What does not pass is thrown again. */
  async #recover(error: unknown): Promise<void> {
    const { log, name } = this.#o
    const ours = error instanceof MillraceError ? error : null
    if (ours !== null && !['retry', 'rewind'].includes(ours.disposition)) throw error
    if (ours?.code === 'STREAM_DATABASE') {
      this.#source = null
      return
    }
    this.#progress = null
    if (ours?.code !== 'STREAM_FENCED' || !this.#claimed) return
    // What is being committed there is not waited for: it may be our own. If it is another's, that fences again.
    const found = await readProgress(log, name, 'latest').catch(() => null)
    if (found === null || found.relay === this.#self) return
    const cure = 'this one ends; rows go on being relayed by that one'
    throw new MillraceError('STREAM_FENCED', `another relay has taken over the name ${name}: ${cure}`, {
      cause: error,
      disposition: 'stop',
    })
  }

  /** Time that was not used is not saved up. */
  async #pace(rows: number): Promise<void> {
    const { rowsPerSecond, world } = this.#o
    const now = world.clock.monotonic()
    this.#freeMs = Math.max(this.#freeMs, now) + (rows * 1_000) / rowsPerSecond
    if (this.#freeMs - now >= 1 && !this.#stopping) await this.#pause.wait(this.#freeMs - now)
  }

  #tell(last: boolean): void {
    const { clock, logger } = this.#o.world
    const now = clock.monotonic()
    const rows = this.#counts.rows - this.#toldRows
    if (rows === 0 || (!last && now - this.#toldMs < LIMITS.outboxTellMs)) return
    const rowsPerSecond = Math.round((rows * 1_000) / Math.max(1, now - this.#toldMs))
    logger.info({ rows, rowsPerSecond, rowsEver: this.#progress?.rows ?? null, caughtUp: this.#caughtUp }, 'relayed')
    this.#toldMs = now
    this.#toldRows = this.#counts.rows
  }
}
