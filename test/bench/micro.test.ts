// `npm run bench:micro` measures and prints; it never fails over a figure.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('a line a piece: its time, the limit beside it, and how it stands against what is kept', { timeout: 60_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/micro.ts', '--only', 'row', '--rounds', '1'], { cwd: root })
  const [head, ...lines] = stdout.trimEnd().split('\n')
  expect(head).toMatch(/^piece +us\/op +loops +limit +us\/op +times +against \d{4}-\d\d-\d\d$/)
  expect(lines.map((line) => line.slice(0, 30).trim())).toContain('row: frame and checksum')
  for (const line of lines) expect(line).toMatch(/^\S.{41} +\d+\.\d{3} +\d+\.\d{3} {2}\S.{37} +\d+\.\d{3} +\d+\.\d+x +(new|\d+\.\d\dx)/)
})
