// Splits a byte stream into numbered lines, a chunk's worth at a time: no promise a line, and no more in memory than a chunk and
// the line that is still open.
//
// 1. Numbers count from 1 and count empty lines too: they are what an editor shows.
// 2. A line longer than the limit is an error that names its number; the lines before it have come out by then.
// 3. Line ends are LF or CRLF; the last line needs none. A byte order mark at the very start is no part of line 1.
import { isUtf8 } from 'node:buffer'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'

export interface Line {
  readonly number: number
  readonly bytes: Buffer
}

const LF = 0x0a
const CR = 0x0d
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

export function badLine(number: number, what: string, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_USAGE', `line ${number}: ${what}`, { cause })
}

export async function* lineBatches(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax: number = LIMITS.lineBytesMax,
): AsyncGenerator<readonly Line[]> {
  let open: Buffer[] = []
  let openBytes = 0
  let number = 1
  const finish = (tail: Buffer): Line => {
    let bytes = open.length === 0 ? tail : Buffer.concat([...open, tail])
    if (number === 1 && bytes.subarray(0, 3).equals(BOM)) bytes = bytes.subarray(3)
    if (bytes.at(-1) === CR) bytes = bytes.subarray(0, -1)
    open = []
    openBytes = 0
    return { number: number++, bytes }
  }
  for await (const piece of chunks) {
    const chunk = Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const lines: Line[] = []
    let from = 0
    let tooLong = false
    for (let end = chunk.indexOf(LF); ; end = chunk.indexOf(LF, from)) {
      const to = end === -1 ? chunk.length : end
      tooLong = openBytes + to - from > lineBytesMax
      if (tooLong || end === -1) break
      lines.push(finish(chunk.subarray(from, end)))
      from = end + 1
    }
    if (lines.length > 0) yield lines
    if (tooLong) throw badLine(number, `longer than the limit of ${lineBytesMax} bytes`)
    if (from < chunk.length) {
      open.push(chunk.subarray(from))
      openBytes += chunk.length - from
    }
  }
  if (openBytes > 0) yield [finish(Buffer.alloc(0))]
}

/** The line as text; empty for a line of blanks. */
export function lineText(line: Line): string {
  if (!isUtf8(line.bytes)) throw badLine(line.number, 'not UTF-8')
  return line.bytes.toString('utf8').trim()
}
