// `millrace outbox`: relays an outbox until a signal ends it, with --once until all is relayed, or prints the table's SQL.
//
// 1. SIGTERM and SIGINT commit what is under way and end it, status 0 (until-signal.ts). What a person has to see to ends it with its line, status 1.
// 2. --brokers goes to Kafka whatever else is said; brokers from the environment or a config file do when no --state-dir is given.
import { type OutboxOptions, relayOutbox } from '../app/outbox.ts'
import type { Duration } from '../base/duration.ts'
import { MillraceError } from '../base/errors.ts'
import { systemWorld } from '../base/system.ts'
import { type DatabaseKind, outboxDdl } from '../outbox/ddl.ts'
import { openLogger } from './logger.ts'
import { type Flags, gatherOptions } from './options.ts'
import { outputTo } from './output.ts'
import { keepPrivate } from './state-dir.ts'
import { closeInTime, untilSignal } from './until-signal.ts'

export interface OutboxFlags extends Pick<Flags, 'brokers' | 'stateDir' | 'config'> {
  readonly database?: string
  readonly table: string
  readonly name: string
  readonly topic?: string
  readonly rate?: number
  readonly pollInterval?: string
  readonly once?: boolean
  readonly ddl?: DatabaseKind
  readonly partitions?: number
  readonly port?: number
  readonly json?: boolean
}

export async function outbox(flags: OutboxFlags): Promise<void> {
  if (flags.ddl !== undefined) {
    const output = outputTo(process.stdout)
    output.line(outboxDdl(flags.ddl, flags.table).trimEnd())
    return await output.flush()
  }
  keepPrivate()
  const options = await optionsOf(flags)
  const logger = await openLogger(flags.json === true, process.argv.includes('--verbose'))
  const world = systemWorld(logger)
  const stopped = untilSignal(world)
  const opening = relayOutbox({ ...options, world })
  const relay = await Promise.race([opening, stopped])
  if (typeof relay === 'string') {
    logger.info({ signal: relay }, 'stopping')
    return await closeInTime(world, () =>
      opening.then(
        (late) => late.close(),
        () => {}, // it is being closed
      ),
    )
  }
  const signal = await Promise.race([relay.ended, stopped])
  if (signal === undefined) return
  logger.info({ signal }, 'stopping')
  await closeInTime(world, () => relay.close())
}

async function optionsOf(flags: OutboxFlags): Promise<OutboxOptions> {
  const { brokers, stateDir, config, table, name, topic, rate, pollInterval, once, partitions, port } = flags
  const words = { ...(brokers === undefined ? {} : { brokers }), ...(stateDir === undefined ? {} : { stateDir }) }
  const gathered = await gatherOptions({ ...words, ...(config === undefined ? {} : { config }) }, process.env)
  const database = flags.database ?? process.env.MILLRACE_DATABASE ?? ''
  if (database === '')
    throw new MillraceError('STREAM_USAGE', 'which database? give --database <postgres://... or a file>, or MILLRACE_DATABASE')
  const onKafka = gathered.brokers !== undefined && (brokers !== undefined || stateDir === undefined)
  const given = {
    brokers: onKafka ? gathered.brokers : undefined,
    stateDir: gathered.stateDir,
    tls: gathered.tls,
    sasl: gathered.sasl,
    topic,
    rate,
    pollInterval: pollInterval as Duration | undefined,
    once,
    partitions,
    port,
  }
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { database, table, name, ...said }
}
