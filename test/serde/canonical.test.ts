// Texts that are handed on as they are: never one that JSON.stringify would write otherwise; and it is seen of what is usual.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCanonical } from '../../src/serde/canonical.ts'
import { json, string } from '../../src/serde/index.ts'
import { isPlainJson, writtenJson } from '../../src/serde/json.ts'
import { runsOf } from '../support/tier.ts'

const ROW = {
  id: 'p7',
  version: 7,
  op: 'upsert',
  price: 12.5,
  tags: ['a', 'ä😀', ''],
  at: { of: null, is: true, on: false, none: [], no: {} },
}

/** What a row's answer would have of these bytes without it; null: they are refused. */
function slowly(bytes: Buffer): string | null {
  try {
    return JSON.stringify(json().decode(bytes))
  } catch {
    return null
  }
}

test('usual rows are seen', () => {
  const usual = [
    ROW,
    [],
    {},
    [ROW, [ROW]],
    { a: -1, b: 0, c: 0.5, d: -0.000001, e: 999999999999999, f: 1767225600000, g: 0.1 },
    { text: 'two\nlines, a "quote", a \\ and a tab\t', del: '\u007f', line: '\u2028' },
    { '': 1, $: 2, ä: 3, 'a b': 4, '-1': 5 },
  ]
  for (const value of usual) {
    const text = JSON.stringify(value)
    expect(isCanonical(text), text).toBe(true)
    expect(writtenJson(Buffer.from(text))).toBe(text)
    // Nothing less is one.
    for (let end = 0; end < text.length; end++) expect(isCanonical(text.slice(0, end)), text.slice(0, end)).toBe(false)
  }
})

test('what is written otherwise is not', () => {
  const otherwise = [
    ' {}',
    '{} ',
    '{ }',
    '[1, 2]',
    '{"a": 1}',
    '{"a":1.0}',
    '{"a":1.50}',
    '{"a":1e3}',
    '{"a":1E3}',
    '{"a":1.5e3}',
    '{"a":-0}',
    '{"a":-0.0}',
    '{"a":0.0000001}',
    '{"a":0.00000012}',
    '{"a":9007199254740993}',
    '{"a":0.1000000000000000055}',
    '{"a":1,"a":2}',
    '{"a":{"b":1,"c":2,"b":3}}',
    '{"b":1,"1":2}',
    '{"2":1,"1":2}',
    String.raw`{"a":"\u0041"}`,
    String.raw`{"a":"\/"}`,
    String.raw`{"\u0061":1}`,
    String.raw`{"a":1,"\u0061":2}`,
  ]
  for (const text of otherwise) {
    expect(JSON.stringify(JSON.parse(text)), text).not.toBe(text)
    expect(isCanonical(text), text).toBe(false)
  }
})

test('what json() refuses, or shows as no row, is not', () => {
  const refused = [
    '{"__proto__":1}',
    '{"a":[{"constructor":{"prototype":1}}]}',
    '{"a":01}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":-}',
    '{"a":+1}',
    '{a:1}',
  ]
  refused.push(
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '{"a"}',
    '{"a":}',
    '[1]]',
    '{}{}',
    '{"a":tru}',
    '["\n"]',
    String.raw`["\x"]`,
    String.raw`["\"]`,
    '[1}',
  )
  refused.push(`${'['.repeat(65)}${']'.repeat(65)}`)
  for (const text of refused) {
    expect(slowly(Buffer.from(text)), text).toBe(null)
    expect(isCanonical(text), text).toBe(false)
  }
  for (const text of ['null', '', '"a"', '1', 'true']) expect(isCanonical(text), text).toBe(false)
  expect(writtenJson(Buffer.from('5b22ff225d', 'hex'))).toBe(null)
})

test('only json() without a guard has such bytes', () => {
  expect(isPlainJson(json())).toBe(true)
  for (const serde of [json(() => true), string(), { ...json() }]) expect(isPlainJson(serde)).toBe(false)
})

test('property: what it takes for one is what JSON.stringify writes, whatever is done to a text', () => {
  const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,17})(\.\d{1,18})?(e[+-]?\d{1,3})?$/)
  const value = fc.oneof(
    fc.json({ maxDepth: 4 }),
    fc.json({ maxDepth: 3, stringUnit: 'grapheme' }),
    digits,
    fc.double().map((each) => JSON.stringify(each)),
  )
  const key = fc.constantFrom('a', 'b', '1', '10', '01', 'Aa', 'BB', 'proto', '__proto__', String.raw`\u0061`, String.raw`\"`, 'ä')
  const text = fc.oneof(
    value,
    fc.array(fc.tuple(key, value), { maxLength: 5 }).map((fields) => `{${fields.map(([name, of]) => `"${name}":${of}`).join()}}`),
    fc.array(value, { maxLength: 5 }).map((items) => `[${items.join()}]`),
  )
  const piece = fc.constantFrom(
    '',
    ' ',
    '"',
    '\\',
    ',',
    ':',
    '{',
    '}',
    '[',
    ']',
    '0',
    '1',
    '-',
    '.',
    'e',
    '\n',
    '\ud83d\ude00',
    'null',
    '\\n',
    '\\u0000',
  )
  const changed = fc.tuple(text, fc.nat(), fc.nat(2), piece).map(([whole, at, gone, put]) => {
    const from = at % (whole.length + 1)
    return whole.slice(0, from) + put + whole.slice(from + gone)
  })
  let seen = 0
  fc.assert(
    fc.property(fc.oneof(text, changed), (given) => {
      const bytes = Buffer.from(given, 'utf8')
      const written = writtenJson(bytes)
      if (written === null) return
      seen++
      expect(slowly(bytes)).toBe(written)
      expect(Buffer.from(written).equals(bytes)).toBe(true)
    }),
    { numRuns: runsOf(1_000, 20_000) },
  )
  expect(seen).toBeGreaterThan(20)
})

test('property: a number is taken where it is its own shortest form, of up to 15 digits', () => {
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.integer({ min: -1e9, max: 1e9 }).map((each) => each / 1_000),
  )
  fc.assert(
    fc.property(number, (each) => {
      const text = JSON.stringify([each])
      const isShort = !text.includes('e') && text.replace(/\D/g, '').length <= 15
      expect(isCanonical(text)).toBe(isShort)
    }),
    { numRuns: runsOf(500, 5_000) },
  )
})
