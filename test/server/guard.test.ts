// What the guard lets through besides GET and HEAD with the token: the files of the live page without it, and POST to the paths of dead
// letters. Each rule is taken away from a request that is in order, one at a time.
import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { systemWorld } from '../../src/base/system.ts'
import { guardOf } from '../../src/server/guard.ts'

const TOKEN = 'guard-0123456789-0123456789-0123456789'
const { clock } = systemWorld()
const open = (path: string): boolean => path === '/' || path === '/page/main.js'
type Fields = Readonly<Record<string, string | undefined>>
interface Asked {
  readonly method?: string
  readonly url?: string
  readonly headers?: Fields
  readonly token?: string | null
}

/** The code of the refusal; null: it may pass. */
function judged({ method = 'GET', url = '/health', headers = {}, token = TOKEN }: Asked): string | null {
  const guard = guardOf({ host: '127.0.0.1', token: token === null ? null : new Secret(token), clock, open })
  const given = Object.fromEntries(Object.entries({ host: 'localhost:80', ...headers }).filter(([, value]) => value !== undefined))
  try {
    guard({ socket: {}, method, url, headers: given } as never)
    return null
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('the files of the page', () => {
  test('need no token; scripts of the page bring its own Origin', () => {
    for (const url of ['/', '/page/main.js', '/?x=1']) for (const method of ['GET', 'HEAD']) expect(judged({ url, method })).toBeNull()
    for (const origin of ['http://localhost:80', 'https://localhost:80', 'HTTP://LOCALHOST:80'])
      expect(judged({ url: '/page/main.js', headers: { origin } }), origin).toBeNull()
  })
  test('are nothing else: another path, another method, a foreign Host or Origin', () => {
    for (const url of ['/page/', '/page/../health', '/page/main.js/', '/page/%6dain.js', '//', '/health'])
      expect(judged({ url }), url).toBe('UNAUTHORIZED')
    expect(judged({ url: '/', method: 'POST' })).toBe('UNAUTHORIZED')
    expect(judged({ url: '/', method: 'POST', token: null })).toBe('METHOD_NOT_ALLOWED')
    expect(judged({ url: '/', headers: { host: 'example.org' } })).toBe('FOREIGN_HOST')
    for (const origin of ['https://example.org', 'http://localhost', 'http://localhost:81', 'null', ''])
      expect(judged({ url: '/', headers: { origin } }), origin).toBe('ORIGIN_REFUSED')
    expect(judged({ url: '/', headers: { 'content-length': '2' } })).toBe('BODY_REFUSED')
    expect(judged({ url: `/?${'x'.repeat(2_100)}` })).toBe('URL_TOO_LONG')
  })
})

describe('an act on dead letters', () => {
  const inOrder: Fields = {
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    'content-length': '20',
    origin: 'http://localhost:80',
    'sec-fetch-site': 'same-origin',
  }
  const act = (change: Fields = {}, asked: Asked = {}): string | null =>
    judged({ method: 'POST', url: '/dead-letters/replay', ...asked, headers: { ...inOrder, ...change } })

  test('passes from the page, and from a program that says no Origin', () => {
    expect(act()).toBeNull()
    expect(act({}, { url: '/dead-letters/drop' })).toBeNull()
    expect(act({ origin: undefined, 'sec-fetch-site': undefined })).toBeNull()
    expect(act({ 'content-type': 'application/json; charset=utf-8' })).toBeNull()
  })
  test('is refused where the server has no token: it has GET and HEAD only', () => {
    expect(act({ origin: undefined }, { token: null })).toBe('METHOD_NOT_ALLOWED')
  })
  test('is refused without the token, or with another one', () => {
    for (const authorization of [undefined, `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, TOKEN])
      expect(act({ authorization })).toBe('UNAUTHORIZED')
  })
  test('is refused to a page of another site', () => {
    for (const origin of ['https://example.org', 'http://localhost', 'http://localhost:81', 'http://127.0.0.1:80', 'null', ''])
      expect(act({ origin }), origin).toBe('ORIGIN_REFUSED')
    for (const site of ['cross-site', 'same-site', 'none', '']) expect(act({ 'sec-fetch-site': site }), site).toBe('ORIGIN_REFUSED')
    expect(act({ host: 'example.org', origin: 'http://example.org' })).toBe('FOREIGN_HOST')
  })
  test('is refused as what a form of another site can send', () => {
    for (const type of [
      undefined,
      '',
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonx',
    ])
      expect(act({ 'content-type': type }), type).toBe('CONTENT_TYPE_REFUSED')
  })
  test('is refused with a body of no length, of another form, or too long', () => {
    for (const length of [undefined, '', '-1', '1e3', '8193', '99999999999'])
      expect(act({ 'content-length': length }), length).toBe('BODY_REFUSED')
    expect(act({ 'transfer-encoding': 'chunked' })).toBe('BODY_REFUSED')
  })
  test('is no other path and no other method', () => {
    for (const url of [
      '/dead-letters',
      '/dead-letters/',
      '/dead-letters/list',
      '/dead-letters/replay/',
      '/dead-letters/%72eplay',
      '/stores/items',
    ])
      expect(act({ origin: undefined }, { url }), url).toBe('METHOD_NOT_ALLOWED')
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      expect(act({ origin: undefined }, { method }), method).toBe('METHOD_NOT_ALLOWED')
  })
  test('cannot be passed on by another process', () => {
    expect(act({ 'millrace-forwarded': `1.${'0'.repeat(64)}` })).toBe('UNAUTHORIZED')
  })
})
