// What is said to PostgreSQL and what it says, without a server.
import { expect, test } from 'vitest'
import { outboxDdl } from '../../src/outbox/ddl.ts'
import { failureOf, shown } from '../../src/outbox/postgres-failure.ts'

test('a schema of the name of its table', () => {
  expect(outboxDdl('postgres', 'outbox.outbox')).toMatch(/CREATE FUNCTION "outbox"\."outbox_notify"\(\)/)
})

test.each([
  ['57P01', 'retry'], // the server is shut down
  ['57014', 'retry'], // it took longer than statement_timeout
  ['53300', 'retry'], // too many connections
  [undefined, 'retry'], // nobody has answered
  ['28P01', 'stop'], // a wrong password
  ['42P01', 'stop'], // no such table
] as const)('a failure %s: %s', (code, disposition) => {
  expect(failureOf('shop', Object.assign(new Error('said'), { code }))).toMatchObject({ code: 'STREAM_DATABASE', disposition })
})

test('an address is shown without its password', () => {
  expect(shown('postgres://app:se:c@ret@host/shop')).toBe('postgres://app@host/shop')
  expect(shown('postgres://app@host/shop?password=secret&ssl=1')).toBe('postgres://app@host/shop?password=[hidden]&ssl=1')
})
