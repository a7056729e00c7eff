// docs/runbook.md has a row for every error code, with the disposition that the code has, and what it says to type exists.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ErrorCode, MillraceError } from '../../src/base/errors.ts'
import { root } from '../cli/binary.ts'

const page = readFileSync(join(root, 'docs/runbook.md'), 'utf8')
const source = readFileSync(join(root, 'src/base/errors.ts'), 'utf8')
const union = source.slice(source.indexOf('export type ErrorCode'), source.indexOf('export interface ErrorOptions'))
const codes = [...union.matchAll(/'(STREAM_[A-Z_]+)'/g)].map((match) => match[1] as ErrorCode)
const rows = new Map(
  page
    .split('\n')
    .filter((line) => line.startsWith('| `STREAM_'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, code = '', disposition = '', happened = '', cure = '']) => [code.replaceAll('`', ''), { disposition, happened, cure }]),
)

test('every code has one row, with its disposition, what happened and what to do', () => {
  expect(codes.length).toBeGreaterThan(20)
  expect([...rows.keys()].toSorted()).toEqual(codes.toSorted())
  expect(page.match(/^\| `STREAM_/gm)).toHaveLength(codes.length)
  for (const code of codes) {
    const row = rows.get(code)
    expect(row?.disposition, code).toBe(new MillraceError(code, '').disposition)
    expect(row?.happened.length, code).toBeGreaterThan(20)
    expect(row?.cure.length, code).toBeGreaterThan(20)
  }
})

test('every disposition is explained', () => {
  const named = [...page.matchAll(/^\| (retry|rewind|rebuild|park|stop|usage) \|/gm)].map((match) => match[1])
  const type = /export type Disposition = ([^\n]*)/.exec(source)?.[1] ?? ''
  expect(named.toSorted()).toEqual([...type.matchAll(/'(\w+)'/g)].map((match) => match[1]).toSorted())
})

test('codes, metrics and headers that it names are there', () => {
  const all = ['src/server/metrics.ts', 'src/runtime/dead-letter.ts', 'src/runtime/worker.ts', 'src/runtime/recover.ts']
    .map((path) => readFileSync(join(root, path), 'utf8'))
    .join('')
  const metrics = [...page.matchAll(/`(millrace_\w+)`/g)].map((match) => match[1] as string)
  expect(metrics.length).toBeGreaterThan(4)
  for (const name of metrics) expect(all.includes(name.replace(/_seconds$/, '')), name).toBe(true)
  for (const [word] of page.matchAll(/STREAM_[A-Z_]+/g)) expect(codes).toContain(word)
  for (const text of ['epoch failed, rewinding to what is committed', 'store set aside', '__streams.errors']) expect(all).toContain(text)
})
