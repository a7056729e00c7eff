// A worker in a thread of its own: what `new Worker` runs, by entry.ts. Imports the topology's module again, opens its own log, and runs one
// member; answers what the processor asks about its stores.
//
// Invariants
// 1. What ends the member ends the processor: it is told once, by `failed`, and the thread waits to be closed.
// 2. After an exception that nobody caught nothing more is committed: the processor ends the thread as it is.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { openLog } from '../../app.ts'
import { errorWords, loggerTo } from '../../base/crossing.ts'
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { systemWorld } from '../../base/system.ts'
import { loadTopology } from '../../cli/load.ts'
import { resolveConfig } from '../../config.ts'
import type { Log } from '../../log/log.ts'
import type { Metered } from '../../server/served.ts'
import type { WorkerMetrics } from '../../server/metrics.ts'
import { fingerprint } from '../../topology/fingerprint.ts'
import { plan as planOf } from '../../topology/plan.ts'
import { statusOf } from '../crew.ts'
import { Member } from '../member.ts'
import { prepareTopics } from '../topics.ts'
import { claimsOver } from './claims.ts'
import { StoreAnswers } from './store-answers.ts'
import type { Answered, Asked, Question, Reply, Said, ThreadData, Told } from './words.ts'

const port = parentPort as MessagePort
const data = workerData as ThreadData
const say = (said: Said): void => port.postMessage(said)
const world = systemWorld(loggerTo(say))
const claims = claimsOver(say)
const begun = Promise.withResolvers<void>()
let stopping = false
let log: Log | null = null
let member: Member | null = null
let metrics: WorkerMetrics | null = null
let answers: StoreAnswers | null = null
let cancelWord = (): void => {}

process.on('uncaughtException', (error) => {
  say({ kind: 'failed', error: errorWords(error) })
  process.exit(1) // this thread; what it has said still arrives
})
port.on('message', (told: Told) => {
  if ('taken' in told) claims.told(told.taken, told.free)
  else if ('begin' in told) begun.resolve()
  else void answer(told, (answered, handOver) => port.postMessage(answered, handOver))
})
data.door.port.on('message', (asked: Asked) => {
  void answer(asked, (answered, handOver) => {
    data.door.port.postMessage(answered, handOver)
    Atomics.add(data.door.answers, 0, 1)
    Atomics.notify(data.door.answers, 0)
  })
})

boot().then(
  () => say({ kind: 'started' }),
  (error: unknown) => {
    if (!stopping) say({ kind: 'failed', error: errorWords(error) })
  },
)

async function boot(): Promise<void> {
  const { millraceWorker: number, options, processId } = data
  const topology = await loadTopology(fileURLToPath(data.module))
  const config = resolveConfig(topology.name, options)
  const plan = planOf(topology, config.applicationId, config.onError)
  if (fingerprint(plan).hash !== data.fingerprint)
    throw new MillraceError(
      'STREAM_TOPOLOGY_FILE',
      `${data.module}: its default export is another topology than the one that the processor was given; each worker imports the module again, so it must build the same one each time`,
    )
  refuseStopping()
  const opened = await openLog(config, world)
  if (stopping) {
    await opened.close()
    refuseStopping()
  }
  log = opened
  say({ kind: 'opened' })
  await begun.promise
  refuseStopping()
  const topics = await prepareTopics(log, plan, null)
  refuseStopping()
  const state = { path: config.stateDir, stores: join(config.stateDir, config.applicationId), processId }
  const mine = new Member({
    config,
    plan,
    state,
    topics,
    log,
    world,
    number,
    count: data.count,
    claims,
    place: data.place,
    onPeers: (peers) => say({ kind: 'peers', peers }),
    stopping: () => stopping,
    onFatal: (error) => say({ kind: 'failed', error: errorWords(error) }),
    onEpoch: (figure) => metrics?.epoch(figure),
  })
  member = mine
  answers = new StoreAnswers(mine, world)
  if (data.metrics) {
    const { openWorkerMetrics } = await import('../../server/metrics.ts')
    const metered: Metered = {
      plan,
      world,
      ready: () => mine.words()[0].ready,
      sized: () => topics.sized,
      tasks: () => mine.tasks(),
      applying: () => mine.applying(),
      globalStore: (name) => mine.globalStore(name),
      figures: () => statusOf(mine.words()),
    }
    metrics = openWorkerMetrics(metered, number)
  }
  await mine.start()
  tell()
}

/** Now and from now on. */
function tell(): void {
  if (member === null || stopping) return
  say({ kind: 'word', word: member.words()[0] })
  cancelWord = world.timers.after(LIMITS.workerWordMs, tell)
}

function refuseStopping(): void {
  if (stopping) throw new MillraceError('STREAM_CLOSED', 'the processor was closed while it was starting')
}

async function answer({ id, question }: Asked, send: (answered: Answered, handOver: readonly ArrayBuffer[]) => void): Promise<void> {
  try {
    const reply = await replyTo(question)
    send({ kind: 'answer', id, reply }, reply instanceof Uint8Array ? [reply.buffer as ArrayBuffer] : [])
  } catch (error) {
    send({ kind: 'answer', id, error: errorWords(error) }, [])
  }
}

async function replyTo(question: Question): Promise<Reply> {
  if (question.kind === 'close') return await close(question.leave)
  if (question.kind === 'metrics') return (await metrics?.read()) ?? null
  if (answers === null) throw new MillraceError('STREAM_NOT_LOCAL', 'the worker is just starting')
  return await answers.reply(question)
}

/** A log that is just being opened is not waited for: nothing else is open then, and the thread is ended. */
async function close(leave: boolean): Promise<null> {
  stopping = true
  begun.resolve()
  cancelWord()
  try {
    await member?.close(leave)
  } finally {
    await log?.close()
  }
  return null
}
