// Every answer that a request of an epoch may get, one by one, in the first request of a producer epoch and in a later one, with
// transactions of both versions, for commit and for abort: what the writer does next is what the table says.
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import type { Outcome, RequestKind } from '../../src/log/outcome.ts'
import { outcome } from '../../src/log/outcome.ts'
import { refusal } from '../contract/log/steps.ts'
import { type Case, casesOf, KIND_OF, onBroker, until } from './hurried.ts'
import type { ScriptedBroker, Step } from './scripted-broker.ts'
import { type Api, codeOf, TOPIC } from './scripted-requests.ts'

const GROUP = 'g'
const EPOCH_APIS: readonly Api[] = ['AddPartitionsToTxn', 'AddOffsetsToTxn', 'Produce', 'TxnOffsetCommit', 'EndTxn']
const ENDS: Readonly<Partial<Record<Outcome, readonly [code: string, disposition: string]>>> = {
  doubt: ['STREAM_DOUBT', 'rewind'],
  fenced: ['STREAM_FENCED', 'rewind'],
  missing: ['STREAM_TOPIC_MISSING', 'stop'],
  tooLarge: ['STREAM_RECORD_TOO_LARGE', 'stop'],
  stop: ['STREAM_BROKER', 'stop'],
}

const record = (writer: Writer, partition: number, bytes = 1): void =>
  writer.append(TOPIC, partition, 1, null, Buffer.alloc(bytes, 'x'), NO_HEADERS)

async function opened(log: Log): Promise<Writer> {
  await log.topics([TOPIC])
  const writer = log.writer({ transactionalId: 'w', guarantee: 'exactly_once' })
  await writer.init()
  await committed(log) // both coordinators are known
  return writer
}

async function epoch(writer: Writer, offset: number): Promise<void> {
  record(writer, 0)
  writer.seal()
  await writer.flush()
  await writer.commit(null, GROUP, [{ topic: TOPIC, partition: 0, offset, metadata: '' }])
}

const committed = async (log: Log): Promise<number | undefined> => (await log.committed(GROUP, [{ topic: TOPIC, partition: 0 }]))[0]?.offset

/** What the writer may do after an answer that ends its epoch: nothing but ask for a new one, over new connections. */
async function expectOver(log: Log, broker: ScriptedBroker, writer: Writer, error: unknown, ended: Outcome, name: string): Promise<void> {
  const [code, disposition] = ENDS[ended] as readonly [string, string]
  expect(error).toMatchObject({ code, disposition })
  if (!name.startsWith('connection') && !name.startsWith('code')) expect((error as Error).message).toContain(name)
  expect((error as Error).message).not.toContain('\n')
  const sofar = broker.asked.length
  expect(() => record(writer, 0)).toThrow(error as Error)
  await expect(writer.commit(null, GROUP, [])).rejects.toBe(error)
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(broker.asked.slice(sofar).filter(({ api }) => EPOCH_APIS.includes(api))).toEqual([])
  const used = new Set(broker.asked.map(({ connection }) => connection))
  await writer.init()
  const before = (await committed(log)) ?? 0
  expect(before).toBe(broker.offsets.get(`${TOPIC}-0`) ?? 0)
  await epoch(writer, before + 100)
  const after = broker.asked.slice(sofar).filter(({ api }) => EPOCH_APIS.includes(api) || api === 'InitProducerId')
  expect(after[0]).toMatchObject({ api: 'InitProducerId', producerId: -1n, epoch: -1 })
  for (const { connection } of after) expect(used).not.toContain(connection)
  expect(await committed(log)).toBe(before + 100)
}

async function commitMeets(
  kind: RequestKind,
  { name, step, outcome: expected }: Case,
  version: 1 | 2,
  place: 'first' | 'last',
): Promise<void> {
  await onBroker({ transactionVersion: version }, async (log, broker) => {
    const api = KIND_OF[kind] as Api
    const writer = await opened(log)
    const many = kind === 'produce' || kind === 'addPartitions'
    if (place === 'last') {
      await epoch(writer, 1)
      await epoch(writer, 2)
      if (many) {
        record(writer, 1, 600_000)
        const sofar = broker.count('Produce')
        await until(() => {
          void writer.drain().catch(() => {}) // version 1 adds the partition first
          return broker.count('Produce') > sofar
        }, 'the first batch of the epoch is sent')
      }
    }
    const [asked, found, described] = [broker.count(api), broker.count('FindCoordinator'), broker.count('Metadata')]
    broker.script(api, step)
    const ended = await epoch(writer, 10).then(
      () => null,
      (error: unknown) => error,
    )
    expect(broker.pending(), 'the answer was given').toBe(0)
    if (expected === 'again' || expected === 'refresh') {
      expect(ended).toBeNull()
      expect(broker.count(api) - asked, 'asked twice').toBe(2)
      if (api === 'Produce') expect(broker.count('Metadata')).toBe(described)
      else expect(broker.count('FindCoordinator') - found).toBe(expected === 'refresh' ? 1 : 0)
      expect(await committed(log)).toBe(10)
      await epoch(writer, 11)
      expect(await committed(log)).toBe(11)
    } else {
      expect(broker.count(api) - asked, 'never repeated').toBe(1)
      expect(await broker.offsets.get(`${TOPIC}-0`)).toBe(step === 'cut' && kind === 'end' ? 10 : place === 'last' ? 2 : undefined)
      await expectOver(log, broker, writer, ended, expected, name)
    }
    await writer.close()
  })
}

const unknown = (kind: RequestKind): readonly Case[] =>
  ['ELECTION_NOT_NEEDED', 'DUPLICATE_VOTER'].map((name) => ({ name, step: codeOf(name), outcome: outcome(kind, name).outcome }))

