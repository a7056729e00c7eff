// The table of broker answers, row by row: what was measured on a real broker, and what each kind of request falls back on.
import { describe, expect, it } from 'vitest'
import { NETWORK, type Outcome, outcome, type RequestKind, ROWS, TIMEOUT, UNCLASSIFIED } from '../../src/log/outcome.ts'

const EPOCH: readonly RequestKind[] = ['addPartitions', 'addOffsets', 'produce', 'txnOffsets', 'end']

// written down a second time on purpose: a change of the table must be meant twice
const EXPECTED: readonly (readonly [kind: RequestKind, names: string, outcome: Outcome])[] = [
  ['init', 'CONCURRENT_TRANSACTIONS', 'again'],
  ['init', `NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS ${NETWORK} ${TIMEOUT}`, 'refresh'],
  ['init', 'PRODUCER_FENCED INVALID_PRODUCER_EPOCH', 'fenced'],
  ['init', 'REQUEST_TIMED_OUT TRANSACTION_COORDINATOR_FENCED UNKNOWN_SERVER_ERROR', 'refresh'],
  ['init', 'INVALID_TRANSACTION_TIMEOUT INVALID_REQUEST UNSUPPORTED_VERSION INVALID_TXN_STATE', 'stop'],
  ['produce', 'INVALID_PRODUCER_EPOCH PRODUCER_FENCED', 'fenced'],
  ['txnOffsets', 'INVALID_PRODUCER_EPOCH PRODUCER_FENCED', 'fenced'],
  ['addPartitions', 'INVALID_PRODUCER_EPOCH PRODUCER_FENCED', 'fenced'],
  ['addOffsets', 'INVALID_PRODUCER_EPOCH PRODUCER_FENCED', 'fenced'],
  ['end', 'INVALID_PRODUCER_EPOCH PRODUCER_FENCED', 'fenced'],
  [
    'txnOffsets',
    'ILLEGAL_GENERATION UNKNOWN_MEMBER_ID FENCED_INSTANCE_ID STALE_MEMBER_EPOCH FENCED_MEMBER_EPOCH REBALANCE_IN_PROGRESS',
    'fenced',
  ],
  [
    'offsetCommit',
    'ILLEGAL_GENERATION UNKNOWN_MEMBER_ID FENCED_INSTANCE_ID STALE_MEMBER_EPOCH FENCED_MEMBER_EPOCH REBALANCE_IN_PROGRESS',
    'fenced',
  ],
  ['addPartitions', 'INVALID_PRODUCER_ID_MAPPING INVALID_TXN_STATE TRANSACTION_ABORTABLE OPERATION_NOT_ATTEMPTED', 'doubt'],
  ['addOffsets', 'INVALID_PRODUCER_ID_MAPPING INVALID_TXN_STATE TRANSACTION_ABORTABLE', 'doubt'],
  ['txnOffsets', 'INVALID_PRODUCER_ID_MAPPING INVALID_TXN_STATE TRANSACTION_ABORTABLE', 'doubt'],
  ['end', 'INVALID_PRODUCER_ID_MAPPING INVALID_TXN_STATE TRANSACTION_ABORTABLE', 'doubt'],
  ['addPartitions', 'CONCURRENT_TRANSACTIONS', 'again'],
  ['produce', 'CONCURRENT_TRANSACTIONS', 'again'],
  ['addOffsets', 'CONCURRENT_TRANSACTIONS', 'again'],
  ['txnOffsets', 'CONCURRENT_TRANSACTIONS', 'again'],
  ['end', 'CONCURRENT_TRANSACTIONS', 'again'],
  ['addPartitions', 'NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS', 'refresh'],
  ['end', 'NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS', 'refresh'],
  ['txnOffsets', 'NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS', 'refresh'],
  ['offsetCommit', 'NOT_COORDINATOR COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS', 'refresh'],
  ['produce', 'MESSAGE_TOO_LARGE RECORD_LIST_TOO_LARGE', 'tooLarge'],
  ['produce', 'INVALID_TIMESTAMP INVALID_RECORD CORRUPT_MESSAGE UNSUPPORTED_FOR_MESSAGE_FORMAT POLICY_VIOLATION', 'stop'],
  ['produce', 'UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID', 'missing'],
  ['produce', 'NOT_LEADER_OR_FOLLOWER LEADER_NOT_AVAILABLE FENCED_LEADER_EPOCH KAFKA_STORAGE_ERROR', 'doubt'],
  ['produce', 'OUT_OF_ORDER_SEQUENCE_NUMBER DUPLICATE_SEQUENCE_NUMBER UNKNOWN_PRODUCER_ID', 'doubt'],
  ['produce', 'NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND REQUEST_TIMED_OUT INVALID_TXN_STATE TRANSACTION_ABORTABLE', 'doubt'],
  ['txnOffsets', 'UNKNOWN_TOPIC_OR_PARTITION', 'missing'],
  ['txnOffsets', 'OFFSET_METADATA_TOO_LARGE INVALID_COMMIT_OFFSET_SIZE INVALID_GROUP_ID INVALID_REQUEST UNSUPPORTED_VERSION', 'stop'],
  ['offsetCommit', 'OFFSET_METADATA_TOO_LARGE INVALID_COMMIT_OFFSET_SIZE INVALID_GROUP_ID INVALID_REQUEST UNSUPPORTED_VERSION', 'stop'],
  ['txnOffsets', 'GROUP_ID_NOT_FOUND', 'fenced'],
  ['offsetCommit', 'GROUP_ID_NOT_FOUND', 'fenced'],
  ['addPartitions', 'REQUEST_TIMED_OUT', 'doubt'],
  ['addOffsets', 'REQUEST_TIMED_OUT', 'doubt'],
  ['txnOffsets', 'REQUEST_TIMED_OUT', 'doubt'],
  ['end', 'REQUEST_TIMED_OUT', 'doubt'],
  ['offsetCommit', 'REQUEST_TIMED_OUT', 'doubt'],
  ['end', 'INVALID_REQUEST UNSUPPORTED_VERSION TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'stop'],
  ['produce', 'INVALID_REQUIRED_ACKS INVALID_REQUEST UNSUPPORTED_VERSION TOPIC_AUTHORIZATION_FAILED', 'stop'],
  [
    'fetch',
    `${NETWORK} ${TIMEOUT} NOT_LEADER_OR_FOLLOWER FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH REPLICA_NOT_AVAILABLE KAFKA_STORAGE_ERROR`,
    'refresh',
  ],
  ['fetch', 'OFFSET_OUT_OF_RANGE', 'range'],
  ['fetch', 'UNKNOWN_TOPIC_ID UNKNOWN_TOPIC_OR_PARTITION INCONSISTENT_TOPIC_ID', 'missing'],
  ['fetch', 'OFFSET_NOT_AVAILABLE CORRUPT_MESSAGE', 'again'],
  ['fetch', 'TOPIC_AUTHORIZATION_FAILED UNSUPPORTED_VERSION', 'stop'],
  ['listOffsets', `${NETWORK} NOT_LEADER_OR_FOLLOWER LEADER_NOT_AVAILABLE`, 'refresh'],
  ['offsetFetch', 'UNSTABLE_OFFSET_COMMIT', 'again'],
  ['offsetFetch', `NOT_COORDINATOR COORDINATOR_LOAD_IN_PROGRESS COORDINATOR_NOT_AVAILABLE ${NETWORK} ${TIMEOUT}`, 'refresh'],
  ['offsetFetch', 'UNKNOWN_MEMBER_ID STALE_MEMBER_EPOCH GROUP_ID_NOT_FOUND INVALID_GROUP_ID INVALID_REQUEST', 'stop'],
  ['offsetFetch', 'UNKNOWN_SERVER_ERROR', 'again'],
  ['listOffsets', 'UNKNOWN_SERVER_ERROR OFFSET_NOT_AVAILABLE', 'again'],
  ['listOffsets', 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'stop'],
  ['fetch', 'UNKNOWN_SERVER_ERROR', 'again'],
  ['fetch', 'FETCH_SESSION_ID_NOT_FOUND INVALID_FETCH_SESSION_EPOCH FETCH_SESSION_TOPIC_ID_ERROR UNSUPPORTED_COMPRESSION_TYPE', 'stop'],
  ['fetch', 'OFFSET_MOVED_TO_TIERED_STORAGE', 'refresh'],
  ['metadata', 'INVALID_TOPIC_EXCEPTION UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID', 'missing'],
  ['metadata', 'LEADER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE LISTENER_NOT_FOUND', 'refresh'],
  ['metadata', 'TOPIC_AUTHORIZATION_FAILED INVALID_REQUEST', 'stop'],
  ['find', 'UNKNOWN_SERVER_ERROR', 'again'],
  ['find', 'INVALID_GROUP_ID GROUP_AUTHORIZATION_FAILED INVALID_REQUEST', 'stop'],
  ['find', `COORDINATOR_NOT_AVAILABLE COORDINATOR_LOAD_IN_PROGRESS ${NETWORK}`, 'refresh'],
  ['join', 'MEMBER_ID_REQUIRED', 'named'],
  ['join', 'UNKNOWN_MEMBER_ID', 'forgotten'],
  ['sync', 'REBALANCE_IN_PROGRESS', 'rejoin'],
  ['sync', 'SOMETHING_ELSE ILLEGAL_GENERATION', 'lost'],
  ['sync', 'UNKNOWN_SERVER_ERROR INCONSISTENT_GROUP_PROTOCOL INVALID_GROUP_ID', 'stop'],
  ['join', 'UNKNOWN_SERVER_ERROR UNSUPPORTED_VERSION', 'stop'],
  ['heartbeat', `UNKNOWN_SERVER_ERROR ${UNCLASSIFIED}`, 'refresh'],
  ['heartbeat', 'REBALANCE_IN_PROGRESS', 'rejoin'],
  ['heartbeat', 'ILLEGAL_GENERATION', 'lost'],
  ['heartbeat', 'UNKNOWN_MEMBER_ID', 'forgotten'],
  ['heartbeat', `${NETWORK} ${TIMEOUT} NOT_COORDINATOR`, 'refresh'],
  ['heartbeat', 'FENCED_INSTANCE_ID', 'fenced'],
  ['join', 'FENCED_INSTANCE_ID', 'fenced'],
  ['join', 'INCONSISTENT_GROUP_PROTOCOL GROUP_MAX_SIZE_REACHED GROUP_AUTHORIZATION_FAILED', 'stop'],
  ['leave', 'UNKNOWN_MEMBER_ID SOMETHING_ELSE', 'ok'],
  ['admin', 'TOPIC_ALREADY_EXISTS UNKNOWN_TOPIC_OR_PARTITION', 'ok'],
  ['admin', `NOT_CONTROLLER ${NETWORK} ${TIMEOUT} UNKNOWN_SERVER_ERROR REQUEST_TIMED_OUT THROTTLING_QUOTA_EXCEEDED`, 'refresh'],
  ['admin', 'INVALID_TOPIC_EXCEPTION INVALID_PARTITIONS INVALID_REQUEST TOPIC_DELETION_DISABLED', 'stop'],
  ['admin', 'INVALID_REPLICATION_FACTOR INVALID_CONFIG POLICY_VIOLATION', 'stop'],
]

describe('the table of broker answers', () => {
  for (const [kind, names, expected] of EXPECTED) {
    for (const name of names.split(' ')) it(`${kind}: ${name} is ${expected}`, () => expect(outcome(kind, name).outcome).toBe(expected))
  }

  it('treats what it does not know as doubt inside an epoch, and never repeats it', () => {
    for (const kind of [...EPOCH, 'offsetCommit'] as const) {
      for (const name of [NETWORK, TIMEOUT, UNCLASSIFIED, 'UNKNOWN_SERVER_ERROR', 'A_NAME_OF_TOMORROW'])
        expect(outcome(kind, name).outcome, `${kind} ${name}`).toBe('doubt')
    }
  })

  it('repeats a Produce for one answer only: the partition has not joined the transaction yet', () => {
    for (const row of ROWS)
      if (row.kinds.includes('produce') && row.names.join() !== 'CONCURRENT_TRANSACTIONS')
        expect(['again', 'refresh'], row.names.join()).not.toContain(row.outcome)
  })

  it('has one row for an answer, and a reason of one line for each row', () => {
    const seen = new Set<string>()
    for (const row of ROWS) {
      expect(row.reason).toMatch(/^[^\n]{10,160}$/)
      for (const kind of row.kinds) {
        for (const name of row.names) {
          const key = `${kind}/${name}`
          expect(seen.has(key), `${key} stands twice`).toBe(false)
          seen.add(key)
        }
      }
    }
  })
})
