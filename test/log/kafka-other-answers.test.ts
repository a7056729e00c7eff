// Every answer that the requests beside an epoch may get, one by one: who we are, reads, topics, the group, plain offset commits. What the
// adapter does next is what the table says.
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { silent } from '../../src/base/ports.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import type { Group, GroupAssignment, Log } from '../../src/log/log.ts'
import { type Outcome, outcome, type RequestKind, ROWS } from '../../src/log/outcome.ts'
import { type Case, casesOf, KIND_OF, onBroker, until } from './hurried.ts'
import type { ScriptedBroker, Step } from './scripted-broker.ts'
import { type Api, codeOf, TOPIC } from './scripted-requests.ts'

const GROUP = 'g'
const BOTH = [0, 1].map((partition) => ({ topic: TOPIC, partition }))
const ENDS: Readonly<Partial<Record<Outcome, readonly [code: string, disposition: string]>>> = {
  doubt: ['STREAM_DOUBT', 'rewind'],
  fenced: ['STREAM_FENCED', 'rewind'],
  missing: ['STREAM_TOPIC_MISSING', 'stop'],
  stop: ['STREAM_BROKER', 'stop'],
}
const repeated = (of: Outcome): boolean => of === 'again' || of === 'refresh'
const unknown = (kind: RequestKind): readonly Case[] =>
  ['ELECTION_NOT_NEEDED', 'DUPLICATE_VOTER'].map((name) => ({ name, step: codeOf(name), outcome: outcome(kind, name).outcome }))
const all = (kind: RequestKind): readonly Case[] => [...casesOf(kind), ...unknown(kind)]

function expectNamed(error: unknown, { name, outcome: ended }: Case): void {
  const [code, disposition] = ENDS[ended] as readonly [string, string]
  expect(error).toMatchObject({ code, disposition })
  if (/^[A-Z_]+$/.test(name)) expect((error as Error).message).toContain(name)
  expect((error as Error).message).not.toContain('\n')
}

/** Asks once, with the answer scripted: how often it was asked, and what came of it. */
async function ask(broker: ScriptedBroker, api: Api, step: Step, work: () => Promise<unknown>): Promise<{ asked: number; error: unknown }> {
  const before = broker.count(api)
  broker.script(api, step)
  const error = await work().then(
    () => null,
    (thrown: unknown) => thrown ?? 'nothing',
  )
  expect(broker.pending(), 'the answer was given').toBe(0)
  return { asked: broker.count(api) - before, error }
}

const QUESTIONS: readonly (readonly [kind: RequestKind, prepare: (log: Log) => Promise<() => Promise<unknown>>])[] = [
  [
    'init',
    async (log) => {
      const writer = log.writer({ transactionalId: 'w', guarantee: 'exactly_once' })
      return () => writer.init()
    },
  ],
  [
    'offsetCommit',
    async (log) => {
      await log.topics([TOPIC])
      const writer = log.writer({ transactionalId: 'w', guarantee: 'at_least_once' })
      await writer.init()
      writer.append(TOPIC, 0, 1, null, Buffer.from('x'), NO_HEADERS)
      writer.seal()
      await writer.flush()
      return () => writer.commit(null, GROUP, [{ topic: TOPIC, partition: 0, offset: 3, metadata: '' }])
    },
  ],
  ['offsetFetch', async (log) => () => log.committed(GROUP, BOTH)],
  ['listOffsets', async (log) => () => log.offsets(BOTH, 'latest')],
  ['find', async (log) => () => log.committed(GROUP, BOTH)],
]

