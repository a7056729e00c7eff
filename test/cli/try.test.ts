// `millrace try` as a process: what comes out, what is refused, how it ends.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COUNT, millrace, type Scratch, scratch, start } from './binary.ts'

let place: Scratch
let file: string

beforeAll(() => {
  place = scratch()
  file = place.write('count.ts', COUNT)
})
afterAll(() => place.remove())

const counted = (key: string, value: number, timestamp: number): string =>
  `{"topic":"out","key":"${key}","value":${value},"timestamp":${timestamp}}`
const record = (key: string, timestamp: number): string => `{"topic":"in","key":"${key}","value":"x","timestamp":${timestamp}}`
const tryLines = (lines: readonly string[], flags: readonly string[] = []) =>
  millrace(['try', file, ...flags], { input: `${lines.join('\n')}\n` })

describe('outputs', () => {
  test('in the order written; a reset begins anew', async () => {
    const ended = await tryLines([record('a', 1), record('b', 2), record('a', 3), '{"reset":true}', record('a', 4)])
    expect(ended).toMatchObject({ status: 0, err: '' })
    expect(ended.out.trim().split('\n')).toEqual([
      counted('a', 1, 1),
      counted('b', 1, 2),
      counted('a', 2, 3),
      '{"reset":true}',
      counted('a', 1, 4),
    ])
  })
  test('commits and crashes change nothing', async () => {
    const plain = [record('a', 1), record('b', 2), record('a', 3), record('b', 4), record('a', 5)]
    const broken = plain.flatMap((line, i) => [line, i % 2 === 0 ? '{"crash":true}' : '{"commit":true}'])
    const [one, other] = await Promise.all([
      tryLines(plain, ['--partitions', '3']),
      tryLines([...broken, '{"crash":true}'], ['--partitions', '3']),
    ])
    expect(one.status).toBe(0)
    expect(other).toEqual(one)
  })
  test('a record without a timestamp gets the wall clock', async () => {
    const ended = await tryLines(['{"topic":"in","key":"a","value":"x"}', '{"advance":"30s"}', '{"topic":"in","key":"a","value":"x"}'])
    expect(ended.out.trim().split('\n')).toEqual([counted('a', 1, 0), counted('a', 2, 30_000)])
  })
  test('BOM, CRLF, empty lines, no line end at the end', async () => {
    const ended = await millrace(['try', file], { input: `\ufeff${record('a', 1)}\r\n\r\n  \n${record('a', 2)}` })
    expect(ended).toEqual({ status: 0, signal: null, err: '', out: `${counted('a', 1, 1)}\n${counted('a', 2, 2)}\n` })
  })
  test('int64 beyond 2^53 as digits, headers and tombstones pass', async () => {
    const ended = await tryLines([
      '{"topic":"numbers","key":"a","value":"9223372036854775807","timestamp":1}',
      '{"topic":"echo","key":"b","value":{"a":[1]},"timestamp":2,"headers":{"h":"\u00e9"}}',
      '{"topic":"echo","key":"b","value":null,"timestamp":3}',
    ])
    expect(ended.err).toBe('')
    expect(ended.out.trim().split('\n')).toEqual([
      '{"topic":"numbered","key":"a","value":"9223372036854775807","timestamp":1}',
      '{"topic":"echoed","key":"b","value":{"a":[1]},"timestamp":2,"headers":{"h":"\u00e9"}}',
      '{"topic":"echoed","key":"b","value":null,"timestamp":3}',
    ])
  })
  test('what the file prints goes to stderr', async () => {
    const loud = place.write('loud.ts', `console.log('hello')\n${COUNT}`)
    const ended = await millrace(['try', loud], { input: record('a', 1) })
    expect(ended).toEqual({ status: 0, signal: null, out: `${counted('a', 1, 1)}\n`, err: 'hello\n' })
  })
})

describe('refused, after what came before is shown', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{"topic":"nope","key":"a","value":"x"}', /line 2: the topology reads no topic "nope"; it reads in, echo, numbers/],
    ['{"topic":"in","key":"a","value":5}', /line 2: the value is refused: string\(\)/],
    ['{"topic":"in","key":5,"value":"x"}', /line 2: the key is refused: string\(\)/],
    ['{"topic":"numbers","key":"a","value":9007199254740992}', /line 2: the value is refused: int64\(\)/],
    ['{"topic":"in","key":"a","value":"x","partition":1}', /line 2: partition 1 is out of range: there is 1/],
    ['{"topic":"in","key":"a","value":"x","when":1}', /line 2: unknown field "when"/],
    ['{"advance":"1y"}', /line 2: advance/],
    ['nonsense', /line 2: not JSON/],
    [`{"topic":"in","key":"a","value":"${'x'.repeat(1_000_001)}"}`, /line 2: the record has 1000002 bytes, over the limit/],
  ]
  for (const [line, why] of cases) {
    test(line.slice(0, 60), async () => {
      const ended = await tryLines([record('a', 1), line, record('a', 2)])
      expect(ended.err).toMatch(why)
      expect(ended.err.trim().split('\n')).toHaveLength(1)
      expect(ended).toMatchObject({ status: 2, out: `${counted('a', 1, 1)}\n` })
    })
  }
})

describe('streams', () => {
  test('a reader that leaves ends it quietly', async () => {
    const { child, ended } = start(['try', file])
    child.stdout?.once('data', () => child.stdout?.destroy())
    const block = `${Array.from({ length: 2_000 }, (_, i) => record(`k${i}`, i)).join('\n')}\n{"commit":true}\n`
    let writing = true
    child.on('exit', () => {
      writing = false
    })
    while (writing)
      if (!child.stdin?.write(block))
        await new Promise((resolve) => (writing ? child.stdin?.once('drain', resolve) && child.once('exit', resolve) : resolve(null)))
    expect(await ended).toMatchObject({ status: 0, err: '' })
  })
  test('outputs come while the input is still open, without a commit', async () => {
    const { child, ended } = start(['try', file])
    child.stdin?.write(`${Array.from({ length: 25_000 }, (_, i) => record(`k${i % 7}`, i)).join('\n')}\n`)
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.stdin?.end()
    const { status, out } = await ended
    expect(status).toBe(0)
    expect(out.trim().split('\n')).toHaveLength(25_000)
  })
})
