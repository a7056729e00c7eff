// A network between clients and one broker: passes on whole requests and answers, and lets some of them have a mishap, as it is asked to.
//
// 1. What it passes on keeps its order on its connection. It changes no byte and sends nothing twice, as TCP.
// 2. A request that is late arrives even when its sender has given up its connection.
import { createServer, type Server, type Socket, connect } from 'node:net'
import { world } from './running.ts'

/** lost: the connection breaks before the request has gone. half: in the middle of it. unanswered: when the broker has answered. late: it arrives
 *  when its sender waits no more. slow: the answer takes so long. */
export const MISHAPS = ['lost', 'half', 'unanswered', 'late', 'slow'] as const
export type Mishap = (typeof MISHAPS)[number]

export interface Network {
  /** Where clients connect to. */
  readonly port: number
  close(): Promise<void>
}

export interface NetworkOptions {
  /** The broker's port. */
  readonly to: () => number
  /** Asked at each request. */
  readonly mishap: (apiKey: number) => Mishap | null
  readonly lateMs: number
}

const HEAD_BYTES = 12 // length, api key, version, correlation id

export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket
      .setNoDelay(true)
      .on('error', () => {})
      .once('close', () => sockets.delete(socket))
  }
  const server: Server = createServer((client) => join(keep(client), keep(connect(options.to(), '127.0.0.1')), options))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function join(client: Socket, broker: Socket, { mishap, lateMs }: NetworkOptions): void {
  /** By correlation id: what happens to the answer. */
  const answers = new Map<number, Mishap>()
  const cut = (): void => {
    client.destroy()
    broker.destroy()
  }
  const asked = inOrder()
  const answered = inOrder()
  frames(client, (frame) =>
    asked(async () => {
      const met = frame.length < HEAD_BYTES ? null : mishap(frame.readUInt16BE(4))
      if (met === 'unanswered' || met === 'slow') answers.set(frame.readInt32BE(8), met)
      if (met === 'late') await world.timers.sleep(lateMs)
      if (met === 'lost') return cut()
      if (met === 'half') {
        broker.write(frame.subarray(0, frame.length >> 1))
        await world.timers.sleep(10)
        return cut()
      }
      broker.write(frame)
    }),
  )
  frames(broker, (frame) =>
    answered(async () => {
      const met = answers.get(frame.readInt32BE(4))
      answers.delete(frame.readInt32BE(4))
      if (met === 'unanswered') return cut()
      if (met === 'slow') await world.timers.sleep(lateMs)
      client.write(frame)
    }),
  )
  client.once('close', () => asked(async () => void broker.destroySoon()))
  broker.once('close', () => answered(async () => void client.destroySoon()))
}

/** One step after the other. */
function inOrder(): (step: () => Promise<void>) => void {
  let last = Promise.resolve()
  return (step) => {
    last = last.then(step)
  }
}

/** Each message of Kafka's protocol: four bytes of length, and so many more. */
function frames(socket: Socket, take: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      take(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  })
}
