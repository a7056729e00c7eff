// The wallet and its profiles, judged by plain code: each command decided once, statements without a gap, no money made or lost.
import profiles, { type UserUpdated } from '../../topologies/wallet/profiles.ts'
import wallet, { type Command, type Entry } from '../../topologies/wallet/wallet.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import { same, type Scenario, type Sent, shuffled } from './scenario.ts'

const ACCOUNTS = ['ada', 'bob', 'cyd', 'dan', 'eve']

export function commandsOf(random: Seeded, count: number): Sent[] {
  return Array.from({ length: count }, (_, i): Sent => {
    const [key, cents] = [random.pick(ACCOUNTS), 1 + random.below(500)]
    const kind = random.pick(['credit', 'credit', 'debit', 'transfer', 'transfer'] as const)
    const id = `c${i}`
    const value: Command = kind === 'transfer' ? { id, kind, cents, to: random.pick(ACCOUNTS) } : { id, kind, cents }
    return { topic: 'wallet-commands', key, value }
  })
}

/** What is wrong in the statement of an account, whatever is still to come, and its balance. */
function statement(account: string, entries: readonly Entry[]): { readonly wrong: string[]; readonly balance: number } {
  const wrong: string[] = []
  const decided = new Set<string>()
  let balance = 0
  for (const [i, entry] of entries.entries()) {
    if (entry.seq !== i + 1) wrong.push(`${account}: entry ${i + 1} has the number ${entry.seq}`)
    const sign = entry.kind === 'credit' || entry.kind === 'received' ? 1 : -1
    if (entry.refused === null) balance += sign * entry.cents
    else if (sign > 0 || balance >= entry.cents) wrong.push(`${account}: ${entry.id} is refused, and had funds`)
    if (balance < 0) wrong.push(`${account}: below zero behind ${entry.id}`)
    if (entry.balance !== balance) wrong.push(`${account}: a balance of ${entry.balance} behind ${entry.id}, should be ${balance}`)
    if (entry.kind === 'received') continue
    if (decided.has(entry.id)) wrong.push(`${account} ${entry.id} is decided twice`)
    decided.add(entry.id)
  }
  return { wrong, balance }
}

const statements = (written: readonly Sent[]): [account: string, entries: Entry[]][] =>
  [...Map.groupBy(written, ({ key }) => key)].map(([account, all]) => [account, all.map(({ value }) => value as Entry)])

export function judgeStatements(_: readonly Sent[], written: readonly Sent[]): string[] {
  return statements(written).flatMap(([account, entries]) => statement(account, entries).wrong)
}

/** What is wrong with the statements of all accounts; in the end nothing is on its way. */
export function judgeWallet(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const wrong: string[] = []
  let [outside, balances] = [0, 0]
  const moves = { sent: [] as string[], received: [] as string[] }
  const decided = new Set<string>()
  for (const [account, entries] of statements(written)) {
    const of = statement(account, entries)
    wrong.push(...of.wrong)
    balances += of.balance
    for (const { id, kind, cents, other, refused } of entries) {
      if (kind !== 'received') decided.add(`${account} ${id}`)
      if (refused !== null) continue
      if (kind === 'credit' || kind === 'debit') outside += kind === 'credit' ? cents : -cents
      else moves[kind].push(`${id} ${(kind === 'sent' ? [account, other] : [other, account]).join(' ')} ${cents}`)
    }
  }
  for (const { key, value } of sent)
    if (!decided.has(`${key} ${(value as Command).id}`)) wrong.push(`${key} ${(value as Command).id} is not decided`)
  if (!same(moves.sent.sort(), moves.received.sort())) wrong.push('what was sent is not what was received')
  if (balances !== outside) wrong.push(`balances of ${balances}, and ${outside} came from outside`)
  return [...new Set(wrong)]
}

const updatesOf = (random: Seeded): Sent[] =>
  ACCOUNTS.flatMap((key) =>
    Array.from({ length: 4 }, (_, version): Sent => {
      const value: UserUpdated = { version, name: `${key} ${version}`, email: `${key}@example.org` }
      return { topic: 'user.updated', key, value: random.chance(0.2) ? { ...value, deleted: true } : value }
    }),
  )

export function judgeProfiles(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const greatest = new Map<string, UserUpdated>()
  for (const { key, value } of sent as readonly { key: string; value: UserUpdated }[])
    if (value.version > (greatest.get(key)?.version ?? -1)) greatest.set(key, value)
  const rows = new Map(written.map(({ key, value }) => [key, value]))
  return [...greatest].flatMap(([key, user]) =>
    same(rows.get(key) ?? null, user.deleted === true ? null : user) ? [] : [`${key} is ${JSON.stringify(rows.get(key))}`],
  )
}

export const scenario: Scenario = {
  happened: (random) => [...commandsOf(random, 60), ...updatesOf(random)],
  parts: [
    {
      file: 'topologies/wallet/wallet.ts',
      topology: () => wallet,
      inputs: ['wallet-commands'],
      outputs: ['wallet-entries'],
      // Also within an account: what is refused then differs, money does not.
      disorder: shuffled,
      judge: judgeWallet,
      always: judgeStatements,
    },
    {
      file: 'topologies/wallet/profiles.ts',
      topology: () => profiles,
      inputs: ['user.updated'],
      outputs: ['profiles'],
      disorder: shuffled,
      judge: judgeProfiles,
    },
  ],
}
