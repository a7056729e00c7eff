// How `produce`, `consume`, `query` and `dead-letter` get at their records: the process that owns the state directory, by its socket; the embedded
// log in it when none runs; Kafka with --brokers.
//
// 1. A directory that does not exist, or that holds no log, is refused and left as it is, but by `produce --topology`.
// 2. --brokers goes to Kafka whatever else is said; brokers from the environment or a config file do when no --state-dir is given. Which
//    topology it is of, and under which application id, is what --state-dir remembers, where nothing else is said.
// 3. A process that is just starting holds the lock before it listens: it is waited for, shortly.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { systemWorld } from '../base/system.ts'
import { type ProcessorOptions, resolveConfig } from '../config.ts'
import { canConnect, connectControl } from '../control/client.ts'
import { recordsControl } from '../control/records.ts'
import type { ControlHandler } from '../control/wire.ts'
import { plan as planOf } from '../topology/plan.ts'
import type { Plan } from '../topology/plan-types.ts'
import { loadTopology } from './load.ts'
import { type Flags, gatherOptions } from './options.ts'
import { isDirectory, keepPrivate, recall, type Remembered, remember } from './state-dir.ts'

export interface ReachFlags extends Flags {
  readonly topology?: string
  readonly partitions?: number
}

export interface Reached {
  readonly control: ControlHandler
  close(): Promise<void>
}

const OWNER_WAIT_MS = 5_000
const OWNER_RETRY_MS = 100

export async function reach(flags: ReachFlags, mayCreate: boolean): Promise<Reached> {
  keepPrivate()
  const options = await gatherOptions(flags, process.env)
  const world = systemWorld()
  const onKafka = options.brokers !== undefined && (flags.brokers !== undefined || flags.stateDir === undefined)
  const { stateDir } = options
  if (onKafka) return await open(options, stateDir === undefined ? null : remembered(stateDir, flags), flags, world)
  if (stateDir === undefined)
    throw new MillraceError('STREAM_USAGE', 'where are the records? give --state-dir <folder>, or --brokers <host:port>')
  const there = isDirectory(stateDir)
  if (!there || !(await holdsLog(stateDir, world))) {
    const what = `state directory ${stateDir} ${there ? 'holds no embedded log' : 'does not exist'}`
    if (!mayCreate) throw new MillraceError('STREAM_STATE_MISSING', `${what}; name the one of a run, or for Kafka --brokers <host:port>`)
    if (flags.topology === undefined)
      throw new MillraceError('STREAM_STATE_MISSING', `${what}; to begin one, name a topology with --topology <file>`)
    await loadTopology(flags.topology) // a bad file makes no directory
  }
  return await ownerOrLog({ ...options, stateDir, brokers: undefined }, stateDir, flags, world)
}

/** A process answers there, or its log lies there; one that is just starting has left its id, and is waited for. */
async function holdsLog(stateDir: string, world: World): Promise<boolean> {
  const giveUp = world.clock.monotonic() + OWNER_WAIT_MS
  for (;;) {
    if (isDirectory(join(stateDir, 'log')) || (await canConnect(stateDir))) return true
    if (!existsSync(join(stateDir, 'process.id')) || world.clock.monotonic() >= giveUp) return false
    await world.timers.sleep(OWNER_RETRY_MS)
  }
}

async function ownerOrLog(options: Layered, stateDir: string, flags: ReachFlags, world: World): Promise<Reached> {
  const giveUp = world.clock.monotonic() + OWNER_WAIT_MS
  for (;;) {
    const client = await connectControl(stateDir)
    if (client !== null) return { control: client, close: async () => client.close() }
    try {
      return await open(options, remembered(stateDir, flags), flags, world)
    } catch (error) {
      const locked = error instanceof MillraceError && error.code === 'STREAM_STATE_LOCKED'
      if (!locked || world.clock.monotonic() >= giveUp) throw error
      await world.timers.sleep(OWNER_RETRY_MS)
    }
  }
}

/** Null: nothing is remembered, or another file is named; produce and query will ask for one, consume shows text. */
function remembered(stateDir: string, flags: ReachFlags): Remembered | null {
  const found = flags.topology === undefined ? recall(stateDir) : null
  if (found === null || existsSync(found.file)) return found
  throw new MillraceError(
    'STREAM_TOPOLOGY_FILE',
    `${stateDir} is of the topology ${found.file}, which is not there any more; name its file with --topology`,
  )
}

type Layered = Omit<ProcessorOptions, 'brokers'> & { readonly brokers?: readonly string[] | undefined }

async function open(layered: Layered, known: Remembered | null, flags: ReachFlags, world: World): Promise<Reached> {
  const { brokers, ...rest } = layered
  const options: ProcessorOptions = brokers === undefined ? rest : { ...rest, brokers }
  const file = flags.topology ?? known?.file ?? null
  const topology = file === null ? null : await loadTopology(file)
  const config = resolveConfig(known?.applicationId ?? topology?.name ?? 'millrace', options)
  const plan: Plan | null = topology === null ? null : planOf(topology, config.applicationId, config.onError)
  const { openLog } = await import('../app.ts')
  const log = await openLog(config, world)
  // The lock is ours by now: nobody else's topology is overwritten.
  if (file !== null && brokers === undefined) remember(config.stateDir, file, config.applicationId)
  const createPartitions = brokers === undefined ? (flags.partitions ?? LIMITS.embeddedPartitions) : null
  const named = options.applicationId === undefined ? {} : { applicationId: options.applicationId }
  return { control: recordsControl({ log, plan, world, createPartitions, ...named }), close: () => log.close() }
}
