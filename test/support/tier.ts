// How much a property test runs: little at each change, more before a merge (MILLRACE_TIER=merge).
export function runsOf(runs: number, runsBeforeMerge: number): number {
  return process.env.MILLRACE_TIER === 'merge' ? runsBeforeMerge : runs
}
