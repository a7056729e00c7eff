// Loyalty, the service that came later: points for what was fulfilled. Its group has committed nothing, so it begins with the first
// record that there is, and comes to what it would have come to had it always been there. The others do not notice.
import { json, string, topology } from 'millrace'
import { type Fulfilment, REMEMBERED } from './events.ts'

/** Whole points: one for each full 100 cents. */
const pointsOf = ({ cents }: Fulfilment): number => Math.floor(cents / 100)

export default topology('orders-loyalty', (t) => {
  t.stream('fulfilments', { key: string(), value: json<Fulfilment>(), offsetReset: 'earliest' })
    .filter(({ outcome }) => outcome === 'fulfilled')
    .dedupe({ store: 'fulfilments-seen', id: ({ order }) => order, retention: REMEMBERED })
    .groupBy(({ customer }) => customer, { key: string() })
    .aggregate(
      () => 0,
      (points, fulfilment) => points + pointsOf(fulfilment),
      { store: 'points', value: json<number>() },
    )
    .toStream()
    .to('points', { key: string(), value: json() })
})
