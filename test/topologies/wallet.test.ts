// The wallet under disorder: money is neither made nor lost, each command is decided once, accounts do not see each other's order.
import fc from 'fast-check'
import type { Windowed } from 'millrace'
import { duplicated, interleavings, replayed, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { judgeProfiles, judgeWallet } from '../../scripts/scenario/wallet.ts'
import type { Sent } from '../../scripts/scenario/scenario.ts'
import profiles, { type UserUpdated } from '../../topologies/wallet/profiles.ts'
import wallet, { type Account, type Command, type Entry } from '../../topologies/wallet/wallet.ts'
import { runsOf } from '../support/tier.ts'

const ACCOUNTS = ['ada', 'bob', 'cyd'] as const
const command = (key: string, value: Command): Sent => ({ topic: 'wallet-commands', key, value })
const credit = (key: string, id: string, cents: number): Sent => command(key, { id, kind: 'credit', cents })
const debit = (key: string, id: string, cents: number): Sent => command(key, { id, kind: 'debit', cents })
const transfer = (key: string, id: string, cents: number, to: string): Sent => command(key, { id, kind: 'transfer', cents, to })

const interruptions = fc.array(fc.record({ at: fc.nat(1000), what: fc.constantFrom('commit' as const, 'crash' as const) }), {
  maxLength: 5,
})
type Interruptions = readonly { readonly at: number; readonly what: 'commit' | 'crash' }[]

async function carried(
  driver: TopologyTestDriver,
  sent: readonly Sent[],
  interrupted: Interruptions = [],
  behindEach = (): void => {},
): Promise<void> {
  for (const [i, { topic, key, value }] of sent.entries()) {
    await driver.input(topic).pipe({ key, value })
    behindEach()
    for (const { at, what } of interrupted) if (Math.floor((at * sent.length) / 1001) === i) await driver[what]()
    behindEach()
  }
}
const written = (driver: TopologyTestDriver, topic: string): Sent[] =>
  driver
    .output(topic)
    .readAll()
    .map(({ key, value }) => ({ topic, key, value }))

/** Of every account; in a driver nothing is on its way between two records. */
function checkMoney(driver: TopologyTestDriver): void {
  const rows = ACCOUNTS.flatMap((name) => driver.store<string, Account>('accounts').get(name) ?? [])
  for (const { balance, credited, debited, sent, received } of rows) {
    expect(balance).toBe(credited - debited - sent + received)
    expect(balance).toBeGreaterThanOrEqual(0)
  }
  const sum = (of: (row: Account) => number): number => rows.reduce((total, row) => total + of(row), 0)
  expect(sum(({ balance }) => balance)).toBe(sum(({ credited, debited }) => credited - debited))
}

const anyCommand = fc.record({
  key: fc.constantFrom(...ACCOUNTS),
  kind: fc.constantFrom('credit' as const, 'debit' as const, 'transfer' as const),
  cents: fc.integer({ min: 1, max: 100 }),
  to: fc.constantFrom(...ACCOUNTS),
})
const numbered = (commands: readonly { key: string; kind: Command['kind']; cents: number; to: string }[]): Sent[] =>
  commands.map(({ key, kind, cents, to }, i) =>
    command(key, kind === 'transfer' ? { id: `c${i}`, kind, cents, to } : { id: `c${i}`, kind, cents }),
  )
const histories = fc.array(anyCommand, { minLength: 1, maxLength: 25 }).map(numbered)
/** Any order at all, with what comes twice and what is read again. */
const arrivals = replayed(duplicated(histories.chain((all) => fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }))))

test('any order, duplicates, replays and crashes: no money made or lost, each command decided once', async () => {
  await fc.assert(
    fc.asyncProperty(arrivals, interruptions, fc.integer({ min: 1, max: 3 }), async (sent, interrupted, partitions) => {
      await using driver = new TopologyTestDriver(wallet, { partitions })
      await carried(driver, sent, interrupted, () => checkMoney(driver))
      const entries = written(driver, 'wallet-entries')
      expect(judgeWallet(sent, entries)).toEqual([])
      const statements = driver.store<Windowed<string>, Entry>('statements')
      for (const { key, value } of entries) {
        const start = (value as Entry).seq
        expect(statements.get({ key, start, end: start + 1 })).toEqual(value)
      }
    }),
    { numRuns: runsOf(150, 600) },
  )
})

