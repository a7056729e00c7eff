// Around a run of the merge tier: a file for what its processes have done (bars.ts), and the sums at its end; into the file MILLRACE_NOTES
// too, where there is one.
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { RAN, type Ran, told } from './bars.ts'

export default function setup(): () => void {
  const file = join(mkdtempSync(join(tmpdir(), 'millrace-ran-')), 'ran')
  process.env[RAN] = file
  return () => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
    const text = told(lines.map((line) => JSON.parse(line) as Ran)).join('\n')
    console.log(`\n${text}`)
    if (process.env.MILLRACE_NOTES !== undefined) appendFileSync(process.env.MILLRACE_NOTES, `${text}\n`)
    rmSync(dirname(file), { recursive: true, force: true })
  }
}
