// Asks a processor for rows by HTTP at a steady rate, from a process of its own: `node bench/asker.ts PORT RATE KEYS`. Says what it got at SIGTERM.
// Bytes on sockets, and no more of HTTP than an answer's status and length: what asks must not take the core that is measured.
import { connect, type Socket } from 'node:net'

const [port = 0, rate = 0, keys = 1] = process.argv.slice(2).map(Number)
const TICK_MS = 5
/** A server takes 256; each may ask 100 times a second, and 1,000 times in all. */
const CONNECTIONS = 200
const answered = new Map<string, number>()
const free: Socket[] = []
const began = performance.now()
let asked = 0

function open(): void {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let text = ''
  socket.setEncoding('latin1')
  socket.on('connect', () => free.push(socket))
  socket.on('data', (chunk: string) => {
    text += chunk
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1])
    if (text.length < end + 4 + length) return
    const status = text.slice(9, 12)
    const isLast = /\r\nconnection: close/i.test(text.slice(0, end))
    text = ''
    answered.set(status, (answered.get(status) ?? 0) + 1)
    if (!isLast) free.push(socket)
  })
  socket.on('error', () => answered.set('failed', (answered.get('failed') ?? 0) + 1))
  socket.on('close', () => {
    const at = free.indexOf(socket)
    if (at >= 0) free.splice(at, 1)
    setTimeout(open, TICK_MS)
  })
}

for (let i = 0; i < CONNECTIONS; i++) open()
setInterval(() => {
  // What the other end cannot take is not heaped up.
  const due = ((performance.now() - began) / 1_000) * rate
  for (let socket = free.shift(); socket !== undefined; socket = free.shift()) {
    if (asked >= due) {
      free.unshift(socket)
      break
    }
    asked++
    socket.write(`GET /stores/rows/p${Math.floor(Math.random() * keys)} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  }
  asked = Math.max(asked, Math.floor(due - rate / 5))
}, TICK_MS)
process.on('SIGTERM', () => {
  const seconds = (performance.now() - began) / 1_000
  process.stdout.write(JSON.stringify({ seconds, ...Object.fromEntries(answered) }), () => process.exit(0))
})
// Whoever started it has died.
process.stdin.resume().on('end', () => process.exit(1))
