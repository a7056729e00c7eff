// Whether a JSON text is what JSON.stringify writes of what JSON.parse reads of it, so that neither is needed to hand it on. One walk over its
// characters, an eighth of the two. It never says so of a text that differs by a byte; of some that don't it does not see it.
//
// Invariants
// 1. The text was decoded from UTF-8: no half of a surrogate pair is in it.
// 2. No key twice in an object, none that begins with a digit (those that count are sorted), none with `proto` in it (json() may refuse it).
// 3. Numbers of at most 15 digits, without an exponent: no two of them are the same double, so each is its double's shortest form.
const TEXT_LENGTH_MAX = 64 * 1024
const DEPTH_MAX = 32
/** Of the objects that are open; each key is compared with those before it. */
const KEYS_MAX = 64
const DIGITS_MAX = 15
/** 0.0000001 is written as 1e-7. */
const LEADING_ZEROS_MAX = 5

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const BRACKET = 0x5b
const BACKSLASH = 0x5c
const BRACKET_END = 0x5d
const BRACE = 0x7b
const BRACE_END = 0x7d
/** Behind a backslash. Each stands for a character that is written in no other way. */
const ESCAPES: ReadonlySet<number> = new Set([...'"\\bfnrt'].map((each) => each.charCodeAt(0)))

/** Of the keys of all open objects. Two that are equal have the same; of two others that have, the text is not judged. */
const hashes = new Int32Array(KEYS_MAX)
let keys = 0

/** Of an object or an array. */
export function isCanonical(text: string): boolean {
  const first = text.charCodeAt(0)
  if ((first !== BRACE && first !== BRACKET) || text.length > TEXT_LENGTH_MAX || text.includes('proto')) return false
  keys = 0
  return valueEnd(text, 0, 0) === text.length
}

/** Where the value ends that begins there; -1: not so. */
function valueEnd(text: string, at: number, depth: number): number {
  switch (text.charCodeAt(at)) {
    case BRACE:
      return depth < DEPTH_MAX ? objectEnd(text, at + 1, depth + 1) : -1
    case BRACKET:
      return depth < DEPTH_MAX ? arrayEnd(text, at + 1, depth + 1) : -1
    case QUOTE:
      return stringEnd(text, at + 1)
    case 0x74:
      return text.startsWith('true', at) ? at + 4 : -1
    case 0x66:
      return text.startsWith('false', at) ? at + 5 : -1
    case 0x6e:
      return text.startsWith('null', at) ? at + 4 : -1
    default:
      return numberEnd(text, at)
  }
}

function objectEnd(text: string, start: number, depth: number): number {
  if (text.charCodeAt(start) === BRACE_END) return start + 1
  const first = keys
  let at = start
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE || isDigit(text.charCodeAt(at + 1))) return -1
    const end = stringEnd(text, at + 1)
    if (end < 0 || text.charCodeAt(end) !== COLON || keys === KEYS_MAX) return -1
    let hash = 0
    for (let i = at + 1; i < end; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
    for (let i = first; i < keys; i++) if (hashes[i] === hash) return -1
    hashes[keys++] = hash
    at = valueEnd(text, end + 1, depth)
    if (at < 0) return -1
    if (text.charCodeAt(at) !== COMMA) break
    at++
  }
  keys = first
  return text.charCodeAt(at) === BRACE_END ? at + 1 : -1
}

function arrayEnd(text: string, start: number, depth: number): number {
  if (text.charCodeAt(start) === BRACKET_END) return start + 1
  let at = start
  for (;;) {
    at = valueEnd(text, at, depth)
    if (at < 0) return -1
    if (text.charCodeAt(at) !== COMMA) break
    at++
  }
  return text.charCodeAt(at) === BRACKET_END ? at + 1 : -1
}

/** Behind its closing quote. */
function stringEnd(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) return at + 1
    if (c < 0x20 || (c === BACKSLASH && !ESCAPES.has(text.charCodeAt(++at)))) return -1
  }
  return -1
}

function numberEnd(text: string, start: number): number {
  const whole = text.charCodeAt(start) === MINUS ? start + 1 : start
  const point = digitsEnd(text, whole)
  const isZero = text.charCodeAt(whole) === ZERO
  if (point === whole || (isZero && point > whole + 1)) return -1
  if (text.charCodeAt(point) !== POINT) {
    const isExponent = (text.charCodeAt(point) | 0x20) === 0x65
    return isExponent || point - whole > DIGITS_MAX || (isZero && whole > start) ? -1 : point
  }
  const end = digitsEnd(text, point + 1)
  if (end === point + 1 || text.charCodeAt(end - 1) === ZERO || end - whole - 1 > DIGITS_MAX) return -1
  if (isZero) {
    let zeros = 0
    while (text.charCodeAt(point + 1 + zeros) === ZERO) zeros++
    if (zeros > LEADING_ZEROS_MAX) return -1
  }
  return (text.charCodeAt(end) | 0x20) === 0x65 ? -1 : end
}

function digitsEnd(text: string, start: number): number {
  let at = start
  while (isDigit(text.charCodeAt(at))) at++
  return at
}

const isDigit = (c: number): boolean => c >= ZERO && c <= NINE
