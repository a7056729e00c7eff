// What goes wrong on a real Kafka: brokers that die in the middle of an epoch, leaders and coordinators that move, topics that
// vanish under a reader, zombies, all codecs of other clients. The contract suite has the rest.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Admin, type CompressionAlgorithmValue, Producer } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { KafkaClient } from '../../src/log/kafka/client.ts'
import { Transaction } from '../../src/log/kafka/transaction.ts'
import type { Group, Log } from '../../src/log/log.ts'
import {
  commit,
  committedValues,
  fresh,
  freshTopic,
  freshWriter,
  position,
  readUntil,
  refusal,
  textOf,
  until,
} from '../contract/log/steps.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { copyNumbers } from './copy.ts'
import { KAFKA, open, world } from './running.ts'

const TIMEOUT_MS = 120_000

async function numbersIn(log: Log, topic: string, count: number): Promise<number[]> {
  const records = await readUntil(log, topic, (of) => of.reduce((sum, p) => sum + p.length, 0) >= count, { partitions: 4 })
  for (const of of records) {
    const numbers = of.map((record) => Number(textOf(record)))
    expect(numbers, 'each partition is in order').toEqual([...numbers].sort((a, b) => a - b))
  }
  return records
    .flat()
    .map((record) => Number(textOf(record)))
    .sort((a, b) => a - b)
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

describe.runIf(KAFKA)('one node', { timeout: TIMEOUT_MS }, () => {
  let kafka: RunningKafka
  let log: Log
  beforeAll(async () => {
    // asks again at once for what waits for the last transaction's markers, so that we get to see the refusals
    kafka = await startKafka({
      config: {
        'add.partitions.to.txn.retry.backoff.ms': 1,
        'add.partitions.to.txn.retry.backoff.max.ms': 1,
        'group.min.session.timeout.ms': 500,
      },
    })
    log = await open(kafka.brokers)
  }, TIMEOUT_MS)
  afterAll(async () => {
    await log?.close()
    await kafka?.stop()
  }, TIMEOUT_MS)

  for (const version of [1, 2] as const) {
    it(`killed in the middle of an epoch and started again: nothing doubled, nothing lost (transactions of version ${version})`, async () => {
      const own = await open(kafka.brokers, { transactionVersion: version })
      const [input, out] = [await freshTopic(own), await freshTopic(own, 4)]
      const writer = own.writer({ transactionalId: fresh('writer'), guarantee: 'exactly_once' })
      let starting: Promise<void> | undefined
      let settled = false
      const rewinds = await copyNumbers(own, writer, out, input, 5_000, async (epoch) => {
        if (epoch !== 4) return
        // With one replica a broker killed before it has written the markers of an ended transaction may never write them (seen in 4 of
        // 8 tries, EndTxn had been answered): so they are waited for. Four epochs leave 4 x 125 records and 4 markers a partition.
        const partitions = upTo(4).map((partition) => ({ topic: out, partition }))
        await until(
          () => settled,
          async () => {
            settled = (await own.offsets(partitions, 'latest')).every((end) => end === 504)
          },
          () => 'the markers of the epochs before',
        )
        await own.committed(`group-of-${out}`, [{ topic: input, partition: 0 }])
        await kafka.kill()
        starting = kafka.restart() // not awaited: the flush finds nobody
      })
      await starting
      expect(rewinds).toBeGreaterThan(0)
      expect(await numbersIn(own, out, 5_000)).toEqual(upTo(5_000))
      await own.close()
    })

    it(`a process killed in the middle of a transaction, five times over: nothing doubled, nothing lost (transactions of version ${version})`, async () => {
      const [input, out, count] = [await freshTopic(log), await freshTopic(log, 4), 10_000]
      const started = await log.offsets([{ topic: input, partition: 0 }], 'earliest')
      expect(started).toEqual([0])
      for (let life = 0; ; life++) {
        const child = spawn(
          process.execPath,
          [join(import.meta.dirname, 'copy.ts'), kafka.brokers, `${version}`, input, out, `copy-${out}`, `${count}`],
          {
            stdio: ['ignore', 'pipe', 'inherit'],
          },
        )
        let flushed = 0
        child.stdout.on('data', (bytes: Buffer) => {
          flushed += bytes.toString().split('flushed').length - 1
          if (life < 5 && flushed >= 2) child.kill('SIGKILL') // an epoch is on the broker and not committed
        })
        const code = await new Promise((resolve) => child.once('close', resolve))
        if (life < 5) expect(code, `life ${life} was killed`).toBeNull()
        else {
          expect(code).toBe(0)
          break
        }
      }
      expect(await numbersIn(log, out, count)).toEqual(upTo(count))
    })

    it(`a zombie that wakes up in mid-epoch writes nothing (transactions of version ${version})`, async () => {
      const own = await open(kafka.brokers, { transactionVersion: version })
      const topic = await freshTopic(own)
      const id = fresh('writer')
      const zombie = await freshWriter(own, 'exactly_once', id)
      zombie.append(topic, 0, 1, null, Buffer.from('zombie, sent'), NO_HEADERS)
      zombie.seal()
      await zombie.flush()
      const heir = await freshWriter(own, 'exactly_once', id)
      heir.append(topic, 0, 1, null, Buffer.from('heir'), NO_HEADERS)
      await commit(heir)
      zombie.append(topic, 0, 1, null, Buffer.from('zombie, kept'), NO_HEADERS)
      const error = await refusal('STREAM_FENCED', () => zombie.commit(null, '', []))
      expect(error.disposition).toBe('rewind')
      await refusal('STREAM_FENCED', () => zombie.append(topic, 0, 1, null, null, NO_HEADERS))
      await refusal('STREAM_FENCED', () => zombie.drain())
      await zombie.close()
      heir.append(topic, 0, 1, null, Buffer.from('heir again'), NO_HEADERS)
      await commit(heir)
      expect(await committedValues(own, topic)).toEqual(['heir', 'heir again'])
      await own.close()
    })

    it(`a writer closed in mid-epoch aborts it, so that readers do not wait (transactions of version ${version})`, async () => {
      const own = await open(kafka.brokers, { transactionVersion: version })
      const topic = await freshTopic(own)
      const writer = await freshWriter(own)
      writer.append(topic, 0, 1, null, Buffer.from('dropped'), NO_HEADERS)
      writer.seal()
      await writer.flush()
      const before = world.clock.monotonic()
      await writer.close()
      expect(await committedValues(own, topic)).toEqual([])
      expect(world.clock.monotonic() - before).toBeLessThan(10_000)
      await own.close()
    })
  }

  it('a last commit that takes longer than the session is still taken: heartbeats go on meanwhile', async () => {
    const topic = await freshTopic(log, 2)
    const groupId = fresh('group')
    const quick = await open(kafka.brokers, { sessionTimeoutMs: 4_000 })
    const other = await open(kafka.brokers, { sessionTimeoutMs: 4_000 })
    const writer = await freshWriter(quick)
    const events: string[] = []
    const member = (own: Log, name: string, revoke: () => Promise<void>): Group =>
      own.group({
        groupId,
        instanceId: null,
        topics: [topic],
        userData: () => Buffer.from(name),
        assign: (members) =>
          new Map(members.map((of) => [of.memberId, { partitions: [{ topic, partition: 0 }], userData: Buffer.alloc(0) }])),
        async onRevoke(lost) {
          events.push(`${name} ${lost ? 'lost' : 'revoked'}`)
          if (!lost) await revoke()
        },
        onAssign: () => void events.push(`${name} assigned`),
        onFatal: (error) => void events.push(`${name} ${error}`),
      })
    const a: Group = member(quick, 'a', async () => {
      await world.timers.sleep(8_000)
      await commit(writer, { identity: a.identity(), groupId, offsets: [position(topic, 0, 7)] })
      events.push('a committed')
    })
    const b = member(other, 'b', async () => {})
    await a.start()
    await b.start()
    await until(
      () => events.length >= 5,
      () => world.timers.sleep(20),
      () => events.join(', '),
    )
    expect(events.slice(0, 3)).toEqual(['a assigned', 'a revoked', 'a committed'])
    expect(events.slice(3).sort()).toEqual(['a assigned', 'b assigned'])
    expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 7)])
    await quick.close()
    await other.close()
  })

  it('short epochs right behind each other need no rewind', async () => {
    const topic = await freshTopic(log, 16)
    const writer = await freshWriter(log)
    for (let epoch = 0; epoch < 150; epoch++) {
      for (let i = 0; i < 64; i++) writer.append(topic, i % 16, 1, null, Buffer.from(`${epoch * 64 + i}`), NO_HEADERS)
      await commit(writer, { groupId: topic, offsets: [position(topic, 0, epoch)] })
    }
    await writer.close()
    const records = await readUntil(log, topic, (of) => of.every((p) => p.length >= 600), { partitions: 16 })
    for (const [partition, of] of records.entries())
      expect(of.map((record) => Number(textOf(record)))).toEqual(upTo(600).map((i) => i * 16 + partition))
  })

  it('offsets behind an open transaction are waited for, and the wait has a bound and a message', async () => {
    const topic = await freshTopic(log)
    const groupId = fresh('group')
    const client = new KafkaClient({ brokers: [kafka.brokers], clientId: 'test', world })
    await client.connect()
    const transaction = new Transaction(client, fresh('writer'))
    await transaction.init()
    await transaction.addOffsets(groupId, { generation: -1, memberId: '', instanceId: null }, [position(topic, 0, 5)])
    const impatient = await open(kafka.brokers, { stableOffsetsTimeoutMs: 300 })
    const error = await refusal('STREAM_UNSTABLE', () => impatient.committed(groupId, [{ topic, partition: 0 }]))
    expect(error.message).toContain(groupId)
    expect(error.disposition).toBe('retry')
    const waiting = log.committed(groupId, [{ topic, partition: 0 }])
    await world.timers.sleep(100)
    await transaction.end(true)
    expect(await waiting).toEqual([position(topic, 0, 5)])
    await client.close()
    await impatient.close()
  })

  it('a topic that takes small batches only gets them, after a rewind or more', async () => {
    const small = await smallTopic(2_000)
    const writer = await freshWriter(log)
    let rewinds = 0
    for (;;) {
      try {
        for (let i = 0; i < 1_000; i++) writer.append(small, 0, 1, null, Buffer.from(`${i}`.padStart(100)), NO_HEADERS)
        await commit(writer)
        break
      } catch (error) {
        if (!(error instanceof MillraceError) || error.disposition !== 'rewind') throw error
        rewinds++
        await writer.init()
      }
    }
    expect(rewinds).toBeGreaterThan(0)
    await writer.close()
    expect((await committedValues(log, small)).map(Number)).toEqual(upTo(1_000))
  })

  async function smallTopic(bytesMax: number): Promise<string> {
    const small = fresh('small')
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.brokers] })
    await admin.createTopics({
      topics: [small],
      partitions: 1,
      replicas: 1,
      configs: [{ name: 'max.message.bytes', value: `${bytesMax}` }],
    })
    await admin.close()
    // a broker may hear of the topic, and its leader that it leads, a moment after the controller has answered
    await expect.poll(() => log.offsets([{ topic: small, partition: 0 }], 'earliest').catch(() => null), { timeout: 10_000 }).toEqual([0])
    return small
  }

  it('a member without a generation is fenced before anything is sent', async () => {
    const topic = await freshTopic(log)
    const groupId = fresh('group')
    for (const guarantee of ['exactly_once', 'at_least_once'] as const) {
      for (const identity of [
        { groupId, generation: -1, memberId: 'somebody', instanceId: null },
        { groupId, generation: 3, memberId: '', instanceId: null },
      ]) {
        const writer = await freshWriter(log, guarantee)
        await refusal('STREAM_FENCED', () => commit(writer, { identity, groupId, offsets: [position(topic, 0, 1)] }))
        await writer.close()
      }
    }
    expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([null])
  })

  it('a record that the topic does not take stops the epoch, and says which topic', async () => {
    const topic = await freshTopic(log)
    const small = await smallTopic(1_000)
    const writer = await freshWriter(log)
    writer.append(topic, 0, 1, null, Buffer.from('good'), NO_HEADERS)
    writer.append(small, 0, 1, null, Buffer.alloc(5_000), NO_HEADERS)
    const error = await refusal('STREAM_RECORD_TOO_LARGE', () => commit(writer))
    expect(error.message).toContain(small)
    await refusal('STREAM_RECORD_TOO_LARGE', () => writer.commit(null, '', []))
    await writer.init()
    writer.append(topic, 0, 1, null, Buffer.from('after'), NO_HEADERS)
    await commit(writer)
    await writer.close()
    expect(await committedValues(log, topic)).toEqual(['after'])
  })

  it('a record too far in the future stops the epoch, and says why', async () => {
    const topic = await freshTopic(log)
    const writer = await freshWriter(log)
    writer.append(topic, 0, world.clock.now() + 7_200_000, null, Buffer.from('early'), NO_HEADERS)
    const error = await refusal('STREAM_BROKER', () => commit(writer))
    expect(error.message).toMatch(/INVALID_TIMESTAMP/)
    expect(error.disposition).toBe('stop')
    await writer.close()
    const changelog = await freshTopic(log, 1, 'changelog') // topics of our own take any time
    const second = await freshWriter(log)
    second.append(changelog, 0, world.clock.now() + 400 * 86_400_000, Buffer.from('k'), Buffer.from('early'), NO_HEADERS)
    await commit(second)
    await second.close()
    expect(await committedValuesOfKeyed(changelog)).toEqual(['early'])
  })

  async function committedValuesOfKeyed(topic: string): Promise<string[]> {
    const [records] = await readUntil(log, topic, ([first]) => (first?.length ?? 0) > 0)
    return records?.map(textOf) ?? []
  }

  it('a topic deleted under a reader is named; one made anew is not taken for it', async () => {
    const topic = await freshTopic(log)
    const reader = log.reader()
    reader.assign([{ topic, partition: 0, offset: 0 }])
    expect(await reader.poll(600)).toEqual([])
    const other = await open(kafka.brokers)
    await other.deleteTopics([topic])
    const pollOn = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await reader.poll(200)
    }
    expect((await refusal('STREAM_TOPIC_MISSING', pollOn)).message).toContain(topic)
    await other.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
    reader.seek({ topic, partition: 0, offset: 0 })
    expect(await reader.poll(600)).toEqual([])
    await other.deleteTopics([topic])
    await other.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
    expect((await refusal('STREAM_TOPIC_MISSING', pollOn)).message).toMatch(/deleted/)
    await reader.close()
    await other.close()
  })

  it('batches of other clients are read in every codec', async () => {
    const topic = await freshTopic(log)
    const codecs: CompressionAlgorithmValue[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
    for (const compression of codecs) {
      const producer = new Producer({ clientId: 'test', bootstrapBrokers: [kafka.brokers] })
      const messages = Array.from({ length: 50 }, (_, i) => ({
        topic,
        partition: 0,
        key: Buffer.from(`${i}`),
        value: Buffer.from(`${compression} ${i} ${'x'.repeat(200)}`),
        headers: new Map([[Buffer.from('codec'), Buffer.from(compression)]]),
      }))
      await producer.send({ messages, compression, acks: -1 })
      await producer.close()
    }
    const [records] = await readUntil(log, topic, ([first]) => first?.length === 250)
    expect(records?.map((record) => `${record.key?.toString()} ${textOf(record).split(' ', 2).join(' ')}`)).toEqual(
      codecs.flatMap((codec) => Array.from({ length: 50 }, (_, i) => `${i} ${codec} ${i}`)),
    )
    expect(records?.map((record) => record.headers[0]?.[1]?.toString())).toEqual(codecs.flatMap((codec) => new Array(50).fill(codec)))
  })

  for (const compression of ['lz4', 'zstd'] as const) {
    it(`what we pack with ${compression} is taken and read`, async () => {
      const own = await open(kafka.brokers, { compression })
      const topic = await freshTopic(own)
      const writer = await freshWriter(own)
      for (let i = 0; i < 2_000; i++) writer.append(topic, 0, i, Buffer.from(`${i}`), Buffer.from(`value ${i}`), NO_HEADERS)
      await commit(writer)
      const [records] = await readUntil(own, topic, ([first]) => first?.length === 2_000)
      expect(records?.map((record) => record.timestamp)).toEqual(upTo(2_000))
      await own.close()
    })
  }

  it('no broker at the address is told within the bound, with the address and the cause', async () => {
    const before = world.clock.monotonic()
    const error = await refusal('STREAM_BROKER_UNREACHABLE', () => open('127.0.0.1:1,127.0.0.1:2', { connectTimeoutMs: 1_500 }))
    expect(world.clock.monotonic() - before).toBeLessThan(6_000)
    expect(error.message).toMatch(/127\.0\.0\.1:1, 127\.0\.0\.1:2.*ECONNREFUSED/)
    expect(error.message).not.toContain('\n')
  })

  it('one address that answers is enough', async () => {
    const own = await open(`127.0.0.1:1,${kafka.brokers}`)
    await freshTopic(own)
    await own.close()
  })
})

