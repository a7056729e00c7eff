// For messages about a name that nobody knows: the known name that was probably meant.

/** ` (did you mean "brokers"?)`, or nothing when no candidate is near. */
export function closest(name: string, candidates: Iterable<string>): string {
  let best = ''
  let bestSteps = Math.min(3, Math.floor(name.length / 2) + 1)
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bestSteps) continue
    const steps = editSteps(name.toLowerCase(), candidate.toLowerCase())
    if (steps < bestSteps) {
      best = candidate
      bestSteps = steps
    }
  }
  return best === '' ? '' : ` (did you mean "${best}"?)`
}

/** Insertions, deletions, replacements and swaps of neighbours that make one word the other. */
export function editSteps(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, j) => j)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1]
      let steps = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (same ? 0 : 1))
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) steps = Math.min(steps, (before[j - 2] as number) + 1)
      next.push(steps)
    }
    before = row
    row = next
  }
  return row[to.length] as number
}
