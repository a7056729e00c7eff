// Numbers, times and refusals as people read them.

/** 1,234,567; from ten million on 12.3M. */
export function count(n) {
  if (Math.abs(n) >= 1e7) return `${(n / 1e6).toFixed(1)}M`
  return Math.round(n).toLocaleString('en-US')
}

/** A second. */
export function perSecond(n) {
  if (n > 0 && n < 10) return n.toFixed(1)
  return count(n)
}

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let at = 0
  let size = n
  for (; size >= 1024 && at < units.length - 1; at++) size /= 1024
  return `${at === 0 ? size : size.toFixed(1)} ${units[at]}`
}

export function age(ms) {
  const seconds = Math.max(0, ms / 1000)
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** Times of producers that write microseconds are beyond what a date can be. */
export function time(ms) {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace('T', ' ')
}

/** Epoch ms, or a date; null: neither. */
export function msOf(text) {
  if (/^\d{1,16}$/.test(text)) return Number(text)
  const ms = Date.parse(text)
  return Number.isNaN(ms) || ms < 0 ? null : ms
}

/** Text as it is, all else as JSON: on one line where that is short. */
export function json(value) {
  if (typeof value === 'string') return value
  const line = JSON.stringify(value)
  return line.length <= 120 ? line : JSON.stringify(value, null, 2)
}

const REFUSALS = {
  BAD_REQUEST: 'The server does not understand this: a key that the serde does not take, or a wrong field.',
  UNAUTHORIZED: 'The token is missing, or it is another one.',
  STORE_REFUSED: 'This store is not on the list of those that may be read.',
  NOT_FOUND: 'There is no such row.',
  METHOD_NOT_ALLOWED: 'Dead letters can be replayed and dropped here only where the server has a token.',
  FENCED: 'Another process settles dead letters just now; try again. What is done is not done twice.',
  TOO_MANY_REQUESTS: 'Too many requests a second; try again.',
  OWNER_UNREACHABLE: 'The process that has this key does not answer.',
  NOT_READY: 'Not here now: the process is starting, or the rows are in another process.',
  STORE_RESTORING: 'The store is being restored from its changelog.',
  INTERNAL: 'The server failed; its log says why.',
  UNREACHED: 'The server does not answer.',
}

/** Of what `server.js` throws. */
export function refusal({ code, restored, remaining }) {
  const text = REFUSALS[code] ?? `Refused: ${code}`
  return restored === undefined ? text : `${text} ${count(restored)} records are there, ${count(remaining)} offsets to go.`
}
