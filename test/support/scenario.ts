// `npm run scenario` as a process, with a temporary directory of its own, which must be empty when it has ended.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export async function runScenario(...words: readonly string[]) {
  const temporary = mkdtempSync(join(tmpdir(), 'millrace-scenario-test-'))
  try {
    const child = spawn(process.execPath, ['scripts/scenario.ts', ...words], { cwd: root, env: { ...process.env, TMPDIR: temporary } })
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { out, errors, code, left: readdirSync(temporary) }
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}