describe.concurrent('one question meets an answer of a broker', () => {
  for (const [kind, prepare] of QUESTIONS) {
    for (const each of all(kind)) {
      it(`${kind}: ${each.name} is ${each.outcome}`, async () => {
        await onBroker({}, async (log, broker) => {
          const work = await prepare(log)
          const { asked, error } = await ask(broker, KIND_OF[kind] as Api, each.step, work)
          if (repeated(each.outcome)) expect(error).toBeNull()
          else expectNamed(error, each)
          // a question to any broker goes to the next one when the connection ends, and the bootstrap address is one more
          expect(asked).toBeGreaterThanOrEqual(repeated(each.outcome) ? 2 : 1)
          if (!repeated(each.outcome)) expect(asked).toBe(1)
        })
      })
    }
  }

  for (const each of all('metadata')) {
    it(`metadata: ${each.name} is ${each.outcome}`, async () => {
      await onBroker({}, async (log, broker) => {
        let found: ReadonlyMap<string, unknown> | undefined
        const { asked, error } = await ask(broker, 'Metadata', each.step, async () => {
          found = await log.topics([TOPIC])
        })
        if (each.outcome === 'missing') expect([error, found?.size]).toEqual([null, 0])
        else if (repeated(each.outcome)) {
          expect([error, found?.size]).toEqual([null, 1])
          expect(asked).toBeGreaterThan(1)
        } else expectNamed(error, each)
      })
    })
  }

  for (const each of all('admin').filter(({ outcome: of }) => of !== 'ok')) {
    for (const api of ['CreateTopics', 'DeleteTopics'] as const) {
      it(`${api}: ${each.name} is ${each.outcome}`, async () => {
        await onBroker({}, async (log, broker) => {
          const create = (): Promise<void> => log.createTopics([{ name: 'new', partitions: 2, kind: 'plain' }])
          const { asked, error } = await ask(broker, api, each.step, () => (api === 'CreateTopics' ? create() : log.deleteTopics([TOPIC])))
          if (repeated(each.outcome)) {
            // behind a connection that was lost too late the second one hears TOPIC_ALREADY_EXISTS or UNKNOWN_TOPIC_OR_PARTITION: ok
            expect(error).toBeNull()
            expect(asked).toBeGreaterThan(1)
            expect((await log.topics(['new'])).size).toBe(api === 'CreateTopics' ? 1 : 0)
            expect((await log.topics([TOPIC])).size).toBe(api === 'CreateTopics' ? 1 : 0)
          } else {
            expect(asked).toBe(1)
            expectNamed(error, each)
          }
        })
      })
    }
  }
})

describe.concurrent('a reader meets an answer of a broker', () => {
  for (const each of all('fetch')) {
    it(`fetch: ${each.name} is ${each.outcome}`, async () => {
      await onBroker({}, async (log, broker) => {
        await log.topics([TOPIC])
        const reader = log.reader()
        const described = broker.count('Metadata')
        broker.script('Fetch', each.step)
        reader.assign([{ topic: TOPIC, partition: 0, offset: 5 }])
        const polled = (async () => {
          for (let i = 0; i < 20 || (broker.count('Fetch') < 2 && i < 500); i++) await reader.poll(20)
        })().then(
          () => null,
          (error: unknown) => error,
        )
        if (each.outcome === 'range') expect(await polled).toMatchObject({ code: 'STREAM_OFFSET_OUT_OF_RANGE', disposition: 'stop' })
        else if (each.outcome === 'stop') {
          expectNamed(await polled, each)
          expect(broker.count('Fetch')).toBe(1)
        } else {
          expect(await polled, 'it goes on by itself').toBeNull()
          expect(broker.count('Fetch')).toBeGreaterThan(1)
          expect(broker.count('Metadata') > described).toBe(each.outcome !== 'again')
        }
        expect(broker.pending()).toBe(0)
        await reader.close()
      })
    })
  }

  it('a topic that stays missing is named', async () => {
    await onBroker({ impatient: true }, async (log, broker) => {
      await log.topics([TOPIC])
      const reader = log.reader()
      reader.assign([{ topic: TOPIC, partition: 0, offset: 0 }])
      await log.deleteTopics([TOPIC])
      broker.script('Fetch', ...new Array(1_000).fill(codeOf('UNKNOWN_TOPIC_ID')))
      const poll = async (): Promise<void> => {
        for (let i = 0; i < 1_000; i++) await reader.poll(5_000) // 100 ms of its clock
      }
      await expect(poll()).rejects.toMatchObject({ code: 'STREAM_TOPIC_MISSING' })
      await reader.close()
    })
  })
})

interface Member {
  readonly group: Group
  readonly events: string[]
  readonly failed: unknown[]
}

function member(log: Log, together: readonly string[] = []): Member {
  const events: string[] = []
  const failed: unknown[] = []
  const share: GroupAssignment = { partitions: BOTH, userData: Buffer.from('mine') }
  const group: Group = log.group({
    groupId: GROUP,
    instanceId: null,
    topics: [TOPIC],
    together,
    userData: () => Buffer.from('me'),
    assign: (members) => new Map(members.map(({ memberId }) => [memberId, share])),
    async onRevoke(lost) {
      events.push(`${lost ? 'lost' : 'revoked'} under ${group.identity().generation}`)
    },
    onAssign: ({ userData }) => void events.push(`assigned ${userData} in ${group.identity().generation}`),
    onFatal: (error) => void failed.push(error),
  })
  return { group, events, failed }
}

