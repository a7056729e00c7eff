// Every answer a broker may give, by the kind of request that got it, and what it means for us. One pure table: no adapter
// decides by itself what an error is, and nobody asks the client package whether something "can be retried".
//
// Invariants
// 1. 'again' and 'refresh' stand only where the broker has answered, so that nothing is on its way any more, and has done nothing or what
//    doing twice does not change. Inside an epoch everything else that is not a clear refusal is 'doubt' (R2): a lost connection, a
//    timeout, a code we do not know.
// 2. A request that only reads is never in doubt: asking twice changes nothing.
// 3. A name that has no row gets the default of its kind of request.

/** init: InitProducerId. end: EndTxn. txnOffsets: TxnOffsetCommit. find: FindCoordinator. */
export type RequestKind =
  | 'init'
  | 'addPartitions'
  | 'addOffsets'
  | 'produce'
  | 'txnOffsets'
  | 'end'
  | 'offsetCommit'
  | 'offsetFetch'
  | 'fetch'
  | 'listOffsets'
  | 'find'
  | 'metadata'
  | 'admin'
  | 'join'
  | 'sync'
  | 'heartbeat'
  | 'leave'

/** ok: as good as done. again: the same request after a pause. refresh: look up who leads, then the same request. doubt: the
 *  epoch is over, nobody knows how (rewind). fenced: another instance has taken over. missing: no such topic. range: no such
 *  offset. tooLarge: a batch the topic does not take. lost: the generation is over, join with the same member id. forgotten: join
 *  as a new member. named: join again with the id that the answer gives. rejoin: a rebalance has begun. stop: a person is needed. */
export type Outcome =
  | 'ok'
  | 'again'
  | 'refresh'
  | 'doubt'
  | 'fenced'
  | 'missing'
  | 'range'
  | 'tooLarge'
  | 'lost'
  | 'forgotten'
  | 'named'
  | 'rejoin'
  | 'stop'

export interface Row {
  readonly kinds: readonly RequestKind[]
  readonly names: readonly string[]
  readonly outcome: Outcome
  readonly reason: string
}

/** What is no broker's word: a connection refused or lost, no answer in time, something thrown that we cannot name. */
export const NETWORK = 'NETWORK'
export const TIMEOUT = 'TIMEOUT'
export const UNCLASSIFIED = 'UNCLASSIFIED'

const EPOCH: readonly RequestKind[] = ['addPartitions', 'addOffsets', 'produce', 'txnOffsets', 'end']
const COORDINATED: readonly RequestKind[] = ['addPartitions', 'addOffsets', 'txnOffsets', 'end', 'offsetCommit']
const GROUP: readonly RequestKind[] = ['join', 'sync', 'heartbeat', 'leave']
const READS: readonly RequestKind[] = ['offsetFetch', 'fetch', 'listOffsets', 'find', 'metadata']
const LEADER = [
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'LISTENER_NOT_FOUND',
]
const COORDINATOR = ['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS']
const DENIED = [
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'SECURITY_DISABLED',
]

const ANY: readonly RequestKind[] = ['init', ...EPOCH, 'offsetCommit', ...READS, ...GROUP, 'admin']

/** Of a refusal by ACLs the right that is missing, in Kafka's words: whoever reads it can grant it. docs/security.md has them all. */
const RIGHTS: readonly (readonly [name: string, kinds: readonly RequestKind[], right: string])[] = [
  ['TOPIC_AUTHORIZATION_FAILED', ['fetch', 'txnOffsets', 'offsetCommit'], 'Read on the topic'],
  ['TOPIC_AUTHORIZATION_FAILED', ['produce', 'addPartitions'], 'Write on the topic'],
  ['TOPIC_AUTHORIZATION_FAILED', ['metadata', 'listOffsets', 'offsetFetch'], 'Describe on the topic (Read or Write brings it)'],
  ['TOPIC_AUTHORIZATION_FAILED', ['admin'], 'Create on the topic, or Delete where it deletes'],
  ['GROUP_AUTHORIZATION_FAILED', ['find', 'offsetFetch', 'addOffsets', 'txnOffsets', 'offsetCommit', ...GROUP], 'Read on the group'],
  ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', ['find', 'init', ...EPOCH], 'Write on the transactional id'],
]

