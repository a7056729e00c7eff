// The public door of `millrace/testing`.
export {
  type DelayedOptions,
  type DuplicatedOptions,
  delayed,
  duplicated,
  type Events,
  interleavings,
  type ReplayedOptions,
  replayed,
} from './arbitraries.ts'
export {
  type ReadRecord,
  type TestDriverOptions,
  type TestInput,
  type TestOutput,
  type TestRecord,
  type TestStore,
  TopologyTestDriver,
} from './test-driver.ts'