describe.runIf(KAFKA)('three nodes', { timeout: 2 * TIMEOUT_MS }, () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3 })
  }, TIMEOUT_MS)
  afterAll(() => kafka?.stop(), TIMEOUT_MS)

  for (const version of [1, 2] as const) {
    it(`leaders and coordinators move while it runs: nothing doubled, nothing lost (transactions of version ${version})`, async () => {
      const log = await open(kafka.brokers, { transactionVersion: version })
      const [input, out] = [await freshTopic(log), await freshTopic(log, 4)]
      const writer = log.writer({ transactionalId: fresh('writer'), guarantee: 'exactly_once' })
      const reader = log.reader()
      reader.assign(upTo(4).map((partition) => ({ topic: out, partition, offset: 0 })))
      const seen: number[] = []
      let done = false
      const reading = (async () => {
        while (!done || seen.length < 20_000)
          for (const chunk of await reader.poll(200)) seen.push(...chunk.records.map((record) => Number(textOf(record))))
      })()
      let dying: Promise<void> | undefined
      const rewinds = await copyNumbers(log, writer, out, input, 20_000, async (epoch) => {
        if (epoch === 5) await kafka.kill(2)
        if (epoch === 15) await kafka.restart(2)
        if (epoch === 20) dying = kafka.kill(3) // not awaited: it strikes somewhere in the commit
        if (epoch === 30) {
          await dying
          await kafka.restart(3)
        }
      })
      expect(rewinds).toBeGreaterThan(0)
      done = true
      await reading
      expect(seen.sort((a, b) => a - b)).toEqual(upTo(20_000))
      expect(await numbersIn(log, out, 20_000)).toEqual(upTo(20_000))
      await log.close()
    })
  }
})
