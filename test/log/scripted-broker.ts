// A broker in little, on a real socket: it speaks the requests that the Kafka adapter sends, says yes to everything, and at places that a
// test chooses gives another answer: an error code, or a connection that ends before or after the request was done. So the adapter's own
// code is driven through every answer, down to its sockets.
//
// 1. It does what it says: an EndTxn moves the offsets of its transaction, once; InitProducerId raises the epoch and drops what was open.
// 2. `asked` is every request in the order of arrival, with what a test wants to know of it.
import { createServer, type Server, type Socket } from 'node:net'
import { Reader, Writer } from '@platformatic/kafka'
import { APIS, type Api, epochHandlers, otherHandlers, type Seen, type State, TOPIC } from './scripted-requests.ts'

/** A code is answered and nothing done. lost: the connection ends, nothing was done. cut: it was done, then the connection ends. silent: it
 *  was done, no answer ever comes. */
export type Step = number | 'lost' | 'cut' | 'silent'

export interface Asked extends Seen {
  readonly api: Api
  readonly version: number
  /** Counted from 1. */
  readonly connection: number
}

export interface ScriptedBroker {
  readonly address: string
  readonly asked: readonly Asked[]
  /** The committed offsets of its one group, by `topic-partition`. */
  readonly offsets: ReadonlyMap<string, number>
  /** What the next requests of this kind get, in order; then all is well again. */
  script(api: Api, ...steps: readonly Step[]): void
  /** Steps that nothing has asked for yet. */
  pending(): number
  count(api: Api): number
  close(): Promise<void>
}

export async function scriptedBroker(): Promise<ScriptedBroker> {
  const asked: Asked[] = []
  const scripts = new Map<Api, Step[]>()
  const state: State = {
    port: 0,
    epoch: -1,
    generation: 0,
    members: 0,
    base: 0,
    offsets: new Map(),
    pending: new Map(),
    topics: new Set([TOPIC]),
  }
  const sockets = new Set<Socket>()
  let connections = 0

  const handlers = { ...epochHandlers(state), ...otherHandlers(state) }

  const take = (socket: Socket, connection: number, frame: Buffer): void => {
    const r = Reader.from(frame)
    const [api] = APIS[r.readInt16() as keyof typeof APIS]
    const version = r.readInt16()
    const correlation = r.readInt32()
    r.readNullableString(false)
    r.readTaggedFields()
    const handler = handlers[api](r, version)
    asked.push({ api, version, connection, ...handler.seen })
    const step = scripts.get(api)?.shift() ?? 0
    if (step === 'lost') return void socket.destroy()
    if (typeof step !== 'number' || step === 0) handler.apply?.()
    if (step === 'cut') return void socket.destroy()
    if (step === 'silent') return
    const head = Writer.create().appendInt32(correlation)
    if (api !== 'ApiVersions') head.appendTaggedFields()
    const answer = Buffer.concat([head.buffer, handler.answer(step).buffer])
    const size = Buffer.alloc(4)
    size.writeInt32BE(answer.length)
    const send = (): void => void (socket.writable && socket.write(Buffer.concat([size, answer])))
    if (handler.delayMs === undefined) send()
    else setTimeout(send, handler.delayMs)
  }

  const server: Server = createServer((socket) => {
    const connection = ++connections
    let rest = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0) && !socket.destroyed) {
        const size = rest.readInt32BE(0)
        take(socket, connection, rest.subarray(4, 4 + size))
        rest = rest.subarray(4 + size)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  state.port = (server.address() as { port: number }).port
  return {
    address: `127.0.0.1:${state.port}`,
    asked,
    offsets: state.offsets,
    script: (api, ...steps) => void scripts.set(api, [...steps]),
    pending: () => [...scripts.values()].reduce((sum, steps) => sum + steps.length, 0),
    count: (api) => asked.filter((each) => each.api === api).length,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
