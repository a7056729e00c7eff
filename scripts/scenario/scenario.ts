// What a scenario is: the parts of a system, what is sent to them out of order and twice, and what must be so in the end.
//
// 1. Services are in the order in which they feed each other; what one writes is sent to those that read it, again out of order and twice.
// 2. A judge sees all that was sent to its part and all that came out, and answers with what is wrong. It knows nothing of crashes.
import type { Topology } from 'millrace'
import type { Seeded } from '../../test/support/seeded.ts'

export interface Sent {
  readonly topic: string
  readonly key: string
  readonly value: unknown
}

export interface Part {
  /** From the root of the repository. */
  readonly file: string
  /** Made anew for each history: what it calls belongs to that history. */
  readonly topology: (random: Seeded) => Topology
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** In which disorder its input comes. Default: in that of `disordered`. */
  readonly disorder?: (sent: readonly Sent[], random: Seeded) => Sent[]
  /** What the wall clock does behind its input. */
  readonly afterwards?: { readonly steps: number; readonly by: `${number}s` }
  readonly judge: (sent: readonly Sent[], written: readonly Sent[]) => string[]
  /** Likewise, but of what must be so at any time, also half-way. Where all parts run at once it is asked all the time. */
  readonly always?: (sent: readonly Sent[], written: readonly Sent[]) => string[]
  /** Where all parts run at once: it stays down behind its kill until the parts that do not need it have done all that there is. */
  readonly down?: true
  /** Likewise: it was not there before the others were done, and they do not notice when it comes. */
  readonly comesLast?: true
}

/** What the parts call, for real: a server in this process, named to them by the environment. */
export interface World {
  readonly env: Readonly<Record<string, string>>
  /** What is wrong with the calls that came. */
  readonly judge: () => string[]
  readonly close: () => Promise<void>
}

export interface Scenario {
  readonly outside?: (random: Seeded) => Promise<World>
  readonly parts: readonly Part[]
  /** Topics that a shop writes into an outbox, for a relay to bring. */
  readonly outbox?: readonly string[]
  /** What the world sends, in the order in which it happened. */
  readonly happened: (random: Seeded) => Sent[]
}

/** Keys overtake each other, each keeps its own order; a fifth comes twice, a part is read again. */
export function disordered(sent: readonly Sent[], random: Seeded): Sent[] {
  const byKey = new Map<string, Sent[]>()
  for (const one of sent) {
    const key = `${one.topic} ${one.key}`
    byKey.set(key, [...(byKey.get(key) ?? []), one])
  }
  const left = [...byKey.values()].map((of) => [...of])
  const mixed: Sent[] = []
  while (left.length > 0) {
    const i = random.below(left.length)
    const of = left[i] as Sent[]
    mixed.push(of.shift() as Sent)
    if (of.length === 0) left.splice(i, 1)
  }
  const twice = mixed.flatMap((one, i) => (random.chance(0.2) ? [one, mixed[random.below(i + 1)] as Sent] : [one]))
  const from = random.below(twice.length + 1)
  return [...twice, ...twice.slice(from, from + random.below(10))]
}

/** Any order at all, and a fifth twice. */
export function shuffled(sent: readonly Sent[], random: Seeded): Sent[] {
  return random.shuffled([...sent, ...sent.filter(() => random.chance(0.2))])
}

/** Of a key's versions only what the record says is compared, not the order of its fields. */
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
