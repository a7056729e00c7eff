// Asks the process in the same container how it is: `node probe.mjs /health` or `/health/ready`; status 0 for 200. For images, which have
// no curl, and because every path wants the token where there is one.
import { readFileSync } from 'node:fs'

const { MILLRACE_PORT: port, MILLRACE_TOKEN_FILE: file, MILLRACE_TOKEN } = process.env
const token = file === undefined ? MILLRACE_TOKEN : readFileSync(file, 'utf8').trim()
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
try {
  const answer = await fetch(`http://127.0.0.1:${port}${process.argv[2]}`, { headers, signal: AbortSignal.timeout(4_000) })
  process.stdout.write(`${await answer.text()}\n`)
  process.exitCode = answer.ok ? 0 : 1
} catch (error) {
  process.stdout.write(`${error.cause?.message ?? error.message}\n`)
  process.exitCode = 1
}
