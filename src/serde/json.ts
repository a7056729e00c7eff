// json(): JSON.stringify as UTF-8. Never makes an object with a surprise in its prototype, never reads what it could not write.
//
// Invariants
// 1. Bounded before it is parsed: LIMITS.jsonBytesMax, LIMITS.jsonDepthMax. `encode` has the same bounds: what is written can be read.
// 2. Own keys `__proto__`, and `constructor` over an object with an own `prototype`, are refused, on both ways (`Object.assign` and
//    merges would let them through to a prototype).
// 3. A guard judges what is decoded, nothing else: `fromJson` and `encode` let pass what it would refuse.
// 4. Common values pay two or three native searches for all this; only a text that looks suspicious is walked.
import { asBuffer } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { isCanonical } from './canonical.ts'
import { refuseBytes, refuseValue } from './refuse.ts'
import type { AnySerde, Serde } from './serde.ts'
import { decodeUtf8 } from './text.ts'

/** Refuses by returning false (or null, 0, '') or by throwing; true, nothing (`asserts value is T`) and any other result accept. */
export type Guard<T> = ((value: unknown) => value is T) | ((value: unknown) => asserts value is T) | ((value: unknown) => unknown)

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** The number of `[` and `{`, strings included: no text is nested deeper. Stops counting beyond `enough`. */
function openers(text: string, enough: number): number {
  let n = 0
  for (let at = text.indexOf('{'); at >= 0 && n <= enough; at = text.indexOf('{', at + 1)) n++
  for (let at = text.indexOf('['); at >= 0 && n <= enough; at = text.indexOf('[', at + 1)) n++
  return n
}

/** The true depth of nesting, brackets in strings left out. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) {
      for (at++; at < text.length; at++) {
        const inside = text.charCodeAt(at)
        if (inside === BACKSLASH) at++
        else if (inside === QUOTE) break
      }
    } else if (c === 0x5b || c === 0x7b) {
      if (++depth > deepest) deepest = depth
    } else if (c === 0x5d || c === 0x7d) depth--
  }
  return deepest
}

function checkText(text: string, bytes: number): void {
  if (bytes > LIMITS.jsonBytesMax) throw refuseBytes('json()', `${bytes} bytes are beyond the limit of ${LIMITS.jsonBytesMax}`)
  // Each level takes two characters at least.
  if (text.length <= 2 * LIMITS.jsonDepthMax) return
  if (openers(text, LIMITS.jsonDepthMax) > LIMITS.jsonDepthMax && depthOf(text) > LIMITS.jsonDepthMax)
    throw refuseBytes('json()', `nested deeper than the limit of ${LIMITS.jsonDepthMax}`)
}

/** Whether a key in it may be `__proto__` or `prototype`, plain or escaped (every letter of both begins with \u00 then). */
function suspicious(text: string): boolean {
  return text.includes('proto') || (text.includes('\\') && text.includes('\\u00'))
}

/** The depth is bounded already, so this recursion is. */
function checkKeys(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) checkKeys(item)
    return
  }
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key]
    if (key === '__proto__') throw refuseBytes('json()', 'an object has a key "__proto__"')
    if (key === 'constructor' && typeof inner === 'object' && inner !== null && Object.hasOwn(inner, 'prototype'))
      throw refuseBytes('json()', 'an object has a key "constructor" over a "prototype"')
    checkKeys(inner)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // The engine's message quotes the text; only the place goes on.
    const place = /at position \d+/.exec((error as Error).message)
    throw refuseBytes('json()', place === null ? 'the bytes are not JSON' : `the bytes are not JSON ${place[0]}`)
  }
}

function encode(value: unknown): Buffer {
  // NaN and the infinities would be written as null, and read as a tombstone.
  if (typeof value === 'number' && !Number.isFinite(value)) throw refuseValue('json()', 'a value that JSON can hold', value)
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw refuseBytes('json()', 'the value has no JSON form (a bigint, a cycle, or a toJSON that throws)', error)
  }
  if (text === undefined) throw refuseValue('json()', 'a value that JSON can hold', value)
  const bytes = Buffer.from(text, 'utf8')
  checkText(text, bytes.length)
  if (suspicious(text)) checkKeys(JSON.parse(text))
  return bytes
}

function decode(bytes: Uint8Array): unknown {
  const buffer = asBuffer(bytes)
  if (buffer.length > LIMITS.jsonBytesMax) checkText('', buffer.length)
  const text = decodeUtf8(buffer)
  if (text === undefined) throw refuseBytes('json()', 'the bytes are not UTF-8')
  checkText(text, buffer.length)
  const value = parse(text)
  if (suspicious(text)) checkKeys(value)
  return value
}

const toJson = (value: unknown): unknown => value
const fromJson = (json: unknown): unknown => json

const JSON_SERDE: Serde<unknown> = Object.freeze({ name: 'json', encode, decode, toJson, fromJson })

/** It is json() without a guard: `writtenJson` is of its bytes. */
export function isPlainJson(serde: AnySerde): boolean {
  return serde === JSON_SERDE
}

/** What JSON.stringify would write of what json() reads of these bytes, an object or an array, where that is sure without doing so; null: it
 *  is not. */
export function writtenJson(bytes: Buffer): string | null {
  const text = decodeUtf8(bytes)
  return text !== undefined && isCanonical(text) ? text : null
}

function guarded(guard: (value: unknown) => unknown): Serde<unknown> {
  return Object.freeze({
    name: 'json',
    encode,
    decode(bytes: Uint8Array): unknown {
      const value = decode(bytes)
      let verdict: unknown
      try {
        verdict = guard(value)
      } catch (error) {
        throw refuseBytes('json()', 'the guard refuses the value', error)
      }
      // A slip like `(v) => v && typeof v.id === 'string'` gives null for null: that is a no.
      if (!verdict && verdict !== undefined) throw refuseBytes('json()', 'the guard refuses the value')
      return value
    },
    toJson,
    fromJson,
  })
}

/**
 * JSON as UTF-8. The optional guard sees each decoded value: `(value): value is T => ...`, a function that returns false, or one that
 * throws (`(value) => schema.parse(value)`). What it refuses is a dead letter.
 */
export function json<T = unknown>(guard?: Guard<T>): Serde<T> {
  return (guard === undefined ? JSON_SERDE : guarded(guard)) as Serde<any> as Serde<T>
}
