// The public door of `millrace/testing`.
export { delayed, duplicated, interleavings, replayed } from './arbitraries.ts'
export { type ReadRecord, type TestDriverOptions, type TestInput, type TestOutput, type TestRecord, type TestStore, TopologyTestDriver } from './test-driver.ts'
