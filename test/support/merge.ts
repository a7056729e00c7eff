// What the merge tier sets for all properties: each has its larger number of runs or as many as this time allows, so that the whole has an end
// on a slow machine too; how many that were is noted. A property whose number is a bar says a time of its own.
import fc from 'fast-check'
import { expect } from 'vitest'
import { note } from './bars.ts'

const EACH_MS = 12_000

fc.configureGlobal({ ...fc.readConfigureGlobal(), interruptAfterTimeLimit: EACH_MS, markInterruptAsFailure: false })
fc.installGlobalPlugin(() => {
  const begun = performance.now()
  return {
    onAllRunsComplete: ({ failed, numRuns, runConfiguration }) => {
      const { testPath = '', currentTestName = '' } = expect.getState()
      const property = `${testPath.replace(/^.*\/(?=test\/)/, '')} > ${currentTestName}`
      if (!failed) note({ property, asked: runConfiguration.numRuns ?? numRuns, ran: numRuns, ms: performance.now() - begun })
    },
  }
})
