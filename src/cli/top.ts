// `millrace top`: what a running process does, once a second: rates, lag and epochs, in all and by task. On a terminal it is drawn over; anywhere
// else, and with --once, it is printed once.
import { MillraceError } from '../base/errors.ts'
import { systemWorld } from '../base/system.ts'
import { connectControl } from '../control/client.ts'
import type { ProcessFigures, TaskFigures } from '../control/figures.ts'
import { durationMs } from '../base/duration.ts'
import { type Flags, gatherOptions } from './options.ts'
import { outputTo } from './output.ts'

export interface TopFlags extends Flags {
  readonly once?: boolean
  readonly interval?: string
  readonly json?: boolean
}

/** Figures and when they were asked for. */
export interface Sample {
  readonly atMs: number
  readonly figures: ProcessFigures
}

const HEAD_LINES = 3
const OVER = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'
const SCREEN = '\x1b[?1049h\x1b[?25l'
const SCREEN_BACK = '\x1b[?25h\x1b[?1049l'

export async function top(flags: TopFlags): Promise<void> {
  const { stateDir } = await gatherOptions(flags, process.env)
  if (stateDir === undefined) throw new MillraceError('STREAM_USAGE', 'top: which process? give its --state-dir <folder>')
  const intervalMs = durationMs(flags.interval ?? '1s', '--interval')
  if (intervalMs < 100 || intervalMs > 3_600_000) throw new MillraceError('STREAM_USAGE', 'top: --interval must be from 100ms to 1h')
  const client = await connectControl(stateDir)
  if (client === null)
    throw new MillraceError(
      'STREAM_STATE_MISSING',
      `no process runs on state directory ${stateDir}; start one with run or dev, or name another one`,
    )
  const { clock, timers } = systemWorld()
  const look = async (): Promise<Sample> => ({ atMs: clock.monotonic(), figures: await client.figures() })
  try {
    let before = await look()
    await timers.sleep(intervalMs)
    if (flags.once === true || flags.json === true || process.stdout.isTTY !== true) {
      const now = await look()
      const output = outputTo(process.stdout)
      for (const line of flags.json === true ? [JSON.stringify(now.figures)] : view(now, before)) output.line(line)
      return await output.flush()
    }
    const leave = untilKey()
    process.stdout.write(SCREEN)
    try {
      for (;;) {
        const now = await look()
        process.stdout.write(drawn(view(now, before), process.stdout.rows, process.stdout.columns))
        before = now
        if (await Promise.race([leave.pressed.then(() => true), timers.sleep(intervalMs).then(() => false)])) return
      }
    } finally {
      process.stdout.write(SCREEN_BACK)
      leave.end()
    }
  } finally {
    client.close()
  }
}

/** The lines: three of all together, then one a task. */
export function view(now: Sample, before: Sample): readonly string[] {
  const { figures } = now
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000)
  const former = new Map(before.figures.tasks.map((task) => [task.id, task]))
  // One that was opened anew counts from 0 again.
  const rate = (to: number, from: number | undefined): number => (from === undefined || to < from ? 0 : (to - from) / seconds)
  const rates = figures.tasks.map((task) => ({
    ...task,
    recordsPerSecond: rate(task.records, former.get(task.id)?.records),
    outPerSecond: rate(task.out, former.get(task.id)?.out),
  }))
  const sum = (of: (task: (typeof rates)[number]) => number): number => rates.reduce((total, task) => total + of(task), 0)
  const { restoring } = figures
  const how =
    restoring !== null
      ? `restoring ${restoring.store} of task ${restoring.task}: ${whole(restoring.restored)} records, ${whole(restoring.remaining)} to go`
      : figures.ready
        ? 'ready'
        : 'not ready'
  return [
    `${figures.applicationId}: ${how}`,
    [
      `${whole(sum((task) => task.recordsPerSecond))} records/s in`,
      `${whole(sum((task) => task.outPerSecond))}/s out`,
      `lag ${whole(sum((task) => task.lag))}`,
      `dead letters ${whole(sum((task) => task.deadLetters))}`,
    ].join(', '),
    [
      `${rate(figures.epochs, before.figures.epochs).toFixed(1)} epochs/s, the last committed in ${whole(figures.commitMs)} ms`,
      `${whole(figures.rewinds)} rewinds`,
      `${whole(figures.rebalances)} rebalances`,
      `${whole(figures.standbys)} standbys`,
    ].join(', '),
    row('TASK', 'RECORDS/S', 'OUT/S', 'LAG', 'DEAD', 'STORES'),
    ...rates
      .toSorted(byId)
      .map(({ id, recordsPerSecond, outPerSecond, lag, deadLetters, stores }) =>
        row(id, whole(recordsPerSecond), whole(outPerSecond), whole(lag), whole(deadLetters), stores.join(' ')),
      ),
  ]
}

function byId(a: TaskFigures, b: TaskFigures): number {
  const [aSub = 0, aPartition = 0] = a.id.split('_').map(Number)
  const [bSub = 0, bPartition = 0] = b.id.split('_').map(Number)
  return aSub - bSub || aPartition - bPartition
}

function row(task: string, ...[records = '', out = '', lag = '', dead = '', stores = '']: readonly string[]): string {
  return `${task.padEnd(8)}${records.padStart(12)}${out.padStart(12)}${lag.padStart(12)}${dead.padStart(8)}  ${stores}`.trimEnd()
}

/** 1234567.8 as 1,234,568. */
function whole(n: number): string {
  return String(Math.round(n)).replaceAll(/\B(?=(\d{3})+$)/g, ',')
}

/** Over what was drawn before, within the screen; what does not fit is said. */
export function drawn(lines: readonly string[], rows = 24, columns = 80): string {
  const room = Math.max(HEAD_LINES, rows - 1)
  const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `... ${lines.length - room + 1} tasks more`]
  return `${OVER}${shown.map((line) => `${line.slice(0, columns)}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`
}

/** q, Escape, Ctrl-C, or a signal. */
function untilKey(): { readonly pressed: Promise<void>; end(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { stdin } = process
  const take = (bytes: Buffer): void => {
    if (['q', 'Q', '\x03', '\x1b'].includes(bytes.toString('latin1'))) resolve()
  }
  const leave = (): void => resolve()
  if (stdin.isTTY === true) stdin.setRawMode(true)
  stdin.on('data', take)
  process.on('SIGINT', leave)
  process.on('SIGTERM', leave)
  return {
    pressed: promise,
    end() {
      stdin.off('data', take)
      if (stdin.isTTY === true) stdin.setRawMode(false)
      stdin.pause()
    },
  }
}
