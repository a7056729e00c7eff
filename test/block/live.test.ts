// A dead letter replayed among 10,000 live events of its key, on the embedded log: the order of the key is kept.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, StreamProcessor, string, topology } from 'millrace'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectControl } from '../../src/control/client.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import { withEmbeddedLog } from '../support/embedded.ts'
import { readAll } from '../support/run-worker.ts'

const LIVE = 10_000
const BATCH = 1_000

let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-live-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

let mended = false
let seen = 0
const live = topology('live', (t) => {
  t.stream('in', { key: string(), value: json<number>() })
    .peek((n) => {
      if (n === 0 && !mended) throw new Error('not yet')
      seen++
    })
    .to('out', { key: string(), value: json<number>() })
})

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    number: i + 1,
    bytes: Buffer.from(`{"topic":"in","key":"k","value":${from + i},"timestamp":${from + i}}`),
  }))

async function settle(control: ControlHandler, act: 'list' | 'replay'): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = []
  for await (const said of control.deadLetters({ act }, new AbortController().signal)) all.push(...said.map((line) => JSON.parse(line)))
  return all
}

test('in order, each once', { timeout: 30_000 }, async () => {
  {
    await using app = new StreamProcessor(live, { stateDir, onError: { blockKey: true } })
    await app.start()
    const control = await connectControl(stateDir)
    if (control === null) throw new Error('nobody listens')
    await control.produce(lines(0, 1))
    await expect.poll(() => app.status().deadLetters, { timeout: 10_000 }).toBe(1)
    let replayed: Promise<unknown> | null = null
    for (let from = 1; from <= LIVE; from += BATCH) {
      await control.produce(lines(from, from + BATCH))
      if (from < LIVE / 2) continue
      if (replayed === null) expect(seen).toBe(0) // all of its key wait
      mended = true
      replayed ??= settle(control, 'replay')
    }
    expect(await replayed).toEqual([{ done: 1 }])
    await expect.poll(() => seen, { timeout: 20_000 }).toBe(LIVE + 1)
    expect(await settle(control, 'list')).toEqual([])
    control.close()
  }
  const out = await withEmbeddedLog(stateDir, (log) => readAll(log, 'out'))
  expect(out.flat().map(({ value }) => Number(value))).toEqual(Array.from({ length: LIVE + 1 }, (_, n) => n))
})