describe.concurrent('a commit meets an answer of a broker', () => {
  for (const version of [1, 2] as const) {
    const kinds: readonly RequestKind[] =
      version === 1 ? ['addPartitions', 'produce', 'addOffsets', 'txnOffsets', 'end'] : ['produce', 'txnOffsets', 'end']
    for (const kind of kinds) {
      for (const place of ['first', 'last'] as const) {
        for (const each of [...casesOf(kind), ...unknown(kind)]) {
          if (kind === 'produce' && each.outcome === 'again' && version === 1) continue // the partition has been added by then
          it(`version ${version}, ${place} ${kind}: ${each.name} is ${each.outcome}`, () => commitMeets(kind, each, version, place))
        }
      }
    }
  }
})

describe.concurrent('a record whose topic nobody leads', () => {
  const cut = async (broker: ScriptedBroker, log: Log, steps: readonly Step[]): Promise<unknown> => {
    const writer = await opened(log)
    record(writer, 0)
    broker.script('Metadata', ...steps)
    await log.topics([TOPIC]) // somebody else hears of it first
    writer.seal()
    return writer.flush().then(
      () => null,
      (error: unknown) => error,
    )
  }

  it('waits for a leader', async () => {
    await onBroker({}, async (log, broker) => {
      expect(await cut(broker, log, [codeOf('UNKNOWN_TOPIC_OR_PARTITION'), codeOf('UNKNOWN_TOPIC_OR_PARTITION')])).toBeNull()
      expect(broker.count('Produce')).toBe(1)
    })
  })

  it('ends the epoch by name when the topic is gone', async () => {
    await onBroker({ impatient: true }, async (log, broker) => {
      const error = await cut(broker, log, new Array(2_000).fill(codeOf('UNKNOWN_TOPIC_OR_PARTITION')))
      expect(error).toMatchObject({ code: 'STREAM_TOPIC_MISSING', disposition: 'stop' })
      expect(String(error)).toContain(`topic ${TOPIC} does not exist`)
      expect(broker.count('Produce')).toBe(0)
    })
  })
})

describe.concurrent('an abort meets an answer of a broker', () => {
  for (const version of [1, 2] as const) {
    for (const place of ['first', 'last'] as const) {
      for (const each of [...casesOf('end'), ...unknown('end')]) {
        it(`version ${version}, ${place}: ${each.name} is ${each.outcome}`, async () => {
          await onBroker({ transactionVersion: version }, async (log, broker) => {
            const writer = await opened(log)
            if (place === 'last') await epoch(writer, 1)
            record(writer, 0)
            writer.seal()
            await writer.flush()
            const ends = broker.count('EndTxn')
            broker.script('EndTxn', each.step)
            await writer.close() // whatever it is: a writer closes
            const asked = broker.asked.filter(({ api }) => api === 'EndTxn').slice(ends)
            expect(asked.map(({ commit }) => commit)).toEqual(
              each.outcome === 'again' || each.outcome === 'refresh' ? [false, false] : [false],
            )
            expect(await committed(log)).toBe(place === 'last' ? 1 : undefined)
            const heir = await opened(log)
            await epoch(heir, 20)
            expect(await committed(log)).toBe(20)
          })
        })
      }
    }
  }
})

describe('answers that do not pass, or never come', () => {
  for (const [kind, name] of [
    ['end', 'CONCURRENT_TRANSACTIONS'],
    ['txnOffsets', 'COORDINATOR_LOAD_IN_PROGRESS'],
    ['produce', 'CONCURRENT_TRANSACTIONS'],
  ] as const) {
    it(`${kind}: ${name} for longer than ${LIMITS.commitTimeoutMs} ms is doubt`, async () => {
      await onBroker({ transactionVersion: 2, impatient: true }, async (log, broker) => {
        const writer = await opened(log)
        broker.script(KIND_OF[kind] as Api, ...new Array(20_000).fill(codeOf(name)))
        const ended = await epoch(writer, 1).catch((error: unknown) => error)
        broker.script(KIND_OF[kind] as Api)
        await expectOver(log, broker, writer, ended, 'doubt', name)
      })
    })
  }

  it('a request that is never answered is doubt, and the coordinator has done it', async () => {
    const { requestTimeoutMs } = LIMITS
    Object.assign(LIMITS, { requestTimeoutMs: 200 })
    try {
      for (const kind of ['produce', 'txnOffsets', 'end'] as const) {
        await onBroker({ transactionVersion: 2 }, async (log, broker) => {
          const writer = await opened(log)
          broker.script(KIND_OF[kind] as Api, 'silent')
          const ended = await epoch(writer, 1).catch((error: unknown) => error)
          expect(await committed(log)).toBe(kind === 'end' ? 1 : undefined)
          await expectOver(log, broker, writer, ended, 'doubt', 'TIMEOUT')
        })
      }
    } finally {
      Object.assign(LIMITS, { requestTimeoutMs })
    }
  })

  it('a batch that the topic does not take is done again in smaller ones, an epoch later', async () => {
    await onBroker({}, async (log, broker) => {
      const writer = await opened(log)
      for (let i = 0; i < 3; i++) record(writer, 0, 1_000)
      broker.script('Produce', codeOf('MESSAGE_TOO_LARGE'))
      writer.seal()
      expect((await refusal('STREAM_DOUBT', () => writer.flush())).message).toContain('takes no batch of')
      await writer.init()
      for (let i = 0; i < 3; i++) record(writer, 0, 1_000)
      const sofar = broker.count('Produce')
      writer.seal()
      await writer.flush()
      expect(broker.count('Produce') - sofar).toBeGreaterThan(1)
      await writer.commit(null, GROUP, [])
    })
  })
})
