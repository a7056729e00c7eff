// What a buffering join has to do, written down with arrays, for one task: its queue of input, its rows, its two clocks.
export interface Options {
  readonly timeoutMs: number
  readonly clock: 'either' | 'wall' | 'stream'
  readonly recordsMax: number
  readonly onFull: 'pause' | 'expireOldest'
}

export interface StreamRecord {
  readonly own: string
  readonly wants: string
  readonly n: number
  readonly timestamp: number
}

interface Waiting extends StreamRecord {
  readonly atMs: number
  readonly atStreamMs: number
}

export interface Result {
  readonly n: number
  /** Null: expired. */
  readonly row: string | null
  readonly timestamp: number
}

export class Oracle {
  readonly results: Result[] = []
  #streamTime = -1
  readonly #rows = new Map<string, { readonly value: string; readonly timestamp: number }>()
  #parked: Waiting[] = []
  #input: StreamRecord[] = []
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  get parked(): number {
    return this.#parked.length
  }

  get waitingInput(): number {
    return this.#input.length
  }

  record(record: StreamRecord, nowMs: number): void {
    this.#input.push(record)
    if (this.#input.length === 1) this.#read(nowMs)
  }

  row(key: string, value: string | null, timestamp: number, nowMs: number): void {
    this.#streamTime = Math.max(this.#streamTime, timestamp)
    if (value === null) this.#rows.delete(key)
    else this.#rows.set(key, { value, timestamp })
    this.#work(nowMs)
    this.#read(nowMs)
  }

  wall(nowMs: number): void {
    if (this.#work(nowMs)) this.#read(nowMs)
  }

  #read(nowMs: number): void {
    for (let record = this.#input[0]; record !== undefined; record = this.#input[0]) {
      this.#streamTime = Math.max(this.#streamTime, record.timestamp)
      const row = this.#rows.get(record.wants)
      const behind = this.#parked.some(({ own }) => own === record.own)
      if (row !== undefined && !behind) this.results.push(joined(record, row))
      else if (this.#parked.length >= this.#options.recordsMax && this.#options.onFull === 'pause') {
        if (!this.#work(nowMs)) return
        continue
      } else this.#parked.push({ ...record, atMs: nowMs, atStreamMs: this.#streamTime })
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
    const heads = this.#parked.filter((record, i) => this.#parked.findIndex(({ own }) => own === record.own) === i)
    const ready = heads.find(({ wants }) => this.#rows.has(wants))
    if (ready !== undefined) {
      const late = clock !== 'wall' && this.#streamTime > ready.atStreamMs + timeoutMs
      this.#leave(ready, !late)
      return true
    }
    const [oldest] = this.#parked
    if (oldest === undefined) return false
    const due =
      (clock !== 'stream' && nowMs >= oldest.atMs + timeoutMs) || (clock !== 'wall' && this.#streamTime >= oldest.atStreamMs + timeoutMs)
    const goes = due || this.#parked.length > recordsMax
    if (goes) this.#leave(oldest, false)
    return goes
  }

  #leave(record: Waiting, joins: boolean): void {
    this.#parked = this.#parked.filter((other) => other !== record)
    const row = this.#rows.get(record.wants)
    this.results.push(joins && row !== undefined ? joined(record, row) : { n: record.n, row: null, timestamp: record.timestamp })
  }
}

function joined(record: StreamRecord, row: { readonly value: string; readonly timestamp: number }): Result {
  return { n: record.n, row: row.value, timestamp: Math.max(record.timestamp, row.timestamp) }
}