export const ROWS: readonly Row[] = [
  // init: the first request of a producer epoch; asking twice is what it is for
  { kinds: ['init'], names: ['CONCURRENT_TRANSACTIONS'], outcome: 'again', reason: "the predecessor's transaction is being aborted" },
  {
    kinds: ['init'],
    names: [...COORDINATOR, NETWORK, TIMEOUT],
    outcome: 'refresh',
    reason: 'no coordinator yet, or not this one; init may be repeated',
  },
  { kinds: ['init'], names: ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'], outcome: 'fenced', reason: 'a newer init raced with this one' },
  {
    kinds: ['init'],
    names: ['REQUEST_TIMED_OUT', 'TRANSACTION_COORDINATOR_FENCED', 'UNKNOWN_SERVER_ERROR'],
    outcome: 'refresh',
    reason: "the coordinator could not write it down, or a broker's own fault; init may be repeated",
  },
  {
    kinds: ['init'],
    names: ['INVALID_TRANSACTION_TIMEOUT', 'INVALID_REQUEST', 'UNSUPPORTED_VERSION', 'INVALID_TXN_STATE'],
    outcome: 'stop',
    reason: 'the broker will not give us an id; see its transaction.max.timeout.ms',
  },

  // who has taken over
  {
    kinds: [...EPOCH],
    names: ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
    outcome: 'fenced',
    reason: 'a newer init, or the coordinator ended a transaction that took too long',
  },
  {
    kinds: ['txnOffsets', 'offsetCommit'],
    names: [
      'ILLEGAL_GENERATION',
      'UNKNOWN_MEMBER_ID',
      'FENCED_INSTANCE_ID',
      'STALE_MEMBER_EPOCH',
      'FENCED_MEMBER_EPOCH',
      'GROUP_ID_NOT_FOUND',
    ],
    outcome: 'fenced',
    reason: 'the group has moved on without this member',
  },
  {
    kinds: ['txnOffsets', 'offsetCommit'],
    names: ['REBALANCE_IN_PROGRESS'],
    outcome: 'fenced',
    reason: "the next generation is forming: these partitions may be another's already",
  },
  {
    kinds: ['addPartitions', 'addOffsets', 'txnOffsets', 'end', 'produce'],
    names: ['INVALID_PRODUCER_ID_MAPPING'],
    outcome: 'doubt',
    reason: 'the coordinator has forgotten or renewed our id; init gives another',
  },

  // an epoch's requests that were plainly not done
  {
    kinds: ['addPartitions', 'addOffsets', 'txnOffsets', 'end'],
    names: ['CONCURRENT_TRANSACTIONS'],
    outcome: 'again',
    reason: "the last transaction's markers are being written; nothing was done",
  },
  {
    kinds: COORDINATED,
    names: COORDINATOR,
    outcome: 'refresh',
    reason: 'not the coordinator, still loading, or its log is short of replicas: at most it has noted what it will be told again',
  },

  {
    kinds: ['produce'],
    names: ['CONCURRENT_TRANSACTIONS'],
    outcome: 'again',
    reason: "the last transaction's markers are being written: the partition was not added, nothing was appended",
  },

  // produce: any other batch that failed is never sent again in the same epoch, others of its partition may be in flight behind it
  {
    kinds: ['produce'],
    names: ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'],
    outcome: 'tooLarge',
    reason: "over the topic's max.message.bytes; it would be again",
  },
  {
    kinds: ['produce'],
    names: ['INVALID_TIMESTAMP'],
    outcome: 'stop',
    reason: "a record is too far from the broker's clock (message.timestamp.after.max.ms); it would be again",
  },
  {
    kinds: ['produce'],
    names: [
      'INVALID_RECORD',
      'CORRUPT_MESSAGE',
      'UNSUPPORTED_FOR_MESSAGE_FORMAT',
      'UNSUPPORTED_COMPRESSION_TYPE',
      'POLICY_VIOLATION',
      'INVALID_REQUIRED_ACKS',
    ],
    outcome: 'stop',
    reason: 'the broker will not take this batch, today or tomorrow',
  },
  {
    kinds: ['produce'],
    names: ['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID', 'INVALID_TOPIC_EXCEPTION'],
    outcome: 'missing',
    reason: 'the topic was deleted',
  },
  {
    kinds: ['produce'],
    names: LEADER,
    outcome: 'doubt',
    reason: 'the leader has moved; batches of the same partition may be in flight behind this one',
  },
  {
    kinds: ['produce'],
    names: ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'DUPLICATE_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID'],
    outcome: 'doubt',
    reason: 'a batch before this one was lost',
  },
  {
    kinds: ['produce'],
    names: ['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'REQUEST_TIMED_OUT', 'INVALID_TXN_STATE', 'TRANSACTION_ABORTABLE'],
    outcome: 'doubt',
    reason: 'too few replicas, or a transaction not in the state we think it is',
  },
  {
    kinds: ['addPartitions', 'txnOffsets', 'offsetCommit'],
    names: ['UNKNOWN_TOPIC_OR_PARTITION'],
    outcome: 'missing',
    reason: 'the topic was deleted',
  },
  {
    kinds: ['addPartitions'],
    names: ['OPERATION_NOT_ATTEMPTED'],
    outcome: 'doubt',
    reason: 'another partition of the request was refused; nothing was added',
  },
  {
    kinds: ['addPartitions', 'addOffsets', 'txnOffsets', 'end'],
    names: ['INVALID_TXN_STATE', 'TRANSACTION_ABORTABLE'],
    outcome: 'doubt',
    reason: 'the transaction is not in the state we think it is',
  },
  {
    kinds: ['txnOffsets', 'offsetCommit'],
    names: ['OFFSET_METADATA_TOO_LARGE', 'INVALID_COMMIT_OFFSET_SIZE'],
    outcome: 'stop',
    reason: "the offsets' metadata is over the broker's limit",
  },
  {
    kinds: ['addOffsets', 'txnOffsets', 'offsetCommit', 'offsetFetch', 'find'],
    names: ['INVALID_GROUP_ID'],
    outcome: 'stop',
    reason: 'the broker takes no such group id',
  },
  {
    kinds: [...EPOCH, 'offsetCommit'],
    names: ['UNSUPPORTED_VERSION', 'INVALID_REQUEST'],
    outcome: 'stop',
    reason: 'the broker does not understand us, today or tomorrow',
  },
  {
    kinds: ['addPartitions', 'addOffsets', 'txnOffsets', 'end', 'offsetCommit'],
    names: ['REQUEST_TIMED_OUT'],
    outcome: 'doubt',
    reason: 'the broker itself does not know whether it was done',
  },
  {
    kinds: [...EPOCH, 'offsetCommit'],
    names: [NETWORK, TIMEOUT, UNCLASSIFIED, 'UNKNOWN_SERVER_ERROR'],
    outcome: 'doubt',
    reason: 'nobody knows whether it was done',
  },

  // reads
  {
    kinds: READS,
    names: [NETWORK, TIMEOUT, 'REQUEST_TIMED_OUT'],
    outcome: 'refresh',
    reason: 'a read may be repeated; the broker may have gone',
  },
  { kinds: ['fetch', 'listOffsets', 'metadata'], names: LEADER, outcome: 'refresh', reason: 'the leader has moved or is being chosen' },
  {
    kinds: ['metadata'],
    names: ['INVALID_TOPIC_EXCEPTION'],
    outcome: 'missing',
    reason: 'no topic can have that name',
  },
  {
    kinds: ['fetch', 'listOffsets'],
    names: ['OFFSET_NOT_AVAILABLE'],
    outcome: 'again',
    reason: 'a new leader does not know its high watermark yet',
  },
  { kinds: ['fetch'], names: ['OFFSET_OUT_OF_RANGE'], outcome: 'range', reason: 'deleted by retention, or past the end' },
  {
    kinds: ['fetch', 'listOffsets', 'metadata', 'offsetFetch'],
    names: ['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID', 'INCONSISTENT_TOPIC_ID'],
    outcome: 'missing',
    reason: 'deleted, made anew, or not known to this broker yet',
  },
  { kinds: ['fetch'], names: ['CORRUPT_MESSAGE'], outcome: 'again', reason: 'damaged on the way' },
  { kinds: READS, names: ['UNKNOWN_SERVER_ERROR'], outcome: 'again', reason: "a broker's own fault; a read may be repeated" },
  {
    kinds: ['fetch'],
    names: ['FETCH_SESSION_ID_NOT_FOUND', 'INVALID_FETCH_SESSION_EPOCH', 'FETCH_SESSION_TOPIC_ID_ERROR', 'UNSUPPORTED_COMPRESSION_TYPE'],
    outcome: 'stop',
    reason: 'we ask for no session, and for records as they are: the broker does not understand us',
  },
  {
    kinds: ['fetch', 'listOffsets'],
    names: ['OFFSET_MOVED_TO_TIERED_STORAGE'],
    outcome: 'refresh',
    reason: 'what is asked for lies elsewhere; the leader has it',
  },
  {
    kinds: READS,
    names: ['UNSUPPORTED_VERSION', 'INVALID_REQUEST'],
    outcome: 'stop',
    reason: 'the broker does not understand us, today or tomorrow',
  },
  {
    kinds: ['listOffsets'],
    names: ['UNSUPPORTED_FOR_MESSAGE_FORMAT'],
    outcome: 'stop',
    reason: 'a topic of a format that has no offsets by time',
  },
  {
    kinds: ['offsetFetch'],
    names: ['UNKNOWN_MEMBER_ID', 'STALE_MEMBER_EPOCH', 'GROUP_ID_NOT_FOUND'],
    outcome: 'stop',
    reason: 'we ask as nobody in particular: the group is not one of the classic protocol',
  },
  {
    kinds: ['offsetFetch'],
    names: ['UNSTABLE_OFFSET_COMMIT'],
    outcome: 'again',
    reason: 'a transaction with offsets of this group is being ended',
  },
  { kinds: ['offsetFetch', 'find'], names: COORDINATOR, outcome: 'refresh', reason: 'no coordinator yet, or not this one' },

  // group
  {
    kinds: GROUP,
    names: [...COORDINATOR, NETWORK, TIMEOUT],
    outcome: 'refresh',
    reason: 'until the session ends it is still our generation',
  },
  { kinds: ['join'], names: ['MEMBER_ID_REQUIRED'], outcome: 'named', reason: 'the first join only hands out the id' },
  { kinds: ['join', 'sync', 'heartbeat'], names: ['UNKNOWN_MEMBER_ID'], outcome: 'forgotten', reason: 'the session has ended' },
  { kinds: ['join', 'sync', 'heartbeat'], names: ['REBALANCE_IN_PROGRESS'], outcome: 'rejoin', reason: 'somebody came or went' },
  { kinds: ['join', 'sync', 'heartbeat'], names: ['ILLEGAL_GENERATION'], outcome: 'lost', reason: 'the group went on without us' },
  { kinds: GROUP, names: ['FENCED_INSTANCE_ID'], outcome: 'fenced', reason: 'another process runs with this instance id' },
  {
    kinds: ['join', 'sync', 'heartbeat'],
    names: ['GROUP_MAX_SIZE_REACHED', 'INCONSISTENT_GROUP_PROTOCOL', 'INVALID_SESSION_TIMEOUT', 'INVALID_GROUP_ID', 'UNSUPPORTED_VERSION'],
    outcome: 'stop',
    reason: 'the group will not take us, today or tomorrow',
  },
  {
    kinds: ['join', 'sync'],
    names: ['UNKNOWN_SERVER_ERROR'],
    outcome: 'stop',
    reason: "the coordinator cannot keep the group's state (its log says why), and would fail again",
  },
  {
    kinds: ['heartbeat'],
    names: ['UNKNOWN_SERVER_ERROR', UNCLASSIFIED],
    outcome: 'refresh',
    reason: 'until the session ends it is still our generation; its end has a name of its own',
  },
  { kinds: ['leave'], names: ['UNKNOWN_MEMBER_ID'], outcome: 'ok', reason: 'gone already' },

  // admin
  { kinds: ['admin'], names: ['TOPIC_ALREADY_EXISTS'], outcome: 'ok', reason: 'somebody else made it; it is checked like any that exists' },
  { kinds: ['admin'], names: ['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID'], outcome: 'ok', reason: 'gone already' },
  {
    kinds: ['admin'],
    names: ['NOT_CONTROLLER', NETWORK, TIMEOUT, 'REQUEST_TIMED_OUT', 'THROTTLING_QUOTA_EXCEEDED', 'UNKNOWN_SERVER_ERROR'],
    outcome: 'refresh',
    reason: 'making and deleting may be repeated',
  },
  {
    kinds: ['admin'],
    names: [
      'INVALID_TOPIC_EXCEPTION',
      'INVALID_PARTITIONS',
      'INVALID_REPLICATION_FACTOR',
      'INVALID_REPLICA_ASSIGNMENT',
      'INVALID_CONFIG',
      'POLICY_VIOLATION',
      'INVALID_REQUEST',
      'UNSUPPORTED_VERSION',
      'TOPIC_DELETION_DISABLED',
    ],
    outcome: 'stop',
    reason: 'the broker will not have such a topic, or not without it',
  },

  // anywhere
  ...RIGHTS.map(([name, kinds, right]): Row => ({ kinds, names: [name], outcome: 'stop', reason: `the user has no right ${right}` })),
  ...DENIED.map(
    (name): Row => ({
      kinds: ANY.filter((kind) => !RIGHTS.some(([denied, kinds]) => denied === name && kinds.includes(kind))),
      names: [name],
      outcome: 'stop',
      reason: 'not allowed: credentials or ACLs',
    }),
  ),
]

const DEFAULTS: Readonly<Record<RequestKind, Outcome>> = {
  init: 'stop',
  addPartitions: 'doubt',
  addOffsets: 'doubt',
  produce: 'doubt',
  txnOffsets: 'doubt',
  end: 'doubt',
  offsetCommit: 'doubt',
  offsetFetch: 'stop',
  fetch: 'stop',
  listOffsets: 'stop',
  find: 'stop',
  metadata: 'stop',
  admin: 'stop',
  join: 'stop',
  sync: 'lost',
  heartbeat: 'stop',
  leave: 'ok',
}

const byKind = new Map<string, Row>()
for (const row of ROWS) for (const kind of row.kinds) for (const name of row.names) byKind.set(`${kind}/${name}`, row)

export function outcome(kind: RequestKind, name: string): { readonly outcome: Outcome; readonly reason: string } {
  return byKind.get(`${kind}/${name}`) ?? { outcome: DEFAULTS[kind], reason: 'no row for this answer' }
}
