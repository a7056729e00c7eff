// `millrace try`: the topology as a filter. Drives a session line by line; nothing leaves the process but stdout.
//
// 1. Each line is carried through completely before the next is read. Memory holds the lines of one read and what is uncommitted,
//    which is bounded: a barrier is put in after so many lines or bytes, and after each line that a person types.
// 2. Outputs are written in the order of their commit, each once.
// 3. A refused line ends it: what came before is committed and shown first.
import { MillraceError } from '../base/errors.ts'
import { closest } from '../base/suggest.ts'
import { badLine, lineBatches } from '../control/lines.ts'
import { type InputLine, parseLine, type RecordLine } from '../control/ndjson.ts'
import { encodeRecord, type RecordBytes, showRecord, type TopicSerdes } from '../control/serdes.ts'
import { pairWritings, prepareSerdes } from '../topology/prepare.ts'
import type { Session } from '../testing/session.ts'
import type { Topology } from '../topology/node.ts'
import { matchesTopic } from '../topology/pattern.ts'
import { loadTopology } from './load.ts'
import { type Output, outputTo } from './output.ts'

type Inputs = ReturnType<Session['inputs']>

const BARRIER_LINES = 10_000
const BARRIER_BYTES = 8 * 1024 * 1024
const CLOCK_MAX_MS = 8.64e15

export interface TryOptions {
  readonly partitions: number
  /** A person types the lines. */
  readonly interactive: boolean
}

export async function tryLines(session: Session, input: AsyncIterable<Uint8Array>, output: Output, options: TryOptions): Promise<void> {
  const outputSerdes = new Map<string, TopicSerdes | null>()
  const inputSerdes = new Map<string, TopicSerdes | null>()
  let clockMs = 0
  let lines = 0
  let bytes = 0

  const show = async (): Promise<void> => {
    for (const record of session.take()) {
      let serdes = outputSerdes.get(record.topic)
      if (serdes === undefined) {
        serdes = session.outputSerdes(record.topic)
        outputSerdes.set(record.topic, serdes)
      }
      if (output.line(showRecord(record, serdes))) await output.flush()
    }
    await output.flush()
  }
  const barrier = async (): Promise<void> => {
    await session.commit()
    lines = 0
    bytes = 0
    await show()
  }
  const encode = async (line: RecordLine): Promise<RecordBytes> => {
    let serdes = inputSerdes.get(line.topic)
    if (serdes === undefined) {
      serdes = serdesOf(session.inputs(), line.topic)
      if (serdes !== null) await prepareSerdes(pairWritings(line.topic, serdes))
      inputSerdes.set(line.topic, serdes)
    }
    if (serdes === null) throw badLine(line.number, unknownTopic(session.inputs(), line.topic))
    if (line.partition !== null && line.partition >= options.partitions)
      throw badLine(
        line.number,
        `partition ${line.partition} is out of range: there ${options.partitions === 1 ? 'is 1' : `are ${options.partitions}`} (--partitions)`,
      )
    return encodeRecord(line, serdes)
  }
  const take = async (line: InputLine): Promise<void> => {
    switch (line.kind) {
      case 'record':
        await session.pipe({
          topic: line.topic,
          ...(await encode(line)),
          ...(line.timestamp === null ? {} : { timestamp: line.timestamp }),
          ...(line.partition === null ? {} : { partition: line.partition }),
          headers: line.headers,
        })
        lines++
        return
      case 'advance':
        if (clockMs + line.ms > CLOCK_MAX_MS) throw badLine(line.number, 'advance leads beyond the last date there is')
        clockMs += line.ms
        await session.advance(line.ms)
        lines++
        return
      case 'commit':
        return await barrier()
      case 'crash':
        return await session.crash()
      case 'reset':
        await barrier()
        await session.reset()
        clockMs = 0
        output.line('{"reset":true}')
        return await output.flush()
    }
  }

  try {
    for await (const batch of lineBatches(input)) {
      for (const line of batch) {
        const parsed = parseLine(line)
        if (parsed === null) continue
        await take(parsed)
        bytes += line.bytes.length
        if (lines > 0 && (options.interactive || lines >= BARRIER_LINES || bytes >= BARRIER_BYTES)) await barrier()
      }
    }
  } catch (error) {
    if (error instanceof MillraceError && error.disposition === 'usage') await barrier()
    await session.close().catch(() => {}) // the first error is the one to tell
    throw error
  }
  await session.close()
  await show()
}

function serdesOf(inputs: Inputs, topic: string): TopicSerdes | null {
  const exact = inputs.find((input) => input.topic === topic)
  return exact ?? inputs.find((input) => input.topic instanceof RegExp && matchesTopic(input.topic, topic)) ?? null
}

function unknownTopic(inputs: Inputs, topic: string): string {
  const names = inputs.map((input) => String(input.topic))
  const near = closest(topic, names)
  const patterns = inputs.some((input) => input.topic instanceof RegExp) ? ' (a pattern matches the whole name)' : ''
  return `the topology reads no topic ${JSON.stringify(topic)}${near === '' ? `; it reads ${names.join(', ')}${patterns}` : near}`
}

/** Opens the session and runs the whole filter. */
export async function tryTopology(
  topology: Topology,
  input: AsyncIterable<Uint8Array>,
  output: Output,
  options: TryOptions & { readonly seed: number | null },
): Promise<void> {
  const { openSession } = await import('../testing/session.ts')
  const session = await openSession(topology, {
    partitions: options.partitions,
    ...(options.seed === null ? {} : { seed: options.seed }),
  })
  await tryLines(session, input, output, options)
}

export async function tryFile(file: string, flags: { readonly partitions: number; readonly seed?: number }): Promise<void> {
  // stdout is for records; what a topology file prints for its author goes to stderr.
  globalThis.console = new console.Console(process.stderr, process.stderr)
  const topology = await loadTopology(file)
  const options = { partitions: flags.partitions, seed: flags.seed ?? null, interactive: process.stdin.isTTY === true }
  await tryTopology(topology, process.stdin, outputTo(process.stdout), options)
}
