// The methods of Kafka Streams that docs/from-kafka-streams.md has a row for, as javap tells them of the jars. Prints the list:
// node test/docs/java-methods.ts <kafka-streams.jar> <kafka-streams-test-utils.jar> > test/docs/kafka-streams-methods.txt
//
// 1. One line a method: `Class.method`. Of joins and windowedBy one an overload that differs in what is joined or in the window.
// 2. Options of StreamsConfig are `StreamsConfig.name.of.option`.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const CLASSES: readonly string[] = [
  ...['StreamsBuilder', 'Topology', 'KafkaStreams'],
  ...['KStream', 'KTable', 'GlobalKTable', 'KGroupedStream', 'KGroupedTable', 'CogroupedKStream', 'TimeWindowedKStream'],
  ...['SessionWindowedKStream', 'TimeWindowedCogroupedKStream', 'SessionWindowedCogroupedKStream', 'BranchedKStream', 'Branched'],
  ...['Consumed', 'Produced', 'Materialized', 'Grouped', 'Joined', 'StreamJoined', 'TableJoined', 'Repartitioned', 'Named', 'Printed'],
  ...['Suppressed', 'Suppressed$BufferConfig', 'EmitStrategy', 'JoinWindows', 'TimeWindows', 'SlidingWindows', 'SessionWindows'],
  ...['UnlimitedWindows', 'WindowedSerdes', 'ProcessorContext', 'FixedKeyProcessorContext', 'ProcessingContext', 'Processor'],
  ...['FixedKeyProcessor', 'ProcessorSupplier', 'Stores', 'StoreBuilder', 'KeyValueStore', 'ReadOnlyKeyValueStore', 'WindowStore'],
  ...['ReadOnlyWindowStore', 'SessionStore', 'ReadOnlySessionStore', 'VersionedKeyValueStore', 'KeyQuery', 'RangeQuery'],
  ...['WindowKeyQuery', 'WindowRangeQuery', 'VersionedKeyQuery', 'MultiVersionedKeyQuery', 'TimestampedKeyQuery'],
  ...['TimestampedRangeQuery', 'TopologyTestDriver', 'TestInputTopic', 'TestOutputTopic'],
]

const PACKAGES = ['', 'kstream.', 'processor.api.', 'state.', 'query.']
const OVERLOADED = /^(join|leftJoin|outerJoin|windowedBy)$/
const NOT_THEIRS = new Set(['toString', 'equals', 'hashCode', 'static'])

function javap(jars: readonly string[], args: readonly string[]): string {
  const { stdout, error } = spawnSync('javap', ['-cp', jars.join(':'), ...args], { encoding: 'utf8', maxBuffer: 1e8 })
  if (error !== undefined) throw error
  return stdout
}

/** One call of javap for all: a class that is in no such package is told on stderr, and left out. */
export function javaMethods(jars: readonly string[]): string[] {
  const found = new Set<string>()
  const names = CLASSES.flatMap((name) => PACKAGES.map((prefix) => `org.apache.kafka.streams.${prefix}${name}`))
  const seen = new Set<string>()
  let name = ''
  for (const line of javap(jars, ['-public', '-constants', ...names, 'org.apache.kafka.streams.StreamsConfig']).split('\n')) {
    const declared = /^\S.*?(?:class|interface) org\.apache\.kafka\.streams\.(?:[a-z]+\.)*([\w$]+)/.exec(line)
    if (declared !== null) {
      name = declared[1] as string
      seen.add(name)
      continue
    }
    const option = /_CONFIG = "([^"]+)"/.exec(line)
    if (name === 'StreamsConfig' && option !== null) found.add(`StreamsConfig.${option[1]}`)
    const method = /(\w+)\(/.exec(line)?.[1] ?? ''
    const shown = name.replace('$', '.')
    if (!CLASSES.includes(name) || method === '' || NOT_THEIRS.has(method) || line.includes(`.${name}(`)) continue
    if (!OVERLOADED.test(method)) found.add(`${shown}.${method}`)
    else {
      const [first, second = ''] = parametersOf(line)
      found.add(`${shown}.${method}(${first}${/^(Bi)?Function$/.test(second) ? ', Function' : ''})`)
    }
  }
  const missing = CLASSES.filter((one) => !seen.has(one))
  if (missing.length > 0) throw new Error(`the jars do not have ${missing.join(', ')}`)
  return [...found].sort()
}

/** The simple names of the parameters' classes. */
function parametersOf(line: string): string[] {
  const text = line.slice(line.indexOf('(') + 1, line.lastIndexOf(')'))
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (const letter of text) {
    if (letter === '<') depth++
    else if (letter === '>') depth--
    else if (letter === ',' && depth === 0) {
      parts.push(part)
      part = ''
    } else if (depth === 0) part += letter
  }
  return [...parts, part].map((name) => name.trim().split('.').at(-1) as string)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(javaMethods(process.argv.slice(2)).join('\n'))
