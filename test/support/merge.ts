// What the merge tier sets for all properties: each has its larger number of runs or as many as this time allows, so that the whole has an end
// on a slow machine too. A property whose number is a bar says a time of its own.
import fc from 'fast-check'

const EACH_MS = 12_000

fc.configureGlobal({ ...fc.readConfigureGlobal(), interruptAfterTimeLimit: EACH_MS, markInterruptAsFailure: false })
