// The application of the secured broker, run by the binary as one of its users: the topology, its input, what must come out, and a
// `millrace run` with all that it says.
//
// 1. Passwords go by the environment, all else by a file: as docs/security.md says.
import { partitionOf } from '../../src/base/murmur2.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import type { Log } from '../../src/log/log.ts'
import { type Ended, millrace, type Scratch } from '../cli/binary.ts'
import { type Processor, type StartOptions, startProcessorWith } from '../support/processor.ts'
import type { ScramUser } from './broker.ts'

export const PARTITIONS = 2
/** What cannot be decoded. */
export const POISON = '{'
export const ITEMS = ['lamp', 'rug', 'chair', 'shelf', 'bowl', 'vase']
const CUSTOMERS = 10

const TOPOLOGY = `import { topology, string, json } from 'millrace'
export default topology('totals', (t) => {
  t.stream('orders', { key: string(), value: json() })
    .groupBy((order) => order.item, { key: string() })
    .aggregate(() => 0, (sum, order) => sum + order.count, { store: 'by-item', value: json() })
    .toStream()
    .to('totals', { key: string(), value: json() })
})
`

export interface SecuredApp {
  readonly topology: string
  run(user: ScramUser, applicationId: string, state: string, words?: readonly string[], options?: StartOptions): Processor
  /** Another command as this user. */
  command(user: ScramUser, words: readonly string[], input?: string): Promise<Ended>
}

export function securedApp(place: Scratch, brokers: string, ca: string): SecuredApp {
  const topology = place.write('totals.ts', TOPOLOGY)
  const files = new Map<string, string>()
  /** The file of --config: brokers, tls, mechanism, name. */
  const config = ({ name, mechanism }: ScramUser): string => {
    const options = { brokers: [brokers], tls: { ca }, sasl: { mechanism, username: name } }
    const file = files.get(name) ?? place.write(`${name}.json`, JSON.stringify(options)) // once: a process may just be reading it
    files.set(name, file)
    return file
  }
  const secret = ({ password }: ScramUser): Readonly<Record<string, string>> => ({ MILLRACE_SASL_PASSWORD: password })
  return {
    topology,
    run(user, applicationId, state, words = [], options = {}) {
      const own = ['--application-id', applicationId, '--state-dir', `${place.folder}/${state}`, '--config', config(user)]
      return startProcessorWith({ ...options, env: { ...secret(user), ...options.env } }, topology, ...own, ...words)
    },
    command: (user, words, input = '') => millrace([...words, '--config', config(user)], { env: secret(user), input }),
  }
}

/** Writes so many orders, and behind them records that cannot be decoded. */
export async function writeOrders(log: Log, count: number, poison: number): Promise<void> {
  await log.topics(['orders'])
  const writer = log.writer({ transactionalId: 'orders', guarantee: 'at_least_once' })
  await writer.init()
  const append = (customer: string, value: string): void =>
    writer.append('orders', partitionOf(Buffer.from(customer), PARTITIONS), 1, Buffer.from(customer), Buffer.from(value), NO_HEADERS)
  for (let n = 0; n < count; n++) {
    const item = ITEMS[n % ITEMS.length] as string
    append(`c${n % CUSTOMERS}`, JSON.stringify({ item, count: n }))
  }
  for (let n = 0; n < poison; n++) append(`c${n}`, POISON)
  writer.seal()
  await writer.flush()
  await writer.commit(null, '', [])
  await writer.close()
}
