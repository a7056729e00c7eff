// The topologies of the conformance suite, as users would write them: those whose operators exist compile, build, and can be planned.
// Which those are is found out here, so that each operator that is added brings its files in by itself.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as millrace from 'millrace'
import { describe, expect, it } from 'vitest'
import { resolveOwnPackage } from '../../src/cli/load.ts'
import { TopologyBuilder } from '../../src/dsl/builder.ts'
import { GroupedStream } from '../../src/dsl/grouped-stream.ts'
import { Stream } from '../../src/dsl/stream.ts'
import { Table } from '../../src/dsl/table.ts'
import { describe as show } from '../../src/topology/describe.ts'
import { plan } from '../../src/topology/plan.ts'
import { sizePlan } from '../../src/topology/sizing.ts'
import { isTopology } from '../../src/topology/validate.ts'
import { checkTypes, errorsIn, REPOSITORY } from './tsc.ts'

const SUITE = join(REPOSITORY, '../shared/conformance')
const present = existsSync(SUITE)
resolveOwnPackage()
if (!present) console.warn(`SKIPPED: no conformance suite at ../shared/conformance, so its topologies are not compiled`)

/** Operators and options of the suite, and whether they are there. */
const KNOWN: readonly (readonly [used: RegExp, there: () => boolean])[] = [
  [/\.windowedBy\(/, () => 'windowedBy' in GroupedStream.prototype],
  [/\.cogroup[(<]/, () => 'cogroup' in GroupedStream.prototype],
  [/\.suppress\(/, () => 'suppress' in Table.prototype],
  [/\.process[(<]/, () => 'process' in Stream.prototype],
  [/\.processValues[(<]/, () => 'processValues' in Stream.prototype],
  [/\.globalTable\(/, () => 'globalTable' in TopologyBuilder.prototype],
  [/t\.store\(/, () => 'store' in TopologyBuilder.prototype],
  [/versioned: '/, () => builds((t) => t.table('a', { versioned: '5m' } as object))],
  [
    /(?<!(?:tumbling|sliding|session)\('\w+'), \{ grace: '/,
    () => builds((t) => t.stream('a').join(t.table('b', { versioned: '5m' } as object), () => 0, { grace: '1s' } as object)),
  ],
]

/** Whether an option is known already. */
function builds(build: (t: TopologyBuilder) => unknown): boolean {
  try {
    millrace.topology('it', (t) => void build(t))
    return true
  } catch {
    return false
  }
}

const named = (text: string): string[] =>
  [...text.matchAll(/import \{([^}]*)\} from 'millrace'/g)].flatMap(([, names]) => (names as string).split(','))
const isReachable = (text: string): boolean =>
  named(text).every((name) => name.trim() in millrace) && KNOWN.every(([used, there]) => !used.test(text) || there())

const all = present
  ? readdirSync(SUITE)
      .map((name) => join(SUITE, name, 'topology.ts'))
      .filter((file) => existsSync(file))
  : []
const reachable = all.filter((file) => isReachable(readFileSync(file, 'utf8')))
const skipped = present ? '' : ' (skipped: no ../shared)'

describe.skipIf(!present)(`conformance topologies${skipped}`, () => {
  it('compile', () => {
    const checked = checkTypes(reachable)
    for (const file of reachable) expect(checked.files).toContain(file)
    expect(errorsIn(checked, reachable)).toEqual([])
  })

  it('are reached as far as their operators exist', () => {
    console.info(`${reachable.length} of ${all.length} conformance topologies are reached`)
    expect(reachable.length).toBeGreaterThanOrEqual(34)
  })

  it.each(reachable)('%s builds, plans and shows', async (file) => {
    const { default: topology } = (await import(file)) as { default: unknown }
    if (!isTopology(topology)) throw new Error('exports no topology')
    const made = plan(topology, 'app')
    const sized = sizePlan(made, new Map([...made.inputs.map((topic): [string, number] => [topic, 4]), ['more-1', 4]]))
    expect(sized.tasks.every((tasks) => tasks === 4)).toBe(true)
    for (const { name, partitions } of made.internalTopics) expect(sized.partitions.get(name)).toBe(partitions ?? 4)
    const text = show(made, 'text')
    for (const store of made.subTopologies.flatMap(({ stores }) => stores)) expect(text).toContain(store.name)
  })
})
