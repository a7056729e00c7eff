// The one validator of names: what it lets through stays in its folder on any file system, is a topic's name for Kafka, and needs no escaping
// in a URL.
import { basename, dirname, join, resolve, win32 } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkName, isName } from '../../src/base/names.ts'

const odd = fc.constantFrom(
  '',
  '.',
  '..',
  '...',
  '-',
  '_',
  '__x',
  '.x',
  'a/b',
  '../a',
  'a\\b',
  '%2e%2e',
  'a\0b',
  'a b',
  'a\n',
  'ä',
  '․․',
  '．．',
  'a:b',
  'C:',
  'NUL ',
  '~',
  '*',
)
const any = fc.oneof(
  odd,
  fc.string({ maxLength: 210 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom(...'abcXYZ019._-'), maxLength: 205 }),
)

describe('a name', () => {
  test('property: is taken exactly when it has 1 to 200 of the letters, and is not "." or ".."', () => {
    fc.assert(
      fc.property(any, (text) => {
        const letters = [...text].every((letter) => 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-'.includes(letter))
        expect(isName(text)).toBe(letters && text.length >= 1 && text.length <= 200 && text !== '.' && text !== '..')
      }),
      { numRuns: 2_000 },
    )
  })
  test('property: one that is taken is one step below any folder, here and on Windows, and needs no escaping', () => {
    fc.assert(
      fc.property(any, (text) => {
        if (!isName(text)) {
          expect(() => checkName(text, 'store')).toThrow(expect.objectContaining({ code: 'STREAM_NAME' }))
          return
        }
        expect(dirname(resolve('/state/shop', text))).toBe('/state/shop')
        expect(basename(join('/state/shop', text))).toBe(text)
        expect(win32.dirname(win32.join('C:\\state\\shop', text))).toBe('C:\\state\\shop')
        expect(encodeURIComponent(text)).toBe(text)
        expect(new URL(`http://localhost/stores/${text}/k`).pathname).toBe(`/stores/${text}/k`)
      }),
      { numRuns: 2_000 },
    )
  })
  test('what is no text is no name', () => {
    for (const value of [undefined, null, 1, {}, ['a'], new String('a')]) expect(() => checkName(value, 'topic')).toThrow(/topic name/)
  })
})
