// Engagements, judged by plain code: each delivered once, a user's in their order, what answers to another behind that other.
import type { Engagement, Outcome } from '../../topologies/engagements/engagements.ts'
import topology from '../../topologies/engagements/engagements.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import type { Scenario, Sent } from './scenario.ts'

const USERS = ['ada', 'bob', 'cyd']

/** A tenth skips the queue; a third answers to what happened before, of any user. */
export function engaging(random: Seeded, count: number): Sent[] {
  return Array.from({ length: count }, (_, i): Sent => {
    const base: Engagement = { id: `e${i}`, kind: i === 0 ? 'post' : random.pick(['post', 'like', 'reply']) }
    const after = i > 0 && random.chance(0.33) ? [`e${random.below(i)}`] : null
    const unordered = after === null && random.chance(0.15)
    const value: Engagement = { ...base, ...(after === null ? {} : { after }), ...(unordered ? { unordered } : {}) }
    return { topic: 'engagements', key: random.pick(USERS), value }
  })
}

export function judgeEngagements(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const wrong: string[] = []
  const outcomes = written.filter(({ topic }) => topic === 'engagement-outcomes').map(({ value }) => value as Outcome)
  const placeOf = new Map<string, number>()
  for (const [i, { id, outcome }] of outcomes.entries()) {
    if (placeOf.has(id)) wrong.push(`${id} has two outcomes`)
    if (outcome !== 'delivered') wrong.push(`${id} has expired`)
    placeOf.set(id, i)
  }
  // A cause may come more than 30 s later than what answers to it: on a machine that is slow to start processes again.
  const letters = written
    .filter(({ topic }) => topic === 'engagements-dead-letter')
    .map(({ value }) => JSON.parse(value as string) as Engagement)
  const waitedInVain = new Set(letters.filter(({ after }) => after !== undefined).map(({ id }) => id))
  const events = new Map(sent.map(({ key, value }) => [(value as Engagement).id, { user: key, ...(value as Engagement) }]))
  const last = new Map<string, string>()
  for (const { id, user, unordered } of events.values()) {
    const place = placeOf.get(id)
    if (waitedInVain.has(id)) continue
    if (place === undefined) wrong.push(`${id} has no outcome`)
    if (unordered === true) continue
    const before = last.get(user)
    if (before !== undefined && (placeOf.get(before) ?? -1) > (place ?? Number.POSITIVE_INFINITY))
      wrong.push(`${user}: ${id} before ${before}`)
    last.set(user, id)
  }
  return wrong
}

/** Only where all partitions are seen in one order: in a driver. */
export function judgeCauses(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const ids = written.filter(({ topic }) => topic === 'engagement-outcomes').map(({ value }) => (value as Outcome).id)
  return sent.flatMap(({ value }) => {
    const { id, after = [] } = value as Engagement
    return after.filter((cause) => ids.indexOf(cause) > ids.indexOf(id)).map((cause) => `${id} before ${cause}, which it answers to`)
  })
}

export const scenario: Scenario = {
  happened: (random) => engaging(random, 40),
  parts: [
    {
      file: 'topologies/engagements/engagements.ts',
      topology: () => topology,
      inputs: ['engagements'],
      outputs: ['engagement-outcomes', 'engagements-dead-letter'],
      judge: judgeEngagements,
    },
  ],
}
