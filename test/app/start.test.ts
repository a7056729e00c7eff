// What a start looks at before anything runs: TLS to the brokers, what the machine has left. And what it says when it fails.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { resourcesOf, warnOfScarce } from '../../src/app/resources.ts'
import { tlsOf } from '../../src/app/tls.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { type Logger, silent } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { StreamProcessor, string, topology, type TopologyBuilder, tumbling } from '../../src/index.ts'
import { ShapeCheck } from '../../src/runtime/shape-check.ts'
import { Worker } from '../../src/runtime/worker.ts'
import { counts } from '../support/counted-keys.ts'

function listening(): { readonly logger: Logger; readonly warnings: string[] } {
  const warnings: string[] = []
  return { logger: { ...silent, warn: (_fields, message) => void warnings.push(message) }, warnings }
}

describe('TLS', () => {
  test('certificates are verified, and nothing under TLS 1.2 is spoken', () => {
    const { logger, warnings } = listening()
    expect(tlsOf({}, logger)).toEqual({ rejectUnauthorized: true, minVersion: 'TLSv1.2' })
    expect(tlsOf({ ca: 'x', insecure: false }, logger)).toEqual({ ca: 'x', rejectUnauthorized: true, minVersion: 'TLSv1.2' })
    expect(warnings).toEqual([])
  })
  test('but where the word insecure is said, which is warned of each time', () => {
    const { logger, warnings } = listening()
    for (let i = 0; i < 2; i++) expect(tlsOf({ insecure: true }, logger)).toEqual({ rejectUnauthorized: false, minVersion: 'TLSv1.2' })
    expect(warnings).toEqual(Array(2).fill('tls.insecure: the certificates of brokers are not verified'))
  })
  test('rejectUnauthorized is no option', () => {
    expect(() => resolveConfig('a', { tls: { rejectUnauthorized: false } as object })).toThrow(/unknown option tls.rejectUnauthorized/)
  })
})

describe('resources', () => {
  test('are those of the machine', () => {
    const { diskFreeBytes, openFilesMax } = resourcesOf(tmpdir())
    expect(diskFreeBytes).toBeGreaterThan(0)
    expect(openFilesMax === null || openFilesMax > 100).toBe(true)
  })
  test('what is scarce is told, nothing else', () => {
    const told = (diskFreeBytes: number, openFilesMax: number | null): readonly string[] => {
      const { logger, warnings } = listening()
      warnOfScarce({ diskFreeBytes, openFilesMax }, 'state', systemWorld(logger))
      return warnings
    }
    expect(told(1e12, null)).toEqual([])
    expect(told(1e12, 1_000_000)).toEqual([])
    expect(told(1e6, 1_000_000)).toMatchObject([expect.stringMatching(/disk .* almost full/)])
    expect(told(1e12, 1_024)).toMatchObject([expect.stringMatching(/ulimit -n/)])
  })
})

test('a worker that has to give up as soon as it is in its group: the start fails for that, not because it was closed for it', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-start-'))
  const logger: Logger = {
    ...silent,
    info(_fields, message) {
      if (message === 'assigned') throw new MillraceError('STREAM_TOPOLOGY_MISMATCH', 'planted')
    },
  }
  const app = new StreamProcessor(counts, { stateDir, world: systemWorld(logger) })
  const { start } = Worker.prototype
  const held = vi.spyOn(Worker.prototype, 'start').mockImplementation(async function (this: Worker) {
    await start.call(this)
    await app.failed.catch(() => {}) // as one of several workers, while another one is still on its way
  })
  await expect(app.start()).rejects.toMatchObject({ code: 'STREAM_TOPOLOGY_MISMATCH', message: 'planted' })
  await expect(app.failed).rejects.toMatchObject({ message: 'planted' })
  held.mockRestore()
  rmSync(stateDir, { recursive: true })
})

test('a start that is refused for its shape notes nothing: the directory takes the topology that it was for', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-start-'))
  const processor = (build: (t: TopologyBuilder) => void): StreamProcessor =>
    new StreamProcessor(topology('noted', build), { stateDir, world: systemWorld(silent) })
  const grouped = (t: TopologyBuilder) => t.stream('in', { key: string(), value: string() }).groupByKey()
  const windows = (t: TopologyBuilder) => void grouped(t).windowedBy(tumbling('5s')).count({ store: 'n' })
  const keys = (t: TopologyBuilder) => void grouped(t).count({ store: 'n' })
  const noted = (): readonly string[] => readdirSync(join(stateDir, 'noted')).filter((name) => name.endsWith('.json'))

  let notedBefore: readonly string[] = []
  const judge = vi.spyOn(ShapeCheck.prototype, 'judge').mockImplementation(() => {
    notedBefore = noted()
    throw new MillraceError('STREAM_TOPOLOGY_MISMATCH', 'planted')
  })
  await expect(processor(windows).start()).rejects.toMatchObject({ code: 'STREAM_TOPOLOGY_MISMATCH', message: 'planted' })
  judge.mockRestore()
  expect([notedBefore, noted()]).toEqual([['stores.json'], []])

  const app = processor(keys)
  await app.start()
  await app.close()
  expect(noted()).toEqual(['stores.json'])
  await expect(processor(windows).start()).rejects.toMatchObject({ code: 'STREAM_TOPOLOGY' })
  rmSync(stateDir, { recursive: true })
})
