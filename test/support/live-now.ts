// What the live page of a process shows now: the first event of /events.
import type { Live } from '../../src/server/live.ts'

export async function liveNow(port: number, token?: string): Promise<Live> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const stop = new AbortController()
  const { body } = await fetch(`http://127.0.0.1:${port}/events`, { headers, signal: stop.signal })
  let text = ''
  for await (const part of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += part
    if (text.includes('\n\n')) break
  }
  stop.abort()
  return JSON.parse(text.slice('data: '.length, text.indexOf('\n\n'))) as Live
}
