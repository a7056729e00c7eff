// Money in accounts: credits, debits and transfers, each applied once or refused once, whatever comes twice and whatever crashes.
//
// `wallet-commands` is keyed by the account that pays or is paid; a transfer is keyed by its sender. Each command has an id, which is
// remembered with its outcome for good. `wallet-entries` is the statement of each account, numbered without a gap.
//
// 1. A command is decided when it comes: what lacks funds is refused then, and stays refused when it comes again after a credit.
// 2. No balance is ever below zero.
// 3. Over all accounts: balance = credited - debited - sent + received. What was sent and not yet received is on its way, in the topic
//    between the two accounts.
import { json, keyValue, type KeyValueStore, type ProcessorContext, string, topology, window } from 'millrace'

export type Command =
  | { readonly id: string; readonly kind: 'credit' | 'debit'; readonly cents: number }
  | { readonly id: string; readonly kind: 'transfer'; readonly cents: number; readonly to: string }

/** What happened to an account, in the order of `seq`. */
export interface Entry {
  readonly seq: number
  readonly id: string
  readonly kind: 'credit' | 'debit' | 'sent' | 'received'
  readonly cents: number
  /** The other account of a transfer. */
  readonly other: string | null
  /** Null: applied. */
  readonly refused: string | null
  /** Of the account, afterwards. */
  readonly balance: number
}

export interface Account {
  readonly balance: number
  readonly credited: number
  readonly debited: number
  readonly sent: number
  readonly received: number
  /** Entries so far. */
  readonly entries: number
}

/** A transfer on its way to the account that is its key. */
interface Transit {
  readonly id: string
  readonly cents: number
  readonly from: string
}

/** So that sums of many stay exact. */
const CENTS_MAX = 1e12
const EMPTY: Account = { balance: 0, credited: 0, debited: 0, sent: 0, received: 0, entries: 0 }
const WHERE = { credit: 'credited', debit: 'debited', sent: 'sent', received: 'received' } as const

export const isAccount = (name: unknown): name is string => typeof name === 'string' && /^[\w.-]{1,64}$/.test(name)
const isCommand = (value: unknown): boolean => {
  const { id, kind, cents, to } = (value ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || id === '' || !Number.isSafeInteger(cents) || (cents as number) <= 0 || (cents as number) > CENTS_MAX)
    return false
  return kind === 'credit' || kind === 'debit' || (kind === 'transfer' && isAccount(to))
}

export default topology('wallet', (t) => {
  const accounts = t.store(keyValue({ name: 'accounts', key: string(), value: json<Account>() }))
  // By account and number. A window store: the key alone says where its rows live, so each statement is found where its account is.
  const statements = t.store(
    window({ name: 'statements', key: string(), value: json<Entry>(), size: '1ms', retention: Number.MAX_SAFE_INTEGER }),
  )
  const decided = t.store(keyValue({ name: 'decided', key: string(), value: json<number>() }))
  const stores = [accounts, statements, decided]

  /** Writes an entry for a command of this id, unless there is one. Null: it was decided before. */
  const keeper = (context: ProcessorContext<string, Entry, 'entries'>) => {
    const rows = context.store(accounts)
    const entries = context.store(statements)
    const seen: KeyValueStore<string, number> = context.store(decided)
    return (key: string, timestamp: number, { id, kind, cents, other }: Pick<Entry, 'id' | 'kind' | 'cents' | 'other'>): Entry | null => {
      // Ids are of who makes them: an account's own command and a transfer to it may have the same one.
      const name = `${key}/${kind === 'received' ? `from/${other}` : 'own'}/${id}`
      if (seen.get(name) !== null) return null
      const row = rows.get(key) ?? EMPTY
      const balance = kind === 'debit' || kind === 'sent' ? row.balance - cents : row.balance + cents
      if (!Number.isSafeInteger(balance)) throw new Error(`${key}: a balance of ${balance} is no longer exact`)
      const refused = balance < 0 ? 'funds lack' : null
      const seq = row.entries + 1
      const entry: Entry = { seq, id, kind, cents, other, refused, balance: refused === null ? balance : row.balance }
      const moved = refused === null ? { balance, [WHERE[kind]]: row[WHERE[kind]] + cents } : {}
      rows.put(key, { ...row, ...moved, entries: seq })
      entries.put(key, entry, seq)
      seen.put(name, seq)
      context.forward({ key, value: entry, timestamp }, 'entries')
      return entry
    }
  }

  const commands = t
    .stream('wallet-commands', { key: string(), value: json<Command>(isCommand) })
    .process<string, Entry | Transit, 'entries' | 'sent'>(
      (context) => {
        const enter = keeper(context)
        return {
          process({ key, value: command, timestamp }) {
            if (!isAccount(key)) throw new Error(`${key} is no account: 1 to 64 of letters, digits, _ . -`)
            if (command === null) throw new Error('a command is not deleted; send another')
            if (command.kind !== 'transfer') return void enter(key, timestamp, { ...command, other: null })
            const entry = enter(key, timestamp, { id: command.id, kind: 'sent', cents: command.cents, other: command.to })
            if (entry === null || entry.refused !== null) return
            const { id, cents, to } = command
            context.forward({ key: to, value: { id, cents, from: key }, timestamp }, 'sent')
          },
        }
      },
      { stores, outputs: ['entries', 'sent'], key: string(), value: json() },
    )

  // To where the receiver lives. Sent and on its way is one commit; on its way and received is another.
  const arrived = commands.sent.repartition({ name: 'transfers' }).process<string, Entry, 'entries'>(
    (context) => {
      const enter = keeper(context)
      return {
        process({ key, value, timestamp }) {
          const { id, cents, from } = value as Transit
          enter(key as string, timestamp, { id, kind: 'received', cents, other: from })
        },
      }
    },
    { stores, outputs: ['entries'], key: string(), value: json() },
  )

  commands.entries.to('wallet-entries', { key: string(), value: json() })
  arrived.entries.to('wallet-entries', { key: string(), value: json() })
})
