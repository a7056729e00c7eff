// The owner's end of the control socket: answers `produce`, `consume`, `query`, `dead-letter` and `top` of other processes on this machine.
//
// 1. Mode 0600 from its first moment; it is made in the state directory and removed at the end.
// 2. The socket file of a process that died is replaced; one that answers belongs to a live process (STREAM_STATE_LOCKED).
// 3. One request at a time on a connection; a reader that is slow slows down its own `consume` only.
// 4. A connection that leaves ends what it asked for.
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { MillraceError } from '../base/errors.ts'
import { canConnect } from './client.ts'
import { lineBatches } from './lines.ts'
import { jsonText } from './serdes.ts'
import { withSocketPath } from './socket.ts'
import { type Answer, type ControlHandler, errorAnswer, FRAME_BYTES_MAX, frame, parseRequest, SOCKET_NAME } from './wire.ts'

const CONNECTIONS_MAX = 64

export interface ControlServer {
  close(): Promise<void>
}

/** The caller holds the state directory's lock. */
export async function openControlServer(stateDir: string, handler: ControlHandler): Promise<ControlServer> {
  const file = join(stateDir, SOCKET_NAME)
  if (await canConnect(stateDir))
    throw new MillraceError(
      'STREAM_STATE_LOCKED',
      `state directory ${stateDir} belongs to another running process; stop it, or use another --state-dir`,
    )
  rmSync(file, { force: true })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    void serve(socket, handler).finally(() => socket.destroy())
  })
  server.maxConnections = CONNECTIONS_MAX
  await withSocketPath(stateDir, (path) => listen(server, path))
  chmodSync(file, 0o600)
  return {
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => {
        server.close(() => {
          rmSync(file, { force: true })
          resolve()
        })
      })
    },
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new MillraceError('STREAM_USAGE', `control socket ${path} cannot be made`, { cause: error })))
    server.once('listening', resolve)
    // The bind happens inside this call.
    const before = process.umask(0o177)
    server.listen(path)
    process.umask(before)
  })
}

async function serve(socket: Socket, handler: ControlHandler): Promise<void> {
  const gone = new AbortController()
  // Through a pipe the socket is always being read, so that a peer who leaves is noticed while its request is worked on.
  const requests = socket.pipe(new PassThrough())
  socket.on('close', () => {
    gone.abort()
    requests.destroy()
  })
  try {
    for await (const batch of lineBatches(requests, FRAME_BYTES_MAX)) {
      for (const line of batch) {
        await answer(socket, handler, line.bytes.toString('utf8'), gone.signal)
        if (gone.signal.aborted) return
      }
    }
  } catch (error) {
    if (!gone.signal.aborted) await send(socket, errorAnswer(error))
  }
}

async function answer(socket: Socket, handler: ControlHandler, text: string, gone: AbortSignal): Promise<void> {
  try {
    const request = parseRequest(text)
    if (request.op === 'produce') {
      await handler.produce(request.lines.map(([number, line]) => ({ number, bytes: Buffer.from(line, 'utf8') })))
      await send(socket, { ok: true })
    } else if (request.op === 'query') {
      const row = await handler.query(request.store, request.key)
      await send(socket, row === null ? { ok: true } : { ok: true, row: plain(row) })
    } else if (request.op === 'figures') {
      await send(socket, { ok: true, figures: await handler.figures() })
    } else if (request.op === 'rows') {
      for await (const lines of handler.rows(request.store, request.ask, request.limit)) {
        if (gone.aborted) return
        await send(socket, { lines })
      }
      await send(socket, { ok: true })
    } else if (request.op === 'deadLetters') {
      for await (const lines of handler.deadLetters(request.ask, gone)) {
        if (gone.aborted) return
        await send(socket, { lines })
      }
      await send(socket, { ok: true })
    } else {
      for await (const lines of handler.consume(request.topic, request.follow, gone)) {
        if (gone.aborted) return
        await send(socket, { lines })
      }
      await send(socket, { ok: true })
    }
  } catch (error) {
    if (!gone.aborted) await send(socket, errorAnswer(error))
  }
}

/** As a line of JSON takes it: what a custom serde gives may have bigints. */
function plain<T>(row: T): T {
  return JSON.parse(jsonText(row)) as T
}

/** Resolves when the socket wants more, or is gone. */
function send(socket: Socket, message: Answer): Promise<void> {
  if (socket.destroyed || socket.write(frame(message))) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
