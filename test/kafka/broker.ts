// A real Kafka for tests and for people: one KRaft node or several, from Maven jars, in processes of their own, on free ports,
// with fresh data directories. Run as a program (`node test/kafka/broker.ts [partitions]`) it prints its address and lives until
// SIGTERM or SIGINT.
//
// Invariants
// 1. The jars are fetched once a machine; the cache directory appears by one rename, so half a download is never used.
// 2. What is started here is ended by its process id; the data directory goes with it.
// 3. `kill` is kill -9 and keeps the data, `halt` ends a node cleanly; `restart` starts on the same port and data.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Admin } from '@platformatic/kafka'
import { freePorts } from './ports.ts'

const run = promisify(execFile)
const CACHE = process.env.MILLRACE_KAFKA_JARS ?? join(tmpdir(), 'millrace-kafka-4.3.0')
const START_TIMEOUT_MS = 120_000

export interface KafkaOptions {
  readonly partitionsDefault?: number
  /** How many nodes; the first is the controller, too. Topics get a replica on each. */
  readonly nodes?: number
  /** Finalized levels that are not the newest: `transaction.version: 1`. */
  readonly features?: Readonly<Record<string, number>>
  /** A second door to the only node: what comes in there is told that the node is at this port of 127.0.0.1, where a network stands
   *  between (network.ts). */
  readonly doorPort?: number
  /** More listeners of the only node, by name, with their protocol (`SECURE: 'SASL_SSL'`), beside the plain one, which the node itself and
   *  administrators use; their settings are in `config`. */
  readonly listeners?: Readonly<Record<string, 'SSL' | 'SASL_SSL'>>
  /** Users with a SCRAM credential. */
  readonly users?: readonly ScramUser[]
  /** Lines of server.properties that come last, so they win. */
  readonly config?: Readonly<Record<string, string | number>>
}

export interface ScramUser {
  readonly name: string
  readonly password: string
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
}

export interface RunningKafka {
  /** host:port of each node, with commas. */
  readonly brokers: string
  /** Where the second door is; 0 without one. */
  readonly doorPort: number
  /** host:port of the other listeners, by name. */
  readonly listeners: Readonly<Record<string, string>>
  /** What the nodes wrote so far: for the message of a test that failed. */
  output(): string
  /** Of the nodes that run. */
  pids(): readonly number[]
  stop(): Promise<void>
  /** Of one node, counted from 1. */
  kill(node?: number): Promise<void>
  /** A clean stop: what is on its only replica is not left with a transaction that nobody can end. */
  halt(node?: number): Promise<void>
  restart(node?: number): Promise<void>
}

interface Node {
  readonly port: number
  pid(): number | undefined
  start(): Promise<void>
  end(signal?: NodeJS.Signals): Promise<void>
  kill(): void
}

export async function startKafka(options: KafkaOptions = {}): Promise<RunningKafka> {
  const lib = await jars()
  const home = mkdtempSync(join(tmpdir(), 'millrace-kafka-run-'))
  const log4j = join(home, 'log4j2.properties')
  writeFileSync(log4j, LOG4J)
  const java = (...args: string[]): string[] => ['-cp', join(lib, '*'), `-Dlog4j2.configurationFile=${log4j}`, ...args]
  const count = options.nodes ?? 1
  const [controllerPort = 0, door = 0, ...others] = await freePorts(count + 2 + Object.keys(options.listeners ?? {}).length)
  const ports = others.splice(0, count)
  const listeners = Object.fromEntries(Object.keys(options.listeners ?? {}).map((name, i) => [name, `127.0.0.1:${others[i]}`]))
  const clusterId = `m${randomBytes(16).toString('base64url').slice(1)}` // as Kafka's own tool makes one, without starting a Java for it
  let output = ''
  const keep = (bytes: Buffer): void => {
    output = (output + bytes.toString()).slice(-20_000)
  }
  const makeNode = async (port: number, id: number): Promise<Node> => {
    const properties = join(home, `server-${id}.properties`)
    const place = { id, port, controllerPort, door, listeners, count, data: join(home, `data-${id}`) }
    writeFileSync(properties, serverProperties(place, options))
    const levels = Object.entries(options.features ?? {}).flatMap(([name, level]) => ['--feature', `${name}=${level}`])
    const users = (options.users ?? []).flatMap(({ name, password, mechanism }) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ])
    await run('java', java('kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties, ...levels, ...users))
    const command = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...java('kafka.Kafka', properties)]
    let child: ChildProcess | undefined
    return {
      port,
      pid: () => child?.pid,
      async start() {
        const started = spawn('java', command, { stdio: ['ignore', 'pipe', 'pipe'] })
        child = started
        started.stdout.on('data', keep)
        started.stderr.on('data', keep)
        await answering(port, started, () => output)
      },
      async end(signal = 'SIGKILL') {
        const ending = child
        child = undefined
        if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
        const gone = new Promise<void>((resolve) => ending.once('exit', () => resolve()))
        ending.kill(signal) // SIGKILL at the stop, too: the data goes anyway, a clean end would only take seconds
        const late = setTimeout(() => ending.kill('SIGKILL'), 30_000)
        await gone
        clearTimeout(late)
      },
      kill: () => void child?.kill('SIGKILL'),
    }
  }
  const nodes: Node[] = []
  const last = (): void => {
    for (const node of nodes) node.kill() // a test run that dies must not leave a broker behind
  }
  process.once('exit', last)
  const stop = async (): Promise<void> => {
    process.removeListener('exit', last)
    await Promise.all(nodes.map((node) => node.end()))
    rmSync(home, { recursive: true, force: true })
  }
  try {
    for (const [i, port] of ports.entries()) nodes.push(await makeNode(port, i + 1))
    await Promise.all(nodes.map((node) => node.start()))
  } catch (error) {
    await stop()
    throw error
  }
  const node = (number: number): Node => {
    const found = nodes[number - 1]
    if (found === undefined) throw new Error(`there is no node ${number}, only 1 to ${count}`)
    return found
  }
  return {
    brokers: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    doorPort: options.doorPort === undefined ? 0 : door,
    listeners,
    output: () => output,
    pids: () => nodes.flatMap((each) => each.pid() ?? []),
    stop,
    kill: (number = 1) => node(number).end(),
    halt: (number = 1) => node(number).end('SIGTERM'),
    async restart(number = 1) {
      await node(number).end()
      await node(number).start()
    },
  }
}