test('accounts overtake each other: each decides as if it were alone', async () => {
  const alone = anyCommand.map((one) => ({ ...one, kind: one.kind === 'transfer' ? ('debit' as const) : one.kind }))
  const own = fc.array(alone, { minLength: 1, maxLength: 30 }).map(numbered)
  const split = own.chain((all) => {
    const lanes = ACCOUNTS.map((name) => all.filter(({ key }) => key === name))
    return fc.record({ lanes: fc.constant(lanes), sent: duplicated(interleavings(lanes)) })
  })
  await fc.assert(
    fc.asyncProperty(split, interruptions, async ({ lanes, sent }, interrupted) => {
      await using driver = new TopologyTestDriver(wallet, { partitions: 2 })
      await carried(driver, sent as Sent[], interrupted)
      for (const lane of lanes) {
        let balance = 0
        for (const { value } of lane) {
          const { kind, cents } = value as Command
          if (kind === 'credit') balance += cents
          else if (balance >= cents) balance -= cents
        }
        if (lane[0] !== undefined) expect(driver.store<string, Account>('accounts').get(lane[0].key)?.balance).toBe(balance)
      }
    }),
    { numRuns: runsOf(100, 400) },
  )
})

test('crashes leave no trace in what is written', async () => {
  const outputs = async (sent: readonly Sent[], interrupted: Interruptions): Promise<Sent[]> => {
    await using driver = new TopologyTestDriver(wallet, { partitions: 3 })
    await carried(driver, sent, interrupted)
    return written(driver, 'wallet-entries')
  }
  await fc.assert(
    fc.asyncProperty(arrivals, interruptions, async (sent, interrupted) => {
      expect(await outputs(sent, interrupted)).toEqual(await outputs(sent, []))
    }),
    { numRuns: runsOf(30, 120) },
  )
})

test('what lacks funds is refused at once, and stays refused when it comes again', async () => {
  await using driver = new TopologyTestDriver(wallet)
  await carried(driver, [debit('ada', 'd1', 50), credit('ada', 'c1', 80), debit('ada', 'd1', 50), transfer('ada', 't1', 90, 'bob')])
  expect(written(driver, 'wallet-entries').map(({ value }) => value)).toEqual([
    { seq: 1, id: 'd1', kind: 'debit', cents: 50, other: null, refused: 'funds lack', balance: 0 },
    { seq: 2, id: 'c1', kind: 'credit', cents: 80, other: null, refused: null, balance: 80 },
    { seq: 3, id: 't1', kind: 'sent', cents: 90, other: 'bob', refused: 'funds lack', balance: 80 },
  ])
  expect(driver.store('accounts').get('bob')).toBe(null)
})

test('ids are of who makes them: two senders may use the same, and the receiver too', async () => {
  await using driver = new TopologyTestDriver(wallet, { partitions: 3 })
  await carried(driver, [
    credit('ada', 'x', 10),
    credit('bob', 'x', 10),
    transfer('ada', 'y', 4, 'cyd'),
    transfer('bob', 'y', 5, 'cyd'),
    credit('cyd', 'y', 1),
    transfer('ada', 'y', 4, 'cyd'),
  ])
  expect(driver.store<string, Account>('accounts').get('cyd')).toMatchObject({ balance: 10, credited: 1, received: 9 })
})

test('what is no command goes to the dead letters and moves nothing', async () => {
  await using driver = new TopologyTestDriver(wallet)
  const wrong = [-5, 0.5, 0, 1e13].map((cents, i) => credit('ada', `w${i}`, cents))
  await carried(driver, [credit('ada', 'c', 5), ...wrong, credit('a/b', 'c', 5), transfer('ada', 't', 1, 'a/b')])
  expect(driver.output('wallet-dead-letter').readAll()).toHaveLength(6)
  expect(driver.store<string, Account>('accounts').get('ada')).toMatchObject({ balance: 5, entries: 1 })
})

test('profiles: any order of arrival gives the latest version', async () => {
  const update = (key: string, version: number, deleted = false): Sent => {
    const value: UserUpdated = { version, name: `${key} ${version}`, email: `${key}@example.org`, ...(deleted ? { deleted } : {}) }
    return { topic: 'user.updated', key, value }
  }
  const all = [update('ada', 1), update('ada', 2, true), update('ada', 3), update('bob', 1), update('bob', 2), update('bob', 3, true)]
  await fc.assert(
    fc.asyncProperty(duplicated(fc.shuffledSubarray(all, { minLength: all.length })), interruptions, async (sent, interrupted) => {
      await using driver = new TopologyTestDriver(profiles, { partitions: 2 })
      await carried(driver, sent, interrupted)
      expect(judgeProfiles(sent, written(driver, 'profiles'))).toEqual([])
      expect(driver.store('profiles').get('bob')).toBe(null)
    }),
    { numRuns: runsOf(60, 240) },
  )
})
