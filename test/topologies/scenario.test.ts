// The scenarios themselves, small: each ends well and leaves nothing behind; one that goes wrong says so.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { drive } from '../../scripts/scenario/driven.ts'
import { scenario as wallet } from '../../scripts/scenario/wallet.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// As documents type them: npm run scenario wallet, npm run scenario orders,
// npm run scenario engagements, npm run scenario pipeline

async function scenario(...words: readonly string[]) {
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

test('pipeline: in process, and killed on the embedded log', { timeout: 90_000 }, async () => {
  const { out, errors, code, left } = await scenario('pipeline', '--histories', '3')
  expect({ errors, code, left }, out).toEqual({ errors: '', code: 0, left: [] })
  expect(out).toMatch(/in process: 3 histories, \d+ records, \d+ crashes: 0 wrong\n/)
  expect(out).toMatch(/pipeline.ts: SIGKILL to process \d+/)
  expect(out).toMatch(/every part killed once: 0 wrong\npipeline: right\n$/)
})

test.each(['wallet', 'orders', 'engagements'])('%s: in process', { timeout: 60_000 }, async (name) => {
  const { out, errors, code, left } = await scenario(name, '--histories', '3', '--kills', '0')
  expect({ errors, code, left }, out).toEqual({ errors: '', code: 0, left: [] })
  expect(out).toMatch(/in process: 3 histories, \d+ records, \d+ crashes: 0 wrong\n/)
  expect(out).toMatch(new RegExp(`\\n${name}: right\\n$`))
})

test('a name that is none, and a number that is none', { timeout: 60_000 }, async () => {
  const [none, number] = [await scenario('walet'), await scenario('wallet', '--kills', 'x')]
  expect({ code: none.code, errors: none.errors }).toEqual({ code: 2, errors: expect.stringMatching(/^scenario: name one of .*wallet/) })
  expect({ code: number.code, errors: number.errors }).toEqual({ code: 2, errors: 'scenario: x is no whole number\n' })
})

test('an output that is lost is seen', async () => {
  const [part] = wallet.parts as [(typeof wallet.parts)[number]]
  const blind = {
    ...part,
    judge: (sent: Parameters<typeof part.judge>[0], written: typeof sent) => part.judge(sent, written.slice(1)),
  }
  expect((await drive({ ...wallet, parts: [blind] }, 1)).wrong.join('\n')).toMatch(
    /seed 1, topologies\/wallet\/wallet.ts: .*entry 1 has the number 2/,
  )
})