describe.concurrent('a member meets an answer of a broker', () => {
  for (const kind of ['join', 'sync'] as const) {
    for (const each of all(kind)) {
      it(`${kind}: ${each.name} is ${each.outcome}`, async () => {
        await onBroker({}, async (log, broker) => {
          const { group, events } = member(log)
          const { asked, error } = await ask(broker, KIND_OF[kind] as Api, each.step, () => group.start())
          if (each.outcome === 'fenced' || each.outcome === 'stop') {
            expectNamed(error, each)
            expect(group.identity().generation, 'nothing may be committed').toBe(-1)
            expect(asked).toBe(1)
          } else {
            expect(error).toBeNull()
            expect(asked).toBe(2)
            expect(broker.count('JoinGroup'), 'whatever is refused, it joins again').toBe(2)
            expect(events).toEqual([`assigned mine in ${group.identity().generation}`])
            const [first, second] = broker.asked.filter(({ api }) => api === 'JoinGroup').map(({ memberId }) => memberId)
            expect(first).toBe('')
            expect(second === '').toBe(kind === 'join' ? each.outcome !== 'named' : each.outcome === 'forgotten')
          }
          await group.close()
        })
      })
    }
  }

  for (const each of all('heartbeat')) {
    it(`heartbeat: ${each.name} is ${each.outcome}`, async () => {
      await onBroker({}, async (log, broker) => {
        const { group, events, failed } = member(log)
        await group.start()
        const { generation, memberId } = group.identity()
        const found = broker.count('FindCoordinator')
        broker.script('Heartbeat', each.step)
        await until(() => broker.pending() === 0, 'a heartbeat')
        const beats = broker.count('Heartbeat')
        if (each.outcome === 'refresh') {
          await until(() => broker.count('Heartbeat') > beats, 'the next heartbeat')
          expect(events, 'nothing was taken from it').toHaveLength(1)
          expect(group.identity()).toMatchObject({ generation, memberId })
          expect(broker.count('FindCoordinator')).toBe(found + 1)
        } else if (each.outcome === 'stop' || each.outcome === 'fenced') {
          await until(() => failed.length > 0, 'the end of the membership')
          expectNamed(failed[0], each)
          expect(group.identity().generation).toBe(-1)
        } else {
          await until(() => events.length === 3, 'another assignment')
          const [, revoked] = events
          expect(revoked).toBe(each.outcome === 'rejoin' ? `revoked under ${generation}` : 'lost under -1')
          const again = broker.asked.filter(({ api }) => api === 'JoinGroup').at(-1)
          expect(again?.memberId).toBe(each.outcome === 'forgotten' ? '' : memberId)
          expect(group.identity().generation).toBeGreaterThan(generation)
        }
        await group.close()
      })
    })
  }

  for (const each of all('leave')) {
    it(`leave: ${each.name} keeps nobody from closing`, async () => {
      await onBroker({}, async (log, broker) => {
        const { group } = member(log)
        await group.start()
        broker.script('LeaveGroup', each.step)
        await group.close()
        expect(broker.count('LeaveGroup')).toBe(1)
      })
    })
  }

  it('a leader waits for those that start with it, a while: the refusal of a heartbeat says that somebody has joined', async () => {
    const real = systemWorld(silent)
    let monotonicMs = 1
    const world = { ...real, clock: { ...real.clock, monotonic: () => monotonicMs } }
    await onBroker({ world }, async (log, broker) => {
      const { group, events } = member(log, ['worker-0', 'worker-1'])
      broker.script('Heartbeat', 0, codeOf('REBALANCE_IN_PROGRESS'))
      const started = group.start()
      await until(() => broker.count('JoinGroup') === 2 && broker.count('Heartbeat') > 3, 'it joins again, and waits again')
      expect(broker.count('SyncGroup'), 'nothing was dealt out').toBe(0)
      monotonicMs += LIMITS.togetherWaitMs
      await started
      expect(broker.count('JoinGroup')).toBe(2)
      expect(events).toEqual([`assigned mine in ${group.identity().generation}`])
      await group.close()
    })
  })

  it('an answer that comes again and again does not make it spin', async () => {
    await onBroker({}, async (log, broker) => {
      const { group } = member(log)
      broker.script('SyncGroup', ...new Array(1_000).fill(codeOf('ELECTION_NOT_NEEDED')))
      const started = group.start()
      await new Promise((resolve) => setTimeout(resolve, 200))
      broker.script('SyncGroup')
      await started
      expect(broker.count('SyncGroup')).toBeLessThan(150) // 100 ms of its hurried clock are 2 ms
      await group.close()
    })
  })
})

