// The committed records of topics as the Java client sees them.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { jars } from './broker.ts'

const run = promisify(execFile)

export interface JavaRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

const bytes = (text: string): Buffer | null => (text === '-' ? null : Buffer.from(text, 'base64'))

/** In the order of each partition. */
export async function readCommitted(brokers: string, topic: string): Promise<JavaRecord[]> {
  const [records = []] = await readAllCommitted(brokers, [topic])
  return records
}

/** Several topics, in the order asked. */
export async function readAllCommitted(brokers: string, topics: readonly string[]): Promise<JavaRecord[][]> {
  const lib = await jars()
  const program = join(import.meta.dirname, 'CommittedReader.java')
  const { stdout } = await run('java', ['-cp', join(lib, '*'), program, brokers, ...topics], { maxBuffer: 1 << 30 })
  const found = new Map(topics.map((topic) => [topic, [] as JavaRecord[]]))
  for (const line of stdout.split('\n')) {
    if (line === '') continue
    const [topic = '', partition, offset, timestamp, key = '-', value = '-'] = line.split(' ')
    const record = {
      partition: Number(partition),
      offset: Number(offset),
      timestamp: Number(timestamp),
      key: bytes(key),
      value: bytes(value),
    }
    found.get(topic)?.push(record)
  }
  return [...found.values()]
}
