// A real `millrace run` on the embedded log, stopped (SIGTERM) or frozen (SIGSTOP, SIGCONT) at random moments while it counts: each stop ends
// in time with status 0 and leaves nothing to restore, each freeze keeps a second process out, and nothing is lost or twice in the end.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { ran } from '../support/bars.ts'
import { consumed, millrace, startProcessorWith } from '../support/processor.ts'
import { CountedEvents } from './counted-events.ts'

/** Side by side, each on a log of its own: much of a stop is waiting. */
const PROCESSORS = 2
/** Of each. */
const STOPS = 25
const FREEZES = 10
const COUNTING = 'test/crash/counting.ts'
const BACKLOG = 8_000
const STOP_MS = 10_000
const FROZEN_MS = 500
const SETTLE_MS = 60_000
const RESTORED = fileURLToPath(new URL('../support/restored.ts', import.meta.url))
const { timers, random, clock } = systemWorld()

test(`${STOPS} stops and ${FREEZES} freezes while counting, each of ${PROCESSORS}`, {
  timeout: 60_000 + (STOPS + FREEZES) * 20_000,
}, async () => {
  await Promise.all(Array.from({ length: PROCESSORS }, stopWhileCounting))
})

async function stopWhileCounting(): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'millrace-stop-'))
  const stateDir = join(base, 'state')
  const words = [COUNTING, '--state-dir', stateDir, '--commit-interval', '50ms']
  const counted = new CountedEvents(stateDir)
  const counts = async () => ({
    counts: await consumed<string, number>('counts', stateDir),
    'group-counts': await consumed<string, number>('group-counts', stateDir),
  })
  try {
    let longestMs = 0
    let atWork = 0
    let workMs = 400 // of this machine, about: too late finds nothing left to do
    await counted.write(BACKLOG)
    for (let stop = 0; stop < STOPS; stop++) {
      const lines: string[] = []
      const processor = startProcessorWith({ imports: [RESTORED], onLine: (line) => lines.push(line) }, ...words)
      await processor.ready
      await timers.sleep(random.below(workMs))
      for (let freeze = Math.floor((stop * FREEZES) / STOPS); freeze < Math.floor(((stop + 1) * FREEZES) / STOPS); freeze++) {
        process.kill(processor.pid, 'SIGSTOP')
        await timers.sleep(FROZEN_MS)
        const second = await millrace(['run', ...words])
        expect(second.code, second.errors).not.toBe(0)
        expect(second.errors).toContain(`process ${processor.pid}`)
        process.kill(processor.pid, 'SIGCONT')
        await timers.sleep(random.below(200))
      }
      const stoppedMs = clock.monotonic()
      expect(await processor.stop(), processor.said()).toEqual({ code: 0, signal: null })
      longestMs = Math.max(longestMs, clock.monotonic() - stoppedMs)
      expect(longestMs).toBeLessThan(STOP_MS)
      expect(
        lines.find((line) => line.startsWith('{"restored":')),
        'records that its start restored',
      ).toBe('{"restored":0}')
      const left = await counted.backlog()
      if (left > 0) atWork++
      else workMs = Math.max(2, Math.round(workMs / 1.5))
      if (stop + 1 < STOPS && left < BACKLOG) await counted.write(BACKLOG - left)
    }
    const processor = startProcessorWith({}, ...words)
    await processor.ready
    const deadline = clock.monotonic() + SETTLE_MS
    for (let wrong = ['']; wrong.length > 0; ) {
      await timers.sleep(300)
      wrong = counted.wrong(await counts())
      if (clock.monotonic() > deadline) expect(wrong.slice(0, 5)).toEqual([])
    }
    expect(await processor.stop()).toEqual({ code: 0, signal: null })
    expect(counted.wrong(await counts())).toEqual([])
    console.info(
      `${STOPS} stops, ${atWork} of them at work, the longest ${Math.round(longestMs)} ms; ${FREEZES} freezes; ${counted.written} events`,
    )
    ran('24', STOPS)
    ran('8', FREEZES)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}
