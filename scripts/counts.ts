// How many tests a report says have passed and failed. Pure. A report that cannot be read is a failure, never silence.

export interface Counts {
  readonly passed: number
  readonly failed: number
  /** For people: what is remarkable. */
  readonly notes: readonly string[]
}

interface VitestReport {
  readonly numPassedTests?: unknown
  readonly numFailedTests?: unknown
  readonly success?: unknown
  readonly testResults?: readonly VitestFile[]
}
interface VitestFile {
  readonly name?: string
  readonly status?: string
  readonly message?: string
  readonly assertionResults?: readonly {
    readonly status?: string
    readonly fullName?: string
    readonly failureMessages?: readonly string[]
  }[]
}

/** A line for each test that failed, and for each file that could not be run. */
function failures(files: readonly VitestFile[]): string[] {
  const first = (text: string | undefined): string => (text ?? '').split('\n', 1)[0]?.slice(0, 300) ?? ''
  return files.flatMap(({ name = '?', status, message, assertionResults = [] }) => {
    const file = name.replace(/^.*\/(?=test\/)/, '')
    const failed = assertionResults.filter((test) => test.status === 'failed')
    if (status === 'failed' && failed.length === 0) return [`FAILED: ${file}: ${first(message)}`]
    return failed.map((test) => `FAILED: ${file}: ${test.fullName}: ${first(test.failureMessages?.[0])}`)
  })
}

export function vitestCounts(report: string): Counts {
  let parsed: VitestReport
  try {
    parsed = JSON.parse(report)
  } catch {
    return { passed: 0, failed: 1, notes: ['no report of vitest: it did not come to its end'] }
  }
  const passed = Number(parsed.numPassedTests)
  const failed = Number(parsed.numFailedTests)
  if (!Number.isSafeInteger(passed) || !Number.isSafeInteger(failed))
    return { passed: 0, failed: 1, notes: ['a report of vitest without counts'] }
  if (passed + failed === 0) return { passed: 0, failed: 1, notes: ['no test has run'] }
  // A file that could not be loaded has no failed tests, and yet it has failed.
  const notes = failures(parsed.testResults ?? [])
  if (failed === 0 && parsed.success !== true) return { passed, failed: 1, notes: ['a test file could not be run', ...notes] }
  return { passed, failed, notes }
}

/** `output` is the simulator's: `N seeds from S: V with violations`. All seeds together are one test, each violation is a failure. */
export function seedCounts(output: string): Counts {
  const said = /^(\d+) seeds from \d+: (\d+) with violations/m.exec(output)
  if (said === null) return { passed: 0, failed: 1, notes: ['seeds: the simulator did not come to its end'] }
  const [seeds, violations] = [Number(said[1]), Number(said[2])]
  if (seeds === 0) return { passed: 0, failed: 1, notes: ['seeds: not one has run'] }
  return { passed: violations === 0 ? 1 : 0, failed: violations, notes: [`seeds: ${seeds} have run`] }
}

/** `output` ends with `N planted bugs found, M not`. */
export function mutantCounts(output: string): Counts {
  const said = /^(\d+) planted bugs found, (\d+) not$/m.exec(output)
  if (said === null || Number(said[1]) + Number(said[2]) === 0)
    return { passed: 0, failed: 1, notes: ['planted bugs: nobody looked for them to the end'] }
  return { passed: Number(said[1]), failed: Number(said[2]), notes: [] }
}

/** `output` has lines `ok   NAME: n passed, n failed` and `FAIL NAME: ...`, and ends with their sum: without it the runner broke off.
 *  `list`: the topologies out of reach, `#` a comment. */
export function conformanceCounts(output: string, list: string): Counts {
  const outOfReach = new Set(
    list
      .split('\n')
      .map((line) => line.replace(/#.*/, '').trim())
      .filter(Boolean),
  )
  const notes: string[] = []
  let passed = 0
  let failed = 0
  let seen = 0
  let left = 0
  const sum = { passed: 0, failed: 0 }
  for (const match of output.matchAll(/^(ok {2}|FAIL) (\S+): (\d+) passed, (\d+) failed$/gm)) {
    const name = match[2] as string
    seen++
    sum.passed += Number(match[3])
    sum.failed += Number(match[4])
    if (!outOfReach.delete(name)) {
      passed += Number(match[3])
      failed += Number(match[4])
      if (match[1] === 'FAIL') notes.push(`conformance: ${name} fails`)
    } else if (match[1] === 'FAIL') left++
    else {
      failed++
      notes.push(`conformance: ${name} passes now; take it off the list of what is out of reach`)
    }
  }
  if (seen === 0) return { passed: 0, failed: 1, notes: ['conformance: no topology was run'] }
  const said = /^(\d+) passed, (\d+) failed$/m.exec(output)
  if (Number(said?.[1] ?? -1) !== sum.passed || Number(said?.[2] ?? -1) !== sum.failed) {
    failed++
    notes.push('conformance: the runner did not come to its end')
  }
  for (const name of outOfReach) {
    failed++
    notes.push(`conformance: ${name} is on the list of what is out of reach, but there is no such topology`)
  }
  if (left > 0) notes.push(`conformance: ${left} topologies out of reach are not counted (test/conformance/out-of-reach.txt)`)
  return { passed, failed, notes }
}
