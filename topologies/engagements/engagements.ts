// Engagements: what users do (post, like, reply), delivered to something slow. Each user's in their order; one that hangs costs its user
// 30 s and nobody else anything.
//
// 1. Without options an engagement is delivered when those before it, of the same user, have been delivered or have expired.
// 2. `after` (opt-in) names engagements, of any user, that must have been delivered before. It waits for them at most 30 s; then it is a dead
//    letter, and the next of its user moves up.
// 3. A delivery takes at most 30 s; then the engagement has expired, and the next of its user moves up.
// 4. `unordered: true` waits for none of its user, and none for it.
import { json, string, topology } from 'millrace'
import { type Outside, outside } from '../orders/outside.ts'

export interface Engagement {
  readonly id: string
  readonly kind: string
  /** Ids of what it answers to. */
  readonly after?: readonly string[]
  readonly unordered?: boolean
}
export interface Outcome {
  readonly id: string
  readonly user: string
  readonly outcome: 'delivered' | 'expired'
}

function isEngagement(value: unknown): boolean {
  const { id, after } = (value ?? {}) as Record<string, unknown>
  return (
    typeof id === 'string' && id !== '' && (after === undefined || (Array.isArray(after) && after.every((one) => typeof one === 'string')))
  )
}
const skipsTheQueue = ({ unordered }: Engagement): boolean => unordered === true

export const engagements = (deliver: Outside<unknown>) =>
  topology('engagements', (t) => {
    // What this topology itself writes below: the topic is a loop, so that a wait ends when what it waits for was delivered, not when it came.
    const delivered = t.table('engagements-delivered', { key: string(), value: json<Outcome>(), store: 'delivered' })

    const { skipping, queued } = t
      .stream('engagements', { key: string(), value: json<Engagement>(isEngagement) })
      .dedupe({ store: 'engagements-seen', id: ({ id }) => id, retention: '7d' })
      .split({ skipping: skipsTheQueue }, { default: 'queued' })

    const outcomes = queued
      .holdUntil(({ after = [] }) => after.map((key) => ({ table: delivered, key })), {
        store: 'waiting',
        tables: [delivered],
        buffer: { timeout: '30s', clock: 'wall', onTimeout: 'deadLetter' },
      })
      .merge(skipping)
      .mapAsync(
        async (engagement, user, call): Promise<Outcome> => {
          await deliver({ user, ...engagement }, call)
          return { id: engagement.id, user, outcome: 'delivered' }
        },
        {
          store: 'deliveries',
          value: json<Outcome>(),
          concurrency: 100,
          timeout: '30s',
          unordered: skipsTheQueue,
          onError: ({ id }, user): Outcome => ({ id, user, outcome: 'expired' }),
        },
      )
    outcomes.to('engagement-outcomes', { key: string(), value: json() })
    outcomes
      .filter(({ outcome }) => outcome === 'delivered')
      .selectKey(({ id }) => id, { key: string() })
      .to('engagements-delivered', { key: string(), value: json(), loop: true })
  })

export default engagements(outside('ENGAGEMENTS_URL', () => ({})))
