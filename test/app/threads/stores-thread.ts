// A thread that answers for stores in memory as a worker's thread does, without a log and without a topology.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Member } from '../../../src/app/member.ts'
import { StoreAnswers } from '../../../src/app/threads/store-answers.ts'
import { errorWords } from '../../../src/base/crossing.ts'
import type { Asked, Question, Reply, ThreadData } from '../../../src/app/threads/words.ts'
import { systemWorld } from '../../../src/base/system.ts'
import { memoryProvider } from '../../../src/state/memory.ts'

const port = parentPort as MessagePort
const { door } = workerData as Pick<ThreadData, 'door'>
const world = systemWorld()
const provider = memoryProvider()
const open = async (task: string) => ({
  id: task,
  stores: [{ name: 'rows', overlay: { store: (await provider.open(task, 'rows', true)).store } }],
})
const tasks = new Map([
  ['0_0', await open('0_0')],
  ['0_1', await open('0_1')],
])
const state = { applying: false, epoch: 0 }

/** One epoch: all rows of both tasks get its number; the second task a moment later. */
async function apply(): Promise<void> {
  const value = Buffer.from(String(++state.epoch))
  const writes = Array.from({ length: 3_000 }, (_, i) => ({ key: Buffer.from(`k${i}`.padStart(6, '0')), value, timestamp: state.epoch }))
  state.applying = true
  for (const { stores } of tasks.values()) {
    await stores[0]?.overlay.store.apply(writes, { changelogOffset: state.epoch })
    await world.timers.sleep(2)
  }
  state.applying = false
}
await apply()
void (async () => {
  for (;;) {
    await apply()
    await world.timers.sleep(1)
  }
})()

const answers = new StoreAnswers(
  { tasks: () => tasks, globalStore: () => undefined, applying: () => state.applying } as unknown as Member,
  world,
)

async function answer({ id, question }: Asked, send: (message: object) => void): Promise<void> {
  try {
    send({ kind: 'answer', id, reply: await reply(question) })
  } catch (error) {
    send({ kind: 'answer', id, error: errorWords(error) })
  }
}

function reply(question: Question): Reply | Promise<Reply> {
  if (question.kind === 'metrics') return new Promise(() => {}) // a worker that does not come round to it
  if (question.kind === 'close') process.exit(0)
  return answers.reply(question)
}

port.on('message', (asked: Asked) => void answer(asked, (message) => port.postMessage(message)))
door.port.on('message', (asked: Asked) => {
  void answer(asked, (message) => {
    door.port.postMessage(message)
    Atomics.add(door.answers, 0, 1)
    Atomics.notify(door.answers, 0)
  })
})
port.postMessage({ kind: 'started' })