/** The folder of the jars; fetched when it is not there yet. */
export async function jars(): Promise<string> {
  const lib = join(CACHE, 'lib')
  if (existsSync(lib)) return lib
  const work = mkdtempSync(`${CACHE}-`)
  mkdirSync(join(work, 'lib'))
  copyFileSync(join(import.meta.dirname, 'pom.xml'), join(work, 'pom.xml'))
  await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'lib')}`], {
    cwd: work,
    maxBuffer: 1 << 26,
  })
  try {
    renameSync(work, CACHE)
  } catch (error) {
    rmSync(work, { recursive: true, force: true })
    if (!existsSync(lib)) throw error // else another run was faster: its download is as good
  }
  return lib
}

/** Waits until the node counts itself among those alive. It opens its port a moment before that, and makes no topics yet. */
async function answering(port: number, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Kafka ended before it answered:\n${output()}`)
    if (await isAlive(port)) return
    if (Date.now() > deadline) throw new Error(`Kafka did not answer on port ${port} within ${START_TIMEOUT_MS} ms:\n${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function isAlive(port: number): Promise<boolean> {
  const admin = new Admin({ clientId: 'start', bootstrapBrokers: [`127.0.0.1:${port}`], retries: 0, timeout: 5_000 })
  try {
    const { brokers } = await admin.metadata({ topics: [] })
    return [...brokers.values()].some((node) => node.port === port)
  } catch {
    return false
  } finally {
    await admin.close().catch(() => {})
  }
}

interface Place {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  readonly door: number
  readonly listeners: Readonly<Record<string, string>>
  readonly count: number
  readonly data: string
}

function serverProperties(place: Place, options: KafkaOptions): string {
  const { id, port, controllerPort, door, listeners, count, data } = place
  const broker = `PLAINTEXT://127.0.0.1:${port}`
  const own = Object.entries(listeners).map(([name, address]) => `,${name}://${address}`)
  const protocols = Object.entries(options.listeners ?? {}).map(([name, protocol]) => `,${name}:${protocol}`)
  const doors: Record<string, string> =
    options.doorPort === undefined
      ? {}
      : {
          listeners: `${broker},DOOR://127.0.0.1:${door},CONTROLLER://127.0.0.1:${controllerPort}`,
          'advertised.listeners': `${broker},DOOR://127.0.0.1:${options.doorPort}`,
          'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:PLAINTEXT',
        }
  const lines: Record<string, string | number> = {
    'process.roles': id === 1 ? 'broker,controller' : 'broker',
    'node.id': id,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: id === 1 ? `${broker}${own.join('')},CONTROLLER://127.0.0.1:${controllerPort}` : broker,
    'advertised.listeners': `${broker}${own.join('')}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT${protocols.join('')}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': data,
    'num.partitions': options.partitionsDefault ?? 1,
    'default.replication.factor': count,
    'offsets.topic.replication.factor': count,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': count,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'group.initial.rebalance.delay.ms': 0,
    'log.retention.ms': -1, // retention goes by record timestamp, and tests write old ones
    'auto.create.topics.enable': 'false',
    // after kill -9 the old registration must expire before the node may listen again: seconds instead of 13 to 16
    'broker.session.timeout.ms': 1500,
    'broker.heartbeat.interval.ms': 300,
    ...doors,
    ...options.config,
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

const LOG4J = `rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c - %m%n
`

if (import.meta.main) {
  const kafka = await startKafka({ partitionsDefault: Number(process.argv[2] ?? 1) })
  console.log(kafka.brokers)
  const alive = setInterval(() => {}, 60_000)
  const finish = async (): Promise<void> => {
    clearInterval(alive)
    await kafka.stop()
  }
  process.once('SIGTERM', finish)
  process.once('SIGINT', finish)
}
