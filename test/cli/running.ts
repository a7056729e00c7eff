// A `millrace run` that a test has started: until it runs, and its clean end.
import { expect } from 'vitest'
import type { Started } from './binary.ts'

/** All stores are restored. For one started with `--json`. */
export async function untilRunning({ child }: Started): Promise<void> {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/"stateDir":.*"msg":"running"/)
}

export async function stopped(running: Started | null): Promise<null> {
  running?.child.kill('SIGTERM')
  expect((await running?.ended)?.status).toBe(0)
  return null
}
