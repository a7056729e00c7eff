// The order of the test files: those that take longest begin first, so that no worker is left alone with one of them in the end. The lists
// are hints (seconds seen on two quiet cores, most first); a file that is in none comes behind them.
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const LONG = [
  'crash/processor-kill',
  'cli/run',
  'docs',
  'sim/sim',
  'topologies/catalog',
  'operators/every-step',
  'sim/faults',
  'topologies/scenario',
  'cli/dead-letter',
  'crash/store-damage',
  'log/embedded-damage',
  'log/kafka-epoch-answers',
  'sim/tapes',
  'server/security',
  'async/calls',
  'crash/store-kill',
  'hold/held',
  'cli/words',
  'log/embedded-kill',
  'sim/log',
]

const LONG_BEFORE_MERGE = [
  'crash/processor-kill',
  'sim/tapes',
  'runtime/buffering-join',
  'hold/hold-until.property',
  'lasting/memory.merge',
  'operators/every-step',
  'crash/processor-stop.merge',
  'topologies/scenario',
  'crash/store-damage',
  'crash/store-kill',
  'log/embedded-damage',
  'sim/faults',
  'async/map-async.property',
  'log/embedded-kill',
]

const list = process.env.MILLRACE_TIER === 'merge' ? LONG_BEFORE_MERGE : LONG

function placeOf({ moduleId }: TestSpecification): number {
  const place = list.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return place < 0 ? list.length : place
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => placeOf(a) - placeOf(b))
  }
}
