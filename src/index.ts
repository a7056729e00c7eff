// The public door of millrace. Explicit re-exports only; what is not here is not public.

export { type OutboxOptions, type OutboxRelay, relayOutbox } from './app/outbox.ts'
export type { RangeOptions, SessionReader, StoreReader, VersionedReader, WindowReader } from './app/store-reader.ts'
export { type CloseOptions, type ProcessorStatus, StreamProcessor } from './app.ts'
export type { ByteSize } from './base/byte-size.ts'
export type { Duration } from './base/duration.ts'
export { type Disposition, type ErrorCode, type ErrorOptions, MillraceError } from './base/errors.ts'
export type { Clock, Logger, Random, Timers, Web, WebRequest, World } from './base/ports.ts'
export type { Secret } from './base/secret.ts'
export type { SessionWindows, SlidingWindows, TimeWindows, Windowed } from './base/window.ts'
export type { Config, OnError, Policy, ProcessorOptions, SaslOptions, ServerOptions, TlsOptions } from './config.ts'
export type { TopologyBuilder } from './dsl/builder.ts'
export type { CogroupedStream, SessionWindowedCogroup, WindowedCogroup } from './dsl/cogrouped-stream.ts'
export type { GlobalTable } from './dsl/global-table.ts'
export type { GroupedStream } from './dsl/grouped-stream.ts'
export type { GroupedTable } from './dsl/grouped-table.ts'
export type { Dependency, Fitting, HoldUntilOptions } from './dsl/hold-until.ts'
export type { AsyncCall, MapAsyncOptions, RetryOptions } from './dsl/map-async.ts'
export type { ProcessOptions, ProcessValuesOptions } from './dsl/process.ts'
export type {
  BufferingJoinByForeignKeyOptions,
  BufferingJoinByKeyOptions,
  BufferOptions,
  DedupeOptions,
  EmitsOnTimeout,
  Unbuffered,
} from './dsl/ordering.ts'
export type { Branches, Predicates } from './dsl/split.ts'
export { session } from './dsl/session.ts'
export {
  type KeyValueDeclaration,
  keyValue,
  readOnly,
  type SessionDeclaration,
  type StoreDeclaration,
  type VersionedDeclaration,
  versioned,
  type WindowDeclaration,
  window,
} from './dsl/stores.ts'
export type { Stream } from './dsl/stream.ts'
export type { SuppressFor, SuppressUntilClose } from './dsl/suppress.ts'
export type { Table } from './dsl/table.ts'
export { type JoinWindow, type WithinOptions, within } from './dsl/within.ts'
export { type TopologyOptions, topology } from './dsl/topology.ts'
export type {
  CacheOptions,
  GlobalTableOptions,
  KeyOptions,
  KeyValueOptions,
  LastWriteWinsOptions,
  Made,
  MadeRow,
  Maybe,
  OnErrorOptions,
  RecordInfo,
  RepartitionOptions,
  SinkOptions,
  SourceOptions,
  StoreOptions,
  StoreValueOptions,
  StreamTableOptions,
  TableSourceOptions,
  ValueOptions,
  Writes,
} from './dsl/types.ts'
export type { LateRecord, WindowedByOptions, WindowStoreOptions, WindowStoreValueOptions } from './dsl/window-node.ts'
export type { SessionWindowedStream, WindowedStream, WindowReducer } from './dsl/windowed-stream.ts'
export { type GraceOptions, type HoppingOptions, hopping, sliding, tumbling } from './dsl/windows.ts'
export { type DatabaseKind, outboxDdl } from './outbox/ddl.ts'
export type { OutboxStatus } from './outbox/relay.ts'
export { type AvroOptions, type AvroSchema, avro } from './serde/avro.ts'
export { bytes } from './serde/bytes.ts'
export { type Guard, json } from './serde/json.ts'
export { boolean, float64, int32, int64 } from './serde/numbers.ts'
export {
  type Registry,
  type RegistryAvroOptions,
  type RegistryOptions,
  registry,
  type SubjectStrategy,
} from './serde/registry.ts'
export type { AnySerde, RecordHalf, Serde } from './serde/serde.ts'
export { string } from './serde/text.ts'
export { sessionWindowed, type WindowedSerde, windowed } from './serde/windowed.ts'
export type { RestoreProgress } from './runtime/recover.ts'
export type { OffsetReset, Topology } from './topology/node.ts'
export type {
  Cancellable,
  KeyValueStore,
  Processor,
  ProcessorContext,
  ProcessorRecord,
  ProcessorSupplier,
  ReadOnlyKeyValueStore,
  ReadOnlySessionStore,
  ReadOnlyVersionedStore,
  ReadOnlyWindowStore,
  RecordMetadata,
  SessionKey,
  SessionStore,
  StoreHandle,
  TimerClock,
  VersionedRecord,
  VersionedStore,
  WindowStore,
} from './topology/processor.ts'
