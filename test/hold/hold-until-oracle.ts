// What a holdUntil has to do, written down with arrays, for one task: its queue of input, what it holds, its two clocks. The tables are the
// test's; every change of theirs is known here at once.
export interface Options {
  readonly timeoutMs: number
  readonly clock: 'either' | 'wall' | 'stream'
  readonly recordsMax: number
  readonly onFull: 'pause' | 'expireOldest'
}

export interface Need {
  readonly table: 'versioned' | 'plain'
  readonly key: string
  readonly version: number | null
}

export interface HeldRecord {
  readonly n: number
  readonly own: string
  readonly needs: readonly Need[]
  readonly timestamp: number
}

interface Held extends HeldRecord {
  readonly atMs: number
  readonly atStreamMs: number
  /** The tables have said of all that it needs whether it is there. */
  answered: boolean
  /** It came as the first of its key, and may not have to wait. */
  asking: boolean
}

export type Ask = (need: Need) => boolean

export class HoldOracle {
  readonly out: number[] = []
  readonly expired: number[] = []
  #streamTime = -1
  #held: Held[] = []
  #input: HeldRecord[] = []
  readonly #options: Options
  readonly #isThere: Ask

  constructor(options: Options, isThere: Ask) {
    this.#options = options
    this.#isThere = isThere
  }

  get held(): number {
    return this.#held.length
  }

  get waitingInput(): number {
    return this.#input.length
  }

  record(record: HeldRecord, nowMs: number): void {
    this.#input.push(record)
    if (this.#input.length === 1) this.#read(nowMs)
  }

  /** A table has changed, or the clock. */
  look(nowMs: number): void {
    this.#work(nowMs)
    this.#read(nowMs)
  }

  #read(nowMs: number): void {
    for (let record = this.#input[0]; record !== undefined; record = this.#input[0]) {
      this.#streamTime = Math.max(this.#streamTime, record.timestamp)
      const { own, needs } = record
      const behind = this.#held.some((other) => other.own === own)
      const known = needs.every((need) =>
        this.#held.some((other) => other.needs.some((one) => one.table === need.table && one.key === need.key)),
      )
      if (!behind && known && needs.every(this.#isThere)) this.out.push(record.n)
      else if (this.#held.length >= this.#options.recordsMax && this.#options.onFull === 'pause') {
        if (!this.#work(nowMs)) return
        continue
      } else {
        const held = { ...record, atMs: nowMs, atStreamMs: this.#streamTime, answered: known, asking: !behind && !known }
        this.#held.push(held)
        this.#work(nowMs)
        held.answered = true
        held.asking = false
      }
      this.#input.shift()
      this.#work(nowMs)
    }
  }

  /** All that can be done now, in its order; whether that was anything. */
  #work(nowMs: number): boolean {
    let worked = false
    for (; this.#step(nowMs); worked = true);
    return worked
  }

  #step(nowMs: number): boolean {
    const { timeoutMs, clock, recordsMax } = this.#options
    const behind = new Set<string>()
    const ready = this.#held.find(({ own, needs, answered }) => {
      if (behind.has(own)) return false
      behind.add(own)
      return answered && needs.every(this.#isThere)
    })
    if (ready !== undefined) {
      const late = clock !== 'wall' && this.#streamTime > ready.atStreamMs + timeoutMs
      this.#leave(ready, late ? this.expired : this.out)
      return true
    }
    const [oldest] = this.#held
    if (oldest === undefined) return false
    const due =
      (clock !== 'stream' && nowMs >= oldest.atMs + timeoutMs) || (clock !== 'wall' && this.#streamTime >= oldest.atStreamMs + timeoutMs)
    const goes = due || this.#held.filter(({ asking }) => !asking).length > recordsMax
    if (goes) this.#leave(oldest, this.expired)
    return goes
  }

  #leave(record: Held, to: number[]): void {
    this.#held = this.#held.filter((other) => other !== record)
    to.push(record.n)
  }
}
