// The scenarios themselves, small: each ends well and leaves nothing behind; one that goes wrong says so.
import { expect, test } from 'vitest'
import { drive } from '../../scripts/scenario/driven.ts'
import { tooEarly } from '../../scripts/scenario/orders.ts'
import { outOfOrder } from '../../scripts/scenario/pipeline.ts'
import type { Sent } from '../../scripts/scenario/scenario.ts'
import { judgeStatements, scenario as wallet } from '../../scripts/scenario/wallet.ts'
import { runScenario } from '../support/scenario.ts'
import { runsOf } from '../support/tier.ts'

// As documents type them: npm run scenario catalog, npm run scenario wallet, npm run scenario orders,
// npm run scenario engagements, npm run scenario pipeline

test('pipeline: in process, and killed on the embedded log', { timeout: 90_000 }, async () => {
  const { out, errors, code, left } = await runScenario('pipeline', '--histories', '3')
  expect({ errors, code, left }, out).toEqual({ errors: '', code: 0, left: [] })
  expect(out).toMatch(/in process: 3 histories, \d+ records, \d+ crashes: 0 wrong\n/)
  expect(out).toMatch(/pipeline.ts: SIGKILL to process \d+/)
  expect(out).toMatch(/every part killed once: 0 wrong\npipeline: right\n$/)
})

test.each(['catalog', 'wallet', 'orders', 'engagements'])('%s: in process', { timeout: runsOf(60_000, 300_000) }, async (name) => {
  const kills = runsOf(0, 1)
  const { out, errors, code, left } = await runScenario(name, '--histories', '3', '--kills', `${kills}`)
  expect({ errors, code, left }, out).toEqual({ errors: '', code: 0, left: [] })
  expect(out).toMatch(/in process: 3 histories, \d+ records, \d+ crashes: 0 wrong\n/)
  if (kills > 0) expect(out).toMatch(/on the embedded log, every part killed once: 0 wrong\n/)
  expect(out).toMatch(new RegExp(`\\n${name}: right\\n$`))
})

test('a name that is none, and a number that is none', { timeout: 60_000 }, async () => {
  const [none, number] = [await runScenario('walet'), await runScenario('wallet', '--kills', 'x')]
  expect({ code: none.code, errors: none.errors }).toEqual({ code: 2, errors: expect.stringMatching(/^scenario: name one of .*wallet/) })
  expect({ code: number.code, errors: number.errors }).toEqual({ code: 2, errors: 'scenario: x is no whole number\n' })
})

test('an output that is lost is seen', async () => {
  const [part] = wallet.parts as [(typeof wallet.parts)[number]]
  const blind = {
    ...part,
    judge: (sent: Parameters<typeof part.judge>[0], written: typeof sent) => part.judge(sent, written.slice(1)),
  }
  expect((await drive({ ...wallet, parts: [blind] }, 1)).wrong.join('\n')).toMatch(
    /seed 1, topologies\/wallet\/wallet.ts: .*entry 1 has the number 2/,
  )
})

test('what must be so at any time, and is not, is seen', () => {
  const of = (topic: string, ...values: readonly object[]): Sent[] => values.map((value) => ({ topic, key: 'o', value }))
  const paid = (outcome: string): Sent[] => [...of('payments', { outcome }), ...of('reservations', { outcome: 'reserved' })]
  const fulfilled = of('fulfilments', { outcome: 'fulfilled' })
  expect(tooEarly(paid('authorized'), fulfilled)).toEqual([])
  for (const sent of [[], paid('declined')]) expect(tooEarly(sent, fulfilled)).toHaveLength(1)
  const steps = (...names: readonly string[]): Sent[] => of('order-steps', ...names.map((step, i) => ({ step, seq: i + 1 })))
  expect(outOfOrder([], steps('created', 'part'))).toEqual([])
  for (const names of [['part'], ['created', 'authorized', 'fulfilled', 'part'], ['created', 'fulfilled']])
    expect(outOfOrder([], steps(...names))).toHaveLength(1)
  const entry = { id: 'a', kind: 'credit', cents: 5, other: null, refused: null, balance: 5 }
  expect(judgeStatements([], of('wallet-entries', { ...entry, seq: 1 }))).toEqual([])
  expect(judgeStatements([], of('wallet-entries', { ...entry, seq: 1 }, { ...entry, seq: 2, balance: 10 }))).toEqual([
    'o a is decided twice',
  ])
  expect(judgeStatements([], of('wallet-entries', { ...entry, seq: 2, kind: 'debit', balance: -5 }))).toHaveLength(2)
})
