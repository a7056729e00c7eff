// The other end of the control socket: a ControlHandler whose work is done by the process that owns the state directory.
//
// 1. No socket, or one that nobody listens to, is no error: null, and the caller may open the log itself.
// 2. An owner that goes away in the middle is STREAM_CLOSED: what was answered before is durable, the rest is not known.
import { connect, type Socket } from 'node:net'
import { type ErrorCode, MillraceError } from '../base/errors.ts'
import type { ProcessFigures } from './figures.ts'
import { type Line, lineBatches, lineText } from './lines.ts'
import { withSocketPath } from './socket.ts'
import { type Answer, type ControlHandler, FRAME_BYTES_MAX, frame, parseAnswer, REQUEST_BYTES, type Request } from './wire.ts'

export interface ControlClient extends ControlHandler {
  close(): void
}

const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR'])

function dial(stateDir: string): Promise<Socket | null> {
  return withSocketPath(
    stateDir,
    (path) =>
      new Promise((resolve, reject) => {
        const socket = connect(path)
        socket.once('connect', () => resolve(socket))
        socket.once('error', (error: NodeJS.ErrnoException) => {
          if (NOBODY.has(error.code ?? '')) resolve(null)
          else
            reject(new MillraceError('STREAM_USAGE', `control socket of ${stateDir} cannot be reached (${error.code})`, { cause: error }))
        })
      }),
  )
}

export async function canConnect(stateDir: string): Promise<boolean> {
  const socket = await dial(stateDir)
  socket?.destroy()
  return socket !== null
}

export async function connectControl(stateDir: string): Promise<ControlClient | null> {
  const socket = await dial(stateDir)
  return socket === null ? null : clientOn(socket, stateDir)
}

function clientOn(socket: Socket, stateDir: string): ControlClient {
  let failure: unknown
  socket.on('error', (error) => {
    failure = error
  })
  const answers = answersOf(socket)

  async function* ask(request: Request): AsyncGenerator<Answer> {
    if (!socket.write(frame(request)) && !socket.destroyed) await new Promise<void>((resolve) => onceEither(socket, resolve))
    for (;;) {
      const { value, done } = await answers.next()
      if (done === true)
        throw new MillraceError(
          'STREAM_CLOSED',
          `the process that owns ${stateDir} has gone away`,
          failure === undefined ? {} : { cause: failure },
        )
      if ('error' in value) throw new MillraceError(value.error.code as ErrorCode, value.error.message)
      yield value
      if ('ok' in value) return
    }
  }
  const last = async (request: Request): Promise<Answer> => {
    let answer: Answer = { lines: [] }
    for await (const one of ask(request)) answer = one
    return answer
  }

  return {
    async produce(lines) {
      for (const lot of lots(lines)) await last({ op: 'produce', lines: lot })
    },
    async *consume(topic, follow) {
      for await (const answer of ask({ op: 'consume', topic, follow })) if ('lines' in answer) yield answer.lines
    },
    async query(store, key) {
      const answer = await last({ op: 'query', store, key })
      return 'ok' in answer ? (answer.row ?? null) : null
    },
    async *rows(store, rowsAsk, limit) {
      for await (const answer of ask({ op: 'rows', store, ask: rowsAsk, limit })) if ('lines' in answer) yield answer.lines
    },
    async *deadLetters(deadLetterAsk) {
      for await (const answer of ask({ op: 'deadLetters', ask: deadLetterAsk })) if ('lines' in answer) yield answer.lines
    },
    async figures() {
      const answer = await last({ op: 'figures' })
      return ('ok' in answer ? answer.figures : undefined) as ProcessFigures
    },
    close: () => socket.destroy(),
  }
}

function onceEither(socket: Socket, resolve: () => void): void {
  socket.once('drain', resolve)
  socket.once('close', resolve)
}

async function* answersOf(socket: Socket): AsyncGenerator<Answer> {
  try {
    for await (const batch of lineBatches(socket, FRAME_BYTES_MAX)) for (const line of batch) yield parseAnswer(line.bytes.toString('utf8'))
  } catch (error) {
    if (error instanceof MillraceError) throw error
    // A broken connection is told by its end.
  }
}

/** A line that is not text ends it, after the lines before it. */
function* lots(lines: readonly Line[]): Generator<(readonly [number, string])[]> {
  let lot: (readonly [number, string])[] = []
  let bytes = 0
  for (const line of lines) {
    try {
      lot.push([line.number, lineText(line)])
    } catch (error) {
      if (lot.length > 0) yield lot
      throw error
    }
    bytes += line.bytes.length
    if (bytes < REQUEST_BYTES) continue
    yield lot
    lot = []
    bytes = 0
  }
  if (lot.length > 0) yield lot
}
