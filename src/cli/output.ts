// What goes to stdout: lines, gathered into blocks, at the speed of whoever reads them.
//
// 1. Never more than one block waits here; `flush` resolves when the stream wants more.
// 2. A reader that has left (EPIPE) ends the process quietly, status 0: `millrace consume x | head` is no error.
import type { Writable } from 'node:stream'

const BLOCK_CHARS = 64 * 1024

export interface Output {
  /** Takes a line without its end. True: enough is waiting, await `flush` before the next. */
  line(text: string): boolean
  flush(): Promise<void>
}

export function outputTo(stream: Writable): Output {
  let waiting: string[] = []
  let chars = 0
  return {
    line(text) {
      waiting.push(text)
      chars += text.length
      return chars >= BLOCK_CHARS
    },
    async flush() {
      if (waiting.length === 0) return
      const block = `${waiting.join('\n')}\n`
      waiting = []
      chars = 0
      await new Promise<void>((resolve, reject) => stream.write(block, (error) => (error ? reject(error) : resolve())))
    },
  }
}

export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
