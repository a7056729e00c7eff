// Where the CPU time of one thread goes, by stage of a record's journey: a sampled profile, each sample counted for the innermost
// frame that says what was going on. LevelDB's own threads are not in it; process.cpuUsage in rig.ts has them.
import { type Profiler, Session } from 'node:inspector/promises'

export type Stage = 'decode' | 'run' | 'read' | 'commit' | 'log' | 'collect garbage' | 'other'

const SAMPLE_US = 200

/** First match wins; file within src/, then function. Frames that match nothing belong to their caller's stage. */
const STAGES: readonly (readonly [file: RegExp, fn: RegExp, stage: Stage])[] = [
  [/^runtime\/input-queue/, /./, 'decode'],
  [/^runtime\/task/, /^(seal|applied)$/, 'commit'],
  [/^runtime\/task/, /^prefetch$/, 'read'],
  [/^runtime\/(task|program|view)/, /./, 'run'],
  [/^operators\//, /./, 'run'],
  [/^barrier\//, /./, 'commit'],
  [/^state\/overlay/, /^(seal|apply|\*seal)$/, 'commit'],
  [/^state\/overlay/, /^prefetch$/, 'read'],
  [/^state\/level/, /^apply$/, 'commit'],
  [/^state\/level/, /^(getMany|getSync|scan)$/, 'read'],
  [/^state\/restore/, /./, 'commit'],
  [/^log\//, /./, 'log'],
]

export interface Profiled<T> {
  readonly result: T
  /** Seconds on the event loop's thread, idle ones left out. */
  readonly seconds: ReadonlyMap<Stage, number>
}

export async function profiled<T>(work: () => Promise<T>): Promise<Profiled<T>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  await session.post('Profiler.start')
  const result = await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return { result, seconds: secondsOf(profile) }
}

function secondsOf(profile: Profiler.Profile): Map<Stage, number> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)))
  const stages = new Map<number, Stage | null>()
  const stageOf = (id: number | undefined): Stage | null => {
    if (id === undefined) return 'other'
    const known = stages.get(id)
    if (known !== undefined) return known
    const { functionName, url } = (nodes.get(id) as Profiler.ProfileNode).callFrame
    const stage = ownStage(functionName, url.split('/src/')[1] ?? '')
    const found = stage === undefined ? stageOf(parents.get(id)) : stage
    stages.set(id, found)
    return found
  }
  const seconds = new Map<Stage, number>()
  profile.samples?.forEach((id, i) => {
    const stage = stageOf(id)
    if (stage !== null) seconds.set(stage, (seconds.get(stage) ?? 0) + (profile.timeDeltas?.[i] ?? 0) / 1e6)
  })
  return seconds
}

/** Null: not work; undefined: the caller says. */
function ownStage(fn: string, file: string): Stage | null | undefined {
  if (fn === '(idle)') return null
  if (fn === '(garbage collector)') return 'collect garbage'
  if (file === '') return undefined
  return STAGES.find(([files, functions]) => files.test(file) && functions.test(fn))?.[2]
}
