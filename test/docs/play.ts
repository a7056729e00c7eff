// Plays pieces of topologies as a document shows them: imports each file that is named, feeds it the lines that begin with `> `, and
// prints, as one JSON object, what each file would show. Run by test/docs.test.ts in a process of its own.
//
//   > orders o1 {"cents":5} @1000     a record: topic, key (- is none), value (- is null), timestamp (without one: the wall clock)
//   > advance 30s                     moves the wall clock
//   totals ada 900 @1000              what comes out for the lines above it
//   keeps: ...                        the stores; topics: ... the internal topics
import { pathToFileURL } from 'node:url'
import { type Duration, durationMs } from '../../src/base/duration.ts'
import { shown as shownAs } from '../../src/control/serdes.ts'
import type { AnySerde } from '../../src/serde/serde.ts'
import { openSession, type Session } from '../../src/testing/session.ts'
import type { Topology } from '../../src/topology/node.ts'
import { readsTopic } from '../../src/topology/pattern.ts'

const LINE = /^> (\S+) (\S+) (.*?)(?: @(\d+))?$/

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
function bytesOf(text: string, serde: AnySerde): Buffer | null {
  if (text === '-') return null
  const json = serde.name === 'string' ? text : jsonOf(text)
  return Buffer.from(serde.encode(serde.fromJson === undefined ? json : serde.fromJson(json)))
}
const textOf = (bytes: Buffer | null, serde: AnySerde | undefined): string => {
  const json = shownAs(bytes, serde)
  return json === null ? '-' : typeof json === 'string' ? json : JSON.stringify(json)
}

async function fed(session: Session, line: string): Promise<void> {
  const advance = /^> advance (\S+)$/.exec(line)
  if (advance !== null) return await session.advance(durationMs(advance[1] as Duration, 'advance'))
  const [, topic = '', key = '', value = '', timestamp] = LINE.exec(line) ?? []
  const input = session.inputs().find((source) => readsTopic(source.topic, topic))
  if (input === undefined) throw new Error(`${line}: no such input`)
  await session.pipe({
    topic,
    key: bytesOf(key, input.key),
    value: bytesOf(value, input.value),
    ...(timestamp === undefined ? {} : { timestamp: Number(timestamp) }),
  })
}

async function played(topology: Topology, shown: string): Promise<string> {
  const session = await openSession(topology, {})
  const printed: string[] = []
  for (const line of shown.split('\n')) {
    if (line.startsWith('> ')) {
      await fed(session, line)
      await session.commit()
      printed.push(line)
      for (const { topic, key, value, timestamp } of session.take()) {
        const serdes = session.outputSerdes(topic)
        printed.push(`${topic} ${textOf(key, serdes?.key)} ${textOf(value, serdes?.value)} @${timestamp}`)
      }
    } else if (line.startsWith('keeps: ')) printed.push(state(session))
  }
  await session.close()
  return printed.join('\n')
}

function state({ plan }: Session): string {
  const stores = [...plan.subTopologies.flatMap((sub) => sub.stores), ...plan.globals.map(({ store }) => store)].map(({ name }) => name)
  const topics = plan.internalTopics.map(({ name }) => name)
  return `keeps: ${stores.sort().join(', ') || 'nothing'}; topics: ${topics.sort().join(', ') || 'none'}`
}

const pieces = JSON.parse(process.argv[2] as string) as { file: string; shown: string | null }[]
const answers: Record<string, string> = {}
for (const { file, shown } of pieces) {
  const module = (await import(pathToFileURL(file).href)) as { default: Topology }
  answers[file] = shown === null ? '' : await played(module.default, shown)
}
process.stdout.write(JSON.stringify(answers))
