// A member that is closed while it joins its group: nothing begins behind the close.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Member } from '../../src/app/member.ts'
import { openStateDir } from '../../src/app/state-dir.ts'
import { prepareTopics } from '../../src/app/topics.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { World } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import type { Log } from '../../src/log/log.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { counts, logOf, records } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load } from '../support/run-worker.ts'

/** Of `afterMs`, and not called off. */
function pendingTimers(afterMs: number): { readonly world: World; readonly pending: Set<number> } {
  const system = systemWorld()
  const pending = new Set<number>()
  let last = 0
  const after: World['timers']['after'] = (ms, run) => {
    const id = ++last
    if (ms === afterMs) pending.add(id)
    const cancel = system.timers.after(ms, run)
    return () => {
      pending.delete(id)
      cancel()
    }
  }
  return { world: { ...system, timers: { ...system.timers, after } }, pending }
}

test.each([false, true])('closed while it joins: %s', async (isClosed) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-member-'))
  const joining = Promise.withResolvers<void>()
  const joined = Promise.withResolvers<void>()
  const inner = logOf()
  await load(inner, records(['a']), 1)
  const log: Log = {
    ...proxied(inner as Log),
    async purge() {},
    group(options) {
      const group = inner.group(options)
      return {
        ...proxied(group),
        async start() {
          joining.resolve()
          await joined.promise
          if (!isClosed) await group.start()
        },
      }
    },
  }
  const { world, pending } = pendingTimers(LIMITS.purgeIntervalMs)
  const config = resolveConfig('counts', { stateDir })
  const plan = planOf(counts, 'counts', config.onError)
  const state = openStateDir(stateDir, 'counts', world)
  const topics = await prepareTopics(log, plan, 1)
  let stopping = false
  const onFatal = (error: unknown): void => expect.fail(String(error))
  const member = new Member({ config, plan, state, topics, log, world, number: 0, place: null, stopping: () => stopping, onFatal })
  const started = member.start()
  await joining.promise
  stopping = isClosed
  const closed = isClosed ? member.close(true) : null
  joined.resolve()
  await started
  await closed
  expect(pending.size).toBe(isClosed ? 0 : 1)
  if (!isClosed) await member.close(true)
  expect(pending.size).toBe(0)
  rmSync(stateDir, { recursive: true })
})
