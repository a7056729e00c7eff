// What a mapAsync has to do when there is a slot for every call: each queue for itself, in plain arithmetic on the clock.
export type Behaviour = { readonly kind: 'okFrom'; readonly ms: number } | { readonly kind: 'hangs' }

export interface ModelJob {
  readonly key: string
  readonly n: number
  readonly free: boolean
  readonly behaviour: Behaviour
  readonly atMs: number
}

export interface Left {
  readonly n: number
  readonly error: 'failed' | 'timeout' | null
}

interface Options {
  readonly ordered: boolean
  readonly attempts: number
  readonly timeoutMs: number
  readonly untilMs: number
}

/** Those that have left by then. The clock moves in steps that are long against all retries, so one is as good as no time: 1 ms. */
export function modelOf(
  jobs: readonly ModelJob[],
  { ordered, attempts, timeoutMs, untilMs }: Options,
): (Left & { readonly key: string })[] {
  const busyUntil = new Map<string, number>()
  return jobs.flatMap(({ key, n, free, behaviour, atMs }) => {
    const alone = free || !ordered
    const startMs = alone ? atMs : Math.max(atMs, busyUntil.get(key) ?? 0)
    const hangs = behaviour.kind === 'hangs'
    const fails = !hangs && startMs < behaviour.ms
    const endMs = startMs + (hangs ? timeoutMs : fails && attempts > 1 ? 1 : 0)
    if (!alone) busyUntil.set(key, endMs)
    return endMs > untilMs ? [] : [{ key, n, error: hangs ? 'timeout' : fails ? 'failed' : null } as const]
  })
}
