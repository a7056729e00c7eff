// Every bound in one table, the unit in the name (R9). What an option may change has its default here and its bounds in config.ts.

export const LIMITS = {
  // records and batches
  recordBytesMax: 1_000_000,
  keyBytesMax: 65_536,
  jsonDepthMax: 64,
  jsonBytesMax: 8 * 1024 * 1024,
  lineBytesMax: 16 * 1024 * 1024,
  batchBytesMax: 900_000,
  batchRecordsMax: 50_000,
  // a task's input
  taskBatchRecords: 1_000,
  portionRecords: 200, // of a batch; then the event loop gets its turn, if the last one was long ago
  turnMs: 5, // how long ago that is
  queueRecordsHigh: 4_000,
  queueBytesHigh: 8 * 1024 * 1024,
  inputWaitMs: 1_000, // an input that should have more is waited for this long, then the others go on
  givenUpLogMs: 10_000, // a task tells of records that it gave up at most this often
  pollWaitMs: 100,
  // the epoch
  commitIntervalMs: 100,
  epochRecordsMax: 200_000,
  epochBytesMax: 16 * 1024 * 1024, // what it costs in memory: rows written, records not sent
  sendBufferBytesHigh: 32 * 1024 * 1024,
  commitTimeoutMs: 60_000,
  stopTimeoutMs: 10_000,
  rewindBackoffMs: 50,
  rewindBackoffMaxMs: 5_000,
  // the embedded log
  embeddedPartitions: 4,
  // state
  openTasksAtOnce: 4,
  standbysMax: 16, // of one task
  diskFreeBytesMin: 256 * 1024 * 1024, // less at the start is told
  openFilesMin: 4_096,
  sizeLookMs: 10_000, // how often the sizes of the states are looked up, for the assignor
  stateQuotaBytesMin: 1024 * 1024,
  quotaLookMs: 1_000, // the same, where a state has a quota
  cacheEntriesMax: 100_000, // rows of one store of one task
  cacheBytesMax: 32 * 1024 * 1024, // rows of one store of one task
  cachesBytesMax: 32 * 1024 * 1024, // what the cached rows of all stores of a worker cost
  restoreBatchBytes: 1024 * 1024, // what its rows cost, about; a store that is restored holds two, each with a fetched chunk at most
  restorePortionRecords: 2_000,
  restoreColumnsRecords: 4_096, // the same without objects: a third of the time each
  scanChunkEntries: 1_000,
  frontKeysMax: 4_096, // keys of one region of a store that are kept in order in memory
  cogroupLagMs: 86_400_000, // an input of a cogroup by windows is taken as at most this far behind the others
  dueRowsMax: 1_000, // windows that one record, or one piece between records, puts out; a front must hold them all
  duePiecesPerRun: 4, // then the event loop gets its turn, and what is staged is sent
  aheadRowsMax: 8, // rows of a window store that are prefetched for one record
  expiredRowsMax: 32, // rows of closed windows that one record deletes at most
  timersMax: 150, // of a task: their next times go along with its offsets
  positionNoteBytesMax: 4_096, // what goes along with an offset; brokers take no more, unless they are told to
  rangeBytesMax: 64 * 1024 * 1024, // rows from disk that one record or timer may hold, of all its ranges of one store
  timestampMax: 2 ** 51, // logs take no later time; producers that write nanoseconds do come with one
  parkedRecordsMax: 100_000, // of one operator in one task, unless maxRecords says
  callsAtOnce: 16, // of one mapAsync in one task, unless concurrency says
  callsAtOnceMax: 10_000, // what concurrency may say
  callTimeoutMs: 30_000, // of one call, unless timeout says
  callBackoffMs: 1_000, // before the second try, unless backoff says
  callBackoffMaxMs: 300_000, // however many tries there were
  forgottenPerRecord: 16, // ids that a dedupe clears away with one event
  tombstoneRetentionMs: 7 * 86_400_000,
  tombstonesKeptMs: 86_400_000, // by a changelog whose delete.retention.ms can't be read: Kafka's default
  caughtUpFreshMs: 60_000, // a store that was up to date so short a time ago has missed no delete, whatever its changelog is set to
  caughtUpLookMs: 600_000, // how often a store that stands idle is found to be up to date still
  // talking to a log
  connectTimeoutMs: 10_000,
  startConnectTimeoutMs: 8_000, // a start without a broker has ended within 10 s, the process's own time included
  requestTimeoutMs: 70_000,
  fetchWaitMs: 500,
  fetchBytesMax: 4 * 1024 * 1024,
  fetchPartitionBytesMax: 1024 * 1024,
  transactionTimeoutMs: 40_000, // more than the longest commit interval; less than the session, or an heir would wait for what the dead one left open
  stableOffsetsTimeoutMs: 60_000,
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 60_000,
  heartbeatMs: 500, // also how long it takes a member to hear that another has left: a clean handover is to be over within 2 s
  togetherWaitMs: 1_500, // for the other workers of a process that has just begun
  handOverWaitMs: 10_000, // a task that another member has to let go of is asked for again after this
  standbyEndsMs: 1_000, // how often standbys ask how far the tables whose changelog is their topic may go
  purgeIntervalMs: 30_000, // how often processed records of repartition topics are deleted: as Kafka Streams does
  finalWaitMs: 2_000, // for what the group has committed, before a worker that finds records gone rewinds rather than ends
  purgeTimeoutMs: 10_000, // for all replicas to do so
  topicLookMs: 10_000, // how often the partition counts of the inputs are looked at
  // the embedded log: committed records kept in memory
  logCacheBytesMax: 8 * 1024 * 1024,
  logLoadBytes: 512 * 1024, // read back from its disk at a time
  // workers in threads of their own
  workersMax: 64,
  workerWordMs: 50, // how often a worker tells how it is
  workerCloseMs: 8_500, // then it is ended as it is: some of stopTimeoutMs is for the rest
  cursorIdleMs: 30_000, // a scan of another thread that nobody goes on with is closed
  // HTTP
  headersTimeoutMs: 5_000,
  httpRequestTimeoutMs: 10_000,
  httpIdleTimeoutMs: 30_000,
  headersBytesMax: 8 * 1024,
  connectionsMax: 256,
  requestsPerSocketMax: 1_000,
  requestsPerSecondMax: 100, // on one socket
  asksAtOnceMax: 500, // of requests that the thread which listens has the processor answer in one turn
  asksWaitingMax: 2_000, // questions over HTTP that are not answered yet; more are refused
  probesWaitingMax: 200, // of health and metrics, beside those
  rangesAtOnce: 8, // ranges over HTTP that hold rows and iterators; the others wait in line
  actsWaitingMax: 16, // replays and drops over HTTP that wait for the one under way
  frontCloseMs: 2_000, // then that thread is ended as it is
  frontNiceness: 5, // of that thread on Linux, so that with too few cores records go before questions (it gets a quarter of a contended core)
  urlBytesMax: 2 * 1024,
  answerBytesMax: 1024 * 1024,
  answerRowsMax: 1_000,
  answerScanRowsMax: 100_000, // rows looked at for one answer: remembered deletes are not shown
  forwardWaitMs: 5_000, // for the answer of the instance that has a key
  forwardSocketsMax: 32, // to one instance
  forwardAgeMsMax: 300_000, // a forwarded request that is older than this, by the wall clocks of both, is refused
  spanLinksMax: 32, // of one batch's span to its records' contexts
  answerWaitMs: 5_000, // for an epoch that is just being applied
  // the live page
  eventReadersMax: 16, // of /events at a time
  eventIntervalMs: 1_000,
  eventLateMs: 5_000, // a reader that has not taken an event by then is let go
  eventTasksMax: 500, // that one event has rows of
  lettersShownMax: 100, // of one answer
  letterBytesShownMax: 16 * 1024, // of one dead letter; a longer one is shown without its value
  lettersAtOnceMax: 100, // replayed or dropped by one request
  letterAskBytesMax: 8 * 1024, // such a request's body
  // a schema registry
  registryTimeoutMs: 5_000,
  registryTries: 3,
  registryRetryMs: 200,
  registryAnswerBytesMax: 4 * 1024 * 1024,
  registryReferencesMax: 100, // of one schema, those of its references with them
  registryRefusedMax: 10_000, // ids of which a process remembers that they cannot be read
  // an outbox
  outboxRowsAtOnce: 1_000, // of one transaction
  outboxBytesAtOnce: 8 * 1024 * 1024, // keys and values read at once, but for the last row
  outboxRowsPerSecond: 10_000, // unless rate says
  outboxPollMs: 500, // how often the table is looked at, unless pollInterval says
  outboxBackoffMs: 100,
  outboxBackoffMaxMs: 5_000,
  outboxTellMs: 10_000, // how often it says how far it has come
  databaseAnswerMs: 60_000,
  // tombstones, dead letters
  stacktraceBytesMax: 4_096,
} as const
