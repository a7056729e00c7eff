// Asks a processor for rows by HTTP at a steady rate, from a process of its own: `node bench/asker.ts PORT RATE KEYS`. Says what it got at SIGTERM.
import { Agent, get } from 'node:http'

const [port = 0, rate = 0, keys = 1] = process.argv.slice(2).map(Number)
const TICK_MS = 10
/** A server takes 256; each may ask 100 times a second, so they take turns. */
const agent = new Agent({ keepAlive: true, maxSockets: 240, scheduling: 'fifo' })
const answered = new Map<string, number>()
const began = performance.now()
let asked = 0
let open = 0

function ask(): void {
  open++
  const done = (what: string): void => {
    open--
    answered.set(what, (answered.get(what) ?? 0) + 1)
  }
  const key = `p${Math.floor(Math.random() * keys)}`
  get({ agent, host: '127.0.0.1', port, path: `/stores/rows/${key}` }, (answer) => {
    answer.resume()
    answer.on('end', () => done(String(answer.statusCode)))
  }).on('error', () => done('failed'))
}

setInterval(() => {
  // What the other end cannot take is not heaped up.
  for (const due = ((performance.now() - began) / 1_000) * rate; asked < due; asked++) if (open < rate / 5) ask()
}, TICK_MS)
process.on('SIGTERM', () => {
  const seconds = (performance.now() - began) / 1_000
  process.stdout.write(JSON.stringify({ seconds, ...Object.fromEntries(answered) }), () => process.exit(0))
})
// Whoever started it has died.
process.stdin.resume().on('end', () => process.exit(1))
