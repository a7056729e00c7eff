// One application in a scratch folder, for tests of what is typed beside it and behind it: `run` until its stores are restored, its clean end
// and its kill. Each test has a new folder; a process that a test has left is killed.
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Scratch, type Started, scratch, start } from './binary.ts'

export interface OneRun {
  readonly place: Scratch
  /** The topology. */
  readonly file: string
  readonly state: string
  /** With more flags. Resolves when all stores are restored. */
  run(...flags: readonly string[]): Promise<void>
  stop(): Promise<void>
  kill(): Promise<void>
}

/** To be called where hooks may be set. `fileIn` writes the topology and answers its path. */
export function oneRun(fileIn: (place: Scratch) => string): OneRun {
  let place: Scratch
  let file = ''
  let running: Started | null = null
  const kill = async (): Promise<void> => {
    running?.child.kill('SIGKILL')
    await running?.ended
    running = null
  }
  beforeEach(() => {
    place = scratch()
    file = fileIn(place)
  })
  afterEach(async () => {
    await kill()
    place.remove()
  })
  const one: OneRun = {
    get place() {
      return place
    },
    get file() {
      return file
    },
    get state() {
      return join(place.folder, 'state')
    },
    async run(...flags) {
      running = start(['run', file, '--state-dir', one.state, '--json', ...flags])
      let said = ''
      running.child.stderr?.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
      await expect.poll(() => said, { timeout: 20_000 }).toMatch(/"stateDir":.*"msg":"running"/)
    },
    async stop() {
      running?.child.kill('SIGTERM')
      expect((await running?.ended)?.status).toBe(0)
      running = null
    },
    kill,
  }
  return one
}
