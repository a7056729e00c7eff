// Real processes and a real broker with a network between them that loses, cuts and delays. `npm run soak` does it for longer.
import { describe, expect, test } from 'vitest'
import { runNetwork } from './faults-network.ts'
import { SHORT_BROKER } from './fleet.ts'
import { KAFKA } from './running.ts'

const SECONDS = 25
/** When the network is well again: the longest wait of a client, and what a busy machine takes. */
const WELL_AGAIN_MS = 40_000
const say = (text: string): void => console.info(text)

describe.runIf(KAFKA)('the network', () => {
  test('requests and answers are lost, cut and late beyond their time', { timeout: 300_000 }, async () => {
    const { wrong, events, met, recoveredMs } = await runNetwork(
      { prefix: 'net-', commitInterval: '100ms', seconds: SECONDS, kafka: { config: SHORT_BROKER } },
      say,
    )
    say([...met].map(([what, n]) => `${what} ${n}`).join(', '))
    expect(wrong.slice(0, 10)).toEqual([])
    expect(events).toBeGreaterThan(1_000)
    expect([...met.values()].reduce((sum, n) => sum + n, 0)).toBeGreaterThan(15)
    expect(recoveredMs.filter((ms) => ms > WELL_AGAIN_MS)).toEqual([])
  })
})
