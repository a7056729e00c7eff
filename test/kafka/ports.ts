// Ports for servers that bind them later, and again after a kill: not of those that the system gives to whoever asks for any, or for a connection.
import { createServer } from 'node:net'

/** Below the ports that Linux and others give away by themselves. */
const [FIRST, END] = [12_000, 32_768]

/** Free ones of 127.0.0.1, each another. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = FIRST + Math.floor(Math.random() * (END - FIRST))
    if (!found.has(port) && (await isFree(port))) found.add(port)
  }
  return [...found]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (free) await new Promise((resolve) => server.close(resolve))
  return free
}
