// Asks the server: rows, letters, figures. The token, where there is one, goes with each request as a header; it is never in an address.
//
// 1. The token stays in this tab (sessionStorage) until it is forgotten or the tab is closed.
// 2. One request that is refused for the want of a token asks for it once, however many wait for it.
import { byId, say, show } from './dom.js'

const KEY = 'millrace-token'
let token = sessionStorage.getItem(KEY)
let asking = null

export class Refused extends Error {
  constructor(answer) {
    super(answer.code)
    Object.assign(this, answer)
  }
}

const headers = () => (token === null ? {} : { authorization: `Bearer ${token}` })

async function reach(path, options = {}) {
  for (;;) {
    let answer
    try {
      answer = await fetch(path, { cache: 'no-store', credentials: 'omit', ...options, headers: { ...headers(), ...options.headers } })
    } catch (error) {
      if (options.signal?.aborted) throw error
      throw new Refused({ code: 'UNREACHED' })
    }
    if (answer.status !== 401) return answer
    await askToken(token !== null)
  }
}

export async function ask(path, options) {
  const answer = await reach(path, options)
  const body = await answer.json().catch(() => ({ code: 'INTERNAL' }))
  if (!answer.ok) throw new Refused(body)
  return body
}

export async function askText(path) {
  const answer = await reach(path)
  if (!answer.ok) throw new Refused(await answer.json().catch(() => ({ code: 'INTERNAL' })))
  return await answer.text()
}

export const act = (what, offsets) =>
  ask(`dead-letters/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ offsets }) })

/** Resolves when there is one to try. */
export function askToken(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = byId('ask-token')
    say(byId('token-wrong'), wrong ? 'The server does not take the one that this tab has.' : '')
    show(byId('token'), true)
    dialog.addEventListener(
      'close',
      () => {
        asking = null
        const given = byId('token-field').value.trim()
        byId('token-field').value = ''
        if (dialog.returnValue === 'set' && given !== '') {
          token = given
          sessionStorage.setItem(KEY, given)
        }
        resolve()
      },
      { once: true },
    )
    dialog.returnValue = ''
    dialog.showModal()
  })
  return asking
}

export const hasToken = () => token !== null

export function forgetToken() {
  token = null
  sessionStorage.removeItem(KEY)
}

const SILENT_MS = 10_000
const AGAIN_MS = 1_000

/** Calls `live` with each event, `lost` when there is none to be had. Reads only while the tab is seen. */
export async function listen(live, lost) {
  for (;;) {
    if (document.visibilityState === 'hidden') {
      await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }))
      continue
    }
    const stop = new AbortController()
    const leave = () => stop.abort()
    document.addEventListener('visibilitychange', leave)
    let silent = setTimeout(leave, SILENT_MS)
    try {
      const answer = await reach('events', { signal: stop.signal })
      if (!answer.ok) throw new Refused(await answer.json())
      for await (const data of eventsOf(answer.body)) {
        clearTimeout(silent)
        silent = setTimeout(leave, SILENT_MS)
        if (data !== null) live(JSON.parse(data))
      }
      lost({ code: 'UNREACHED' })
    } catch (error) {
      if (document.visibilityState !== 'hidden') lost(error instanceof Refused ? error : { code: 'UNREACHED' })
    } finally {
      clearTimeout(silent)
      document.removeEventListener('visibilitychange', leave)
      stop.abort()
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
  }
}

/** The data of each event; null: a comment, which only says that the server lives. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    text += value
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end)
      text = text.slice(end + 2)
      yield event.startsWith('data: ') ? event.slice(6) : null
    }
  }
}