// From the protocol's documentation (kafka.apache.org/protocol, and the "Possible error codes" of each response class): each has a row.
const ANSWERS: Readonly<Partial<Record<RequestKind, string>>> = {
  init: `NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS CONCURRENT_TRANSACTIONS PRODUCER_FENCED INVALID_PRODUCER_EPOCH
    INVALID_TRANSACTION_TIMEOUT TRANSACTIONAL_ID_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED INVALID_REQUEST REQUEST_TIMED_OUT UNKNOWN_SERVER_ERROR`,
  addPartitions: `NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS CONCURRENT_TRANSACTIONS INVALID_TXN_STATE
    INVALID_PRODUCER_ID_MAPPING INVALID_PRODUCER_EPOCH PRODUCER_FENCED TOPIC_AUTHORIZATION_FAILED TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    UNKNOWN_TOPIC_OR_PARTITION OPERATION_NOT_ATTEMPTED TRANSACTION_ABORTABLE UNKNOWN_SERVER_ERROR`,
  addOffsets: `NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS CONCURRENT_TRANSACTIONS INVALID_TXN_STATE
    INVALID_PRODUCER_ID_MAPPING INVALID_PRODUCER_EPOCH PRODUCER_FENCED TRANSACTIONAL_ID_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED
    TRANSACTION_ABORTABLE INVALID_GROUP_ID UNKNOWN_SERVER_ERROR`,
  produce: `CORRUPT_MESSAGE UNKNOWN_TOPIC_OR_PARTITION NOT_LEADER_OR_FOLLOWER MESSAGE_TOO_LARGE INVALID_TOPIC_EXCEPTION RECORD_LIST_TOO_LARGE
    NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND INVALID_REQUIRED_ACKS TOPIC_AUTHORIZATION_FAILED UNSUPPORTED_FOR_MESSAGE_FORMAT
    INVALID_PRODUCER_EPOCH CLUSTER_AUTHORIZATION_FAILED TRANSACTIONAL_ID_AUTHORIZATION_FAILED INVALID_RECORD OUT_OF_ORDER_SEQUENCE_NUMBER
    DUPLICATE_SEQUENCE_NUMBER UNKNOWN_PRODUCER_ID INVALID_TIMESTAMP INVALID_TXN_STATE INVALID_PRODUCER_ID_MAPPING TRANSACTION_ABORTABLE
    CONCURRENT_TRANSACTIONS PRODUCER_FENCED KAFKA_STORAGE_ERROR REQUEST_TIMED_OUT UNKNOWN_SERVER_ERROR UNSUPPORTED_COMPRESSION_TYPE POLICY_VIOLATION`,
  txnOffsets: `INVALID_PRODUCER_EPOCH NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS OFFSET_METADATA_TOO_LARGE
    GROUP_AUTHORIZATION_FAILED INVALID_COMMIT_OFFSET_SIZE TRANSACTIONAL_ID_AUTHORIZATION_FAILED ILLEGAL_GENERATION UNKNOWN_MEMBER_ID FENCED_INSTANCE_ID
    TOPIC_AUTHORIZATION_FAILED UNKNOWN_TOPIC_OR_PARTITION REQUEST_TIMED_OUT TRANSACTION_ABORTABLE INVALID_TXN_STATE INVALID_PRODUCER_ID_MAPPING
    PRODUCER_FENCED CONCURRENT_TRANSACTIONS STALE_MEMBER_EPOCH GROUP_ID_NOT_FOUND INVALID_GROUP_ID REBALANCE_IN_PROGRESS UNKNOWN_SERVER_ERROR`,
  end: `NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS INVALID_TXN_STATE INVALID_PRODUCER_ID_MAPPING INVALID_PRODUCER_EPOCH
    PRODUCER_FENCED TRANSACTIONAL_ID_AUTHORIZATION_FAILED TRANSACTION_ABORTABLE CONCURRENT_TRANSACTIONS REQUEST_TIMED_OUT UNKNOWN_SERVER_ERROR`,
  offsetCommit: `OFFSET_METADATA_TOO_LARGE GROUP_AUTHORIZATION_FAILED NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS
    ILLEGAL_GENERATION UNKNOWN_MEMBER_ID REBALANCE_IN_PROGRESS INVALID_COMMIT_OFFSET_SIZE TOPIC_AUTHORIZATION_FAILED UNKNOWN_TOPIC_OR_PARTITION
    FENCED_INSTANCE_ID STALE_MEMBER_EPOCH GROUP_ID_NOT_FOUND INVALID_GROUP_ID REQUEST_TIMED_OUT UNKNOWN_SERVER_ERROR`,
  offsetFetch: `NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS GROUP_AUTHORIZATION_FAILED TOPIC_AUTHORIZATION_FAILED
    UNSTABLE_OFFSET_COMMIT UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_MEMBER_ID STALE_MEMBER_EPOCH GROUP_ID_NOT_FOUND INVALID_GROUP_ID UNKNOWN_SERVER_ERROR`,
  fetch: `OFFSET_OUT_OF_RANGE TOPIC_AUTHORIZATION_FAILED REPLICA_NOT_AVAILABLE NOT_LEADER_OR_FOLLOWER FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH
    UNKNOWN_TOPIC_OR_PARTITION KAFKA_STORAGE_ERROR UNSUPPORTED_COMPRESSION_TYPE CORRUPT_MESSAGE UNKNOWN_TOPIC_ID FETCH_SESSION_TOPIC_ID_ERROR
    INCONSISTENT_TOPIC_ID FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH OFFSET_NOT_AVAILABLE OFFSET_MOVED_TO_TIERED_STORAGE UNKNOWN_SERVER_ERROR`,
  listOffsets: `NOT_LEADER_OR_FOLLOWER FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH REPLICA_NOT_AVAILABLE LEADER_NOT_AVAILABLE KAFKA_STORAGE_ERROR
    OFFSET_NOT_AVAILABLE UNKNOWN_TOPIC_OR_PARTITION TOPIC_AUTHORIZATION_FAILED UNSUPPORTED_FOR_MESSAGE_FORMAT UNKNOWN_SERVER_ERROR`,
  find: `COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS GROUP_AUTHORIZATION_FAILED TRANSACTIONAL_ID_AUTHORIZATION_FAILED INVALID_REQUEST
    INVALID_GROUP_ID UNKNOWN_SERVER_ERROR`,
  metadata: `UNKNOWN_TOPIC_OR_PARTITION LEADER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE LISTENER_NOT_FOUND INVALID_TOPIC_EXCEPTION
    TOPIC_AUTHORIZATION_FAILED UNKNOWN_TOPIC_ID UNKNOWN_SERVER_ERROR`,
  join: `COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR INCONSISTENT_GROUP_PROTOCOL UNKNOWN_MEMBER_ID INVALID_SESSION_TIMEOUT
    GROUP_AUTHORIZATION_FAILED MEMBER_ID_REQUIRED GROUP_MAX_SIZE_REACHED FENCED_INSTANCE_ID INVALID_GROUP_ID REBALANCE_IN_PROGRESS UNKNOWN_SERVER_ERROR`,
  sync: `COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR ILLEGAL_GENERATION UNKNOWN_MEMBER_ID REBALANCE_IN_PROGRESS
    INCONSISTENT_GROUP_PROTOCOL FENCED_INSTANCE_ID GROUP_AUTHORIZATION_FAILED INVALID_GROUP_ID UNKNOWN_SERVER_ERROR`,
  heartbeat: `COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS NOT_COORDINATOR ILLEGAL_GENERATION UNKNOWN_MEMBER_ID REBALANCE_IN_PROGRESS
    FENCED_INSTANCE_ID GROUP_AUTHORIZATION_FAILED INVALID_GROUP_ID UNKNOWN_SERVER_ERROR`,
  leave:
    'COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR UNKNOWN_MEMBER_ID FENCED_INSTANCE_ID GROUP_AUTHORIZATION_FAILED',
  admin: `TOPIC_ALREADY_EXISTS UNKNOWN_TOPIC_OR_PARTITION INVALID_TOPIC_EXCEPTION INVALID_PARTITIONS INVALID_REPLICATION_FACTOR
    INVALID_REPLICA_ASSIGNMENT INVALID_CONFIG POLICY_VIOLATION NOT_CONTROLLER REQUEST_TIMED_OUT THROTTLING_QUOTA_EXCEEDED CLUSTER_AUTHORIZATION_FAILED
    TOPIC_AUTHORIZATION_FAILED TOPIC_DELETION_DISABLED INVALID_REQUEST UNKNOWN_SERVER_ERROR`,
}

describe('the table has a row, not only a default, for what brokers are documented to answer', () => {
  for (const [kind, names] of Object.entries(ANSWERS) as [RequestKind, string][]) {
    it(kind, () => {
      const without = names.split(/\s+/).filter((name) => !ROWS.some((row) => row.kinds.includes(kind) && row.names.includes(name)))
      expect(without).toEqual([])
      for (const name of names.split(/\s+/)) expect(codeOf(name)).not.toBe(0)
    })
  }
})
