// A model of the inner foreign-key join as Kafka Streams 4.3 does it, on one partition: answers are recognised by (a stand-in for the
// hash of) the left value, and what is asked depends on the case. Here to show that the property test finds what is wrong with it.
import { type LeftValue, type Step, Tables } from './foreign-key-world.ts'

type Instruction = 'deleteAndTell' | 'delete' | 'tellIfThere' | 'tellAlways'
type Message =
  | {
      readonly to: 'right'
      readonly instruction: Instruction
      readonly foreignKey: string
      readonly key: string
      readonly hash: number | null
    }
  | { readonly to: 'left'; readonly key: string; readonly hash: number | null; readonly value: string | null }

export class KafkaStreamsWorld {
  readonly tables = new Tables()
  readonly #subscriptions = new Map<string, Map<string, number | null>>()
  readonly #inFlight: Message[] = []
  readonly #result = new Map<string, string>()

  run(step: Step): void {
    if (step.kind === 'deliver') {
      if (this.#inFlight.length > 0) this.#deliver(step.which % this.#inFlight.length)
    } else if (step.kind === 'right') {
      const value = this.tables.rightChange(step)
      for (const [key, hash] of this.#subscriptions.get(step.key) ?? []) this.#inFlight.push({ to: 'left', key, hash, value })
    } else {
      const old = this.tables.left.get(step.key) ?? null
      this.#leftChange(step.key, this.tables.leftChange(step), old)
    }
  }

  drain(picks: readonly number[]): void {
    for (let i = 0; this.#inFlight.length > 0; i++) this.#deliver((picks[i] ?? 0) % this.#inFlight.length)
  }

  result(): Map<string, string> {
    return this.#result
  }

  expected(): Map<string, string> {
    return this.tables.join('inner')
  }

  #leftChange(key: string, now: LeftValue | null, old: LeftValue | null): void {
    const hash = now === null ? null : now.n
    const to = now === null ? null : now.foreignKey
    const from = old === null ? null : old.foreignKey
    const ask = (instruction: Instruction, foreignKey: string): unknown =>
      this.#inFlight.push({ to: 'right', instruction, foreignKey, key, hash })
    if (to === null) {
      if (from !== null) ask('deleteAndTell', from)
    } else if (from === null || from === to) {
      ask('tellIfThere', to)
    } else {
      ask('delete', from)
      ask('tellAlways', to)
    }
  }

  #deliver(which: number): void {
    const message = this.#inFlight.splice(which, 1)[0]!
    if (message.to === 'left') this.#resolve(message.key, message.hash, message.value)
    else this.#apply(message)
  }

  #apply(message: Message & { readonly to: 'right' }): void {
    const { instruction, foreignKey, key, hash } = message
    const subscribers = this.#subscriptions.get(foreignKey) ?? new Map<string, number | null>()
    this.#subscriptions.set(foreignKey, subscribers)
    if (instruction === 'delete' || instruction === 'deleteAndTell') subscribers.delete(key)
    else subscribers.set(key, hash)
    const value = instruction === 'deleteAndTell' ? null : (this.tables.right.get(foreignKey) ?? null)
    if (instruction === 'delete' || (instruction === 'tellIfThere' && value === null)) return
    this.#inFlight.push({ to: 'left', key, hash, value })
  }

  #resolve(key: string, hash: number | null, value: string | null): void {
    const left = this.tables.left.get(key) ?? null
    if ((left === null ? null : left.n) !== hash) return
    if (left === null || value === null) this.#result.delete(key)
    else this.#result.set(key, `${key}:${left.n}/${value}`)
  }
}
