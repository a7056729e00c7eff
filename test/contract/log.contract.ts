// The contract of the log port (src/log/log.ts), which every log passes: memory, embedded, simulated, Kafka. An adapter's test
// calls `logContract` with a way to open it. All names are fresh, so that many suites may share one broker; nothing is asked
// that only an in-process log can promise.
//
// Where the port leaves room, the suite settles it:
// 1. `assign` of a partition that stays: an offset equal to its position changes nothing, another one is a seek.
// 2. A chunk may be empty: it then only moves the position past what a committed reader does not see.
// 3. A static member's `close` leaves its place open until the session ends; a dynamic member's `close` leaves at once.
// 4. A refusal (STREAM_FENCED) of an epoch may come from `flush` or from `commit`.
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { groupsContract } from './log/groups.ts'
import { propertyContract } from './log/property.ts'
import { readerContract } from './log/reader.ts'
import type { LogContractOptions, OpenedLog, Suite } from './log/steps.ts'
import { topicsContract } from './log/topics.ts'
import { writerContract } from './log/writer.ts'

export type { LogContractOptions, OpenedLog } from './log/steps.ts'

export function logContract(name: string, open: () => Promise<OpenedLog>, options: LogContractOptions = {}): void {
  describe(`log contract: ${name}`, () => {
    const settled = { timeoutMs: 60_000, settleMs: 60, uncommitted: false, propertyRuns: 50, ...options }
    vi.setConfig({ testTimeout: settled.timeoutMs, hookTimeout: settled.timeoutMs })
    let opened: OpenedLog | undefined
    beforeAll(async () => {
      opened = await open()
    })
    afterAll(() => opened?.close())
    const suite = (): Suite => {
      if (opened === undefined) throw new Error('the log was not opened')
      return { log: opened.log, another: opened.another, options: settled }
    }
    topicsContract(suite)
    writerContract(suite)
    readerContract(suite)
    groupsContract(suite)
    propertyContract(suite)
  })
}
