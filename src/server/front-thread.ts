// The front in a thread of its own: the file that `new Worker` runs. It has the sockets; what is asked of the processor goes over to its thread.
//
// 1. Where cores are short, records go before questions.
// 2. A port that cannot be opened is told by `failed`; what nobody caught ends the thread, and so the processor.
import { access } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { errorWords, loggerTo } from '../base/crossing.ts'
import { LIMITS } from '../base/limits.ts'
import { yieldToOthers } from '../base/niceness.ts'
import { Secret } from '../base/secret.ts'
import { systemWorld } from '../base/system.ts'
import { deskLink } from './desk-link.ts'
import { openFront } from './front.ts'
import type { FrontData, FrontSaid, FrontTold } from './front-words.ts'

const port = parentPort as MessagePort
const { token, ...data } = workerData as FrontData
const say = (said: FrontSaid): void => port.postMessage(said)
const world = systemWorld(loggerTo(say))
const desk = deskLink(say, world.timers)

// Threads of the pool, which the stores use too, are made by who needs them first, and with that one's priority.
access('/', () => yieldToOthers(LIMITS.frontNiceness))
const opening = openFront({
  ...data,
  token: token === null ? null : new Secret(token),
  world,
  answered: desk.count,
  ask: desk.ask,
})
opening.then(
  (front) => say({ kind: 'listens', port: front.port }),
  (error: unknown) => say({ kind: 'failed', error: errorWords(error) }),
)

port.on('message', (told: FrontTold) => {
  if (told.kind === 'answers') desk.told(told)
  else void close()
})

// Whoever asked would wait for ever.
port.on('messageerror', (error: Error) => {
  throw error
})

async function close(): Promise<void> {
  await opening.then((front) => front.close()).catch(() => {})
  say({ kind: 'closed' })
}
