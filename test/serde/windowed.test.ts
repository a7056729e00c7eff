// Windowed keys: the bytes of Kafka Streams' serializers (as 4.3.0 gave them), and their text form.
import { describe, expect, it } from 'vitest'
import { int64, json, sessionWindowed, string, windowed } from '../../src/index.ts'
import { sessionRows, timeRows } from '../../src/serde/window-rows.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('windowed', () => {
  it('writes the key and the start, as TimeWindowedSerializer does', () => {
    const serde = windowed(string(), '5m')
    const key = { key: 'ab', start: 4_294_967_296 * 3 + 7, end: 4_294_967_296 * 3 + 7 + 300_000 }
    expect(hex(serde.encode(key))).toBe(`6162${'0000000300000007'}`)
    expect(serde.decode(serde.encode(key))).toEqual(key)
    const numbers = windowed(int64(), '5m')
    const number = { key: 1_700_000_000_123, start: 1_700_000_000_000, end: 1_700_000_300_000 }
    expect(hex(numbers.encode(number))).toBe('0000018bcfe5687b0000018bcfe56800')
    expect(hex(serde.encode({ key: '', start: 0, end: 10 }))).toBe('0000000000000000')
  })

  it('writes the key, the end and the start, as SessionWindowedSerializer does', () => {
    const serde = sessionWindowed(string())
    const key = { key: 'ab', start: 5, end: 4_294_967_296 }
    expect(hex(serde.encode(key))).toBe(`6162${'0000000100000000'}${'0000000000000005'}`)
    expect(serde.decode(serde.encode(key))).toEqual(key)
  })

  it('reads views that do not begin at 0 of their memory', () => {
    const serde = windowed(string(), 10)
    const bytes = serde.encode({ key: 'k', start: 20, end: 30 })
    expect(serde.decode(new Uint8Array(Buffer.concat([Buffer.from('xx'), bytes])).subarray(2))).toEqual({ key: 'k', start: 20, end: 30 })
  })

  it('refuses what is no windowed key', () => {
    const serde = windowed(string(), 10)
    expect(() => serde.encode('k' as never)).toThrow(/a windowed key/)
    expect(() => serde.encode({ key: 'k', start: -1, end: 9 })).toThrow(/a windowed key/)
    expect(() => serde.decode(Buffer.from('short'))).toThrow(/too few/)
    expect(() => serde.decode(Buffer.from('617fffffffffffffff', 'hex'))).toThrow(/no epoch ms/)
    expect(() => windowed(string(), '5 minutes' as never)).toThrow(/is no duration/)
  })

  it('is key@start-end as text, both ways', () => {
    const serde = windowed(string(), 10)
    expect(serde.toJson?.({ key: 'a@1-2', start: 20, end: 30 })).toBe('a@1-2@20-30')
    expect(serde.fromJson?.('a@1-2@20-30')).toEqual({ key: 'a@1-2', start: 20, end: 30 })
    const numbers = sessionWindowed(json<number>())
    expect(numbers.toJson?.({ key: 7, start: 20, end: 30 })).toBe('7@20-30')
    expect(numbers.fromJson?.('7@20-30')).toEqual({ key: 7, start: 20, end: 30 })
    expect(() => serde.fromJson?.('a')).toThrow(/key@start-end/)
  })
})

describe('rows', () => {
  it('lie in the order of time and then key, whatever the length of the key', () => {
    const serde = timeRows(string(), 10)
    const keys = [
      { key: 'z', start: 0, end: 10 },
      { key: 'a', start: 255, end: 265 },
      { key: 'ab', start: 255, end: 265 },
      { key: 'b', start: 255, end: 265 },
      { key: '', start: 4_294_967_296, end: 4_294_967_306 },
    ]
    const rows = keys.map((key) => Buffer.from(serde.encode(key)))
    expect(rows.toSorted(Buffer.compare)).toEqual(rows)
    expect(rows.map((row) => serde.decode(row))).toEqual(keys)
  })

  it('of sessions lie in the order of their ends', () => {
    const serde = sessionRows(string())
    const keys = [
      { key: 'z', start: 0, end: 10 },
      { key: 'a', start: 3, end: 11 },
      { key: 'a', start: 300, end: 300 },
    ]
    const rows = keys.map((key) => Buffer.from(serde.encode(key)))
    expect(rows.toSorted(Buffer.compare)).toEqual(rows)
    expect(rows.map((row) => serde.decode(row))).toEqual(keys)
    expect(() => serde.decode(Buffer.of(2, 0, 0))).toThrow(/no window/)
  })
})
