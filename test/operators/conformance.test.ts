// The cases of the conformance suite that this stage's operators decide, wired by hand: what is expected is what Kafka Streams gave.
// (The same cases run through the whole program elsewhere; here a wrong rule points at its operator.)
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { conformanceFlows } from './conformance-flows.ts'
import { type NodeSpec, type Sent, Task, text } from './harness.ts'

interface Line {
  readonly topic: string
  readonly key?: string | null
  readonly value: unknown
  readonly timestamp: number
}

interface Case {
  readonly case: string
  readonly compare: 'sequence' | 'final-table'
  readonly input: readonly Line[]
  readonly expected: readonly Line[]
}

const folder = fileURLToPath(new URL('../../../shared/conformance/', import.meta.url))
const here = existsSync(folder)
if (!here) console.warn(`skipped: the conformance cases are not at ${folder}`)

const cases = (name: string): Case[] =>
  readFileSync(`${folder}${name}/cases.ndjson`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Case)

function play(nodes: readonly NodeSpec[], input: readonly Line[]): Line[] {
  const out: Line[] = []
  const internal: Sent[] = []
  const outputs = new Map(nodes.flatMap((node) => (node.operator.kind === 'sink' ? [[node.operator.topic, node] as const] : [])))
  const sources = nodes.filter((node) => node.operator.kind === 'source')
  const readBy = (topic: string): NodeSpec | undefined => sources.find((node) => (node.operator.topics as string[]).includes(topic))
  const task = new Task(nodes, {
    send(sent) {
      if (readBy(sent.topic) !== undefined) return internal.push(sent)
      const sink = outputs.get(sent.topic) ?? [...outputs.values()].find((node) => typeof node.operator.topic === 'function')!
      const decoded = (bytes: Buffer | null, serde = text): unknown => (bytes === null ? null : serde.decode(bytes))
      return out.push({
        topic: sent.topic,
        key: decoded(sent.key, sink.key) as string | null,
        value: decoded(sent.value, sink.value),
        timestamp: sent.timestamp,
      })
    },
  })
  const bytes = (value: unknown, serde = text): Buffer | null =>
    value === null || value === undefined ? null : (serde.encode(value as string) as Buffer)
  for (const line of input) {
    const serde = readBy(line.topic)!.value
    task.receive(line.topic, { key: bytes(line.key), value: bytes(line.value, serde), timestamp: line.timestamp })
    for (let sent = internal.shift(); sent !== undefined; sent = internal.shift()) task.receive(sent.topic, sent)
  }
  return out
}

/** Per topic what was written, in order; of a final table the rows that are left. */
function shown(lines: readonly Line[], compare: Case['compare']): Record<string, unknown[]> {
  const shownLine = ({ key, value, timestamp }: Line): unknown => [key ?? null, value, timestamp]
  if (compare === 'sequence') {
    const topics = [...new Set(lines.map((line) => line.topic))]
    return Object.fromEntries(topics.map((topic) => [topic, lines.filter((line) => line.topic === topic).map(shownLine)]))
  }
  const last = new Map(lines.map((line) => [`${line.topic}/${line.key}`, line]))
  return Object.fromEntries([...last].filter(([, line]) => line.value !== null).map(([at, line]) => [at, [shownLine(line)]]))
}

describe.skipIf(!here)('as Kafka Streams', () => {
  test('there are cases for every flow', () => {
    for (const name of Object.keys(conformanceFlows)) expect(cases(name).length, name).toBeGreaterThan(4)
  })
  describe.each(Object.entries(conformanceFlows))('%s', (name, nodes) => {
    test.each(here ? cases(name).map((each) => [each.case, each] as const) : [])('%s', (_name, each) => {
      expect(each.input.length).toBeGreaterThan(0)
      expect(shown(play(nodes, each.input), each.compare)).toEqual(shown(each.expected, each.compare))
    })
  })
})
