// The grammar of input lines: what is taken, what is refused and how it is told, and lines cut at any byte.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Line, lineBatches } from '../../src/control/lines.ts'
import { parseLine } from '../../src/control/ndjson.ts'

const line = (text: string | Buffer, number = 7): Line => ({ number, bytes: Buffer.from(text) })

async function* cut(bytes: Buffer, at: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0
  for (const to of [...at].sort((a, b) => a - b)) {
    if (to > from && to < bytes.length) {
      yield bytes.subarray(from, to)
      from = to
    }
  }
  yield bytes.subarray(from)
}

async function collect(bytes: Buffer, at: readonly number[], max?: number): Promise<Line[]> {
  const lines: Line[] = []
  for await (const batch of lineBatches(cut(bytes, at), max)) lines.push(...batch)
  return lines
}

describe('lines', () => {
  test('come out the same wherever the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-z{}"é€]{0,8}$/)),
        fc.array(fc.nat(200)),
        fc.boolean(),
        fc.boolean(),
        async (texts, at, crlf, ended) => {
          const end = crlf ? '\r\n' : '\n'
          const bytes = Buffer.from(texts.join(end) + (ended && texts.length > 0 ? end : ''))
          const expected = texts.map((text, i) => `${i + 1} ${text}`)
          // a last empty text without its line end is no line
          if (!ended && texts.at(-1) === '') expected.pop()
          expect((await collect(bytes, at)).map((l) => `${l.number} ${l.bytes.toString()}`)).toEqual(expected)
        },
      ),
      { numRuns: 300 },
    )
  })
  test('a byte order mark belongs to nobody, at the start only', async () => {
    const lines = await collect(Buffer.from('\ufeffa\n\ufeffb'), [1, 2])
    expect(lines.map((l) => l.bytes.toString())).toEqual(['a', '\ufeffb'])
  })
  test('too long a line is named after those before it', async () => {
    const seen: number[] = []
    const read = async (): Promise<void> => {
      for await (const batch of lineBatches(cut(Buffer.from('ab\ncd\nefghijk\nl'), [8]), 6)) seen.push(...batch.map((l) => l.number))
    }
    await expect(read()).rejects.toThrow('line 3: longer than the limit of 6 bytes')
    expect(seen).toEqual([1, 2])
  })
})

describe('taken', () => {
  test('records', () => {
    expect(parseLine(line('{"topic":"a","key":"k","value":{"n":1},"timestamp":5,"partition":2,"headers":{"h":"x"}}'))).toEqual({
      kind: 'record',
      number: 7,
      topic: 'a',
      key: 'k',
      value: { n: 1 },
      timestamp: 5,
      partition: 2,
      headers: [['h', Buffer.from('x')]],
    })
    expect(parseLine(line('{"topic":"a","value":null}'))).toMatchObject({
      key: null,
      value: null,
      timestamp: null,
      partition: null,
      headers: [],
    })
  })
  test('commands', () => {
    expect(parseLine(line('{"advance":"30s"}'))).toEqual({ kind: 'advance', number: 7, ms: 30_000 })
    for (const kind of ['commit', 'crash', 'reset']) expect(parseLine(line(`{"${kind}":true}`))).toEqual({ kind, number: 7 })
  })
  test('empty lines, blanks', () => {
    expect(parseLine(line(''))).toBeNull()
    expect(parseLine(line(' \t'))).toBeNull()
  })
  test('numbers that a double holds', () => {
    for (const n of [
      '9007199254740991',
      '-9007199254740991',
      '1e20',
      '100000000000000000000',
      '0.1234567890123456789',
      '1152921504606847000',
    ]) {
      expect(parseLine(line(`{"topic":"a","value":${n}}`)), n).toMatchObject({ value: Number(n) })
    }
  })
  test('nesting up to the limit, brackets in text do not count', () => {
    expect(parseLine(line(`{"topic":"a","value":${'['.repeat(64)}${']'.repeat(64)}}`))).not.toBeNull()
    expect(parseLine(line(`{"topic":"a","value":"${'[{'.repeat(100)}\\"["}`))).not.toBeNull()
  })
})

describe('refused', () => {
  const cases: readonly (readonly [string | Buffer, RegExp])[] = [
    ['{"topic":"a","value":1,"timestmp":5}', /^line 7: unknown field "timestmp" \(did you mean "timestamp"\?\)$/],
    ['{"value":1}', /no "topic" and no command/],
    ['{"comit":true}', /unknown field or command "comit" \(did you mean "commit"\?\)/],
    ['{"commit":true,"crash":true}', /unknown field "crash" beside the command "commit"/],
    ['{"commit":false}', /"commit" takes true/],
    ['{"reset":1}', /"reset" takes true/],
    ['{"advance":"5 minutes"}', /advance: "5 minutes" is no duration/],
    ['{"advance":-1}', /advance/],
    ['{"advance":true}', /advance/],
    ['{"topic":5,"value":1}', /"topic" must be text/],
    ['{"topic":"a"}', /"value" is missing/],
    ['{"topic":"a","value":1,"timestamp":-1}', /"timestamp" must be whole/],
    ['{"topic":"a","value":1,"timestamp":1.5}', /"timestamp" must be whole/],
    ['{"topic":"a","value":1,"timestamp":"5"}', /"timestamp" must be whole/],
    ['{"topic":"a","value":1,"timestamp":null}', /"timestamp" must be whole/],
    ['{"topic":"a","value":1,"timestamp":9007199254740993}', /rounded/],
    ['{"topic":"a","value":1,"partition":-1}', /"partition" must be/],
    ['{"topic":"a","value":1,"partition":0.5}', /"partition" must be/],
    ['{"topic":"a","value":1,"headers":[]}', /"headers" must be an object/],
    ['{"topic":"a","value":1,"headers":{"h":1}}', /header "h" must be text/],
    ['{"topic":"a","value":9007199254740993}', /a whole number beyond 2\^53 would be rounded/],
    ['{"topic":"a","value":{"deep":[-12345678901234567890]}}', /rounded/],
    ['{"topic":"a","value":1e999}', /beyond what a double can hold/],
    ['{"topic":"a","__proto__":{},"value":1}', /unknown field "__proto__"/],
    ['{"topic":"a",', /not JSON/],
    ['[1]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['5', /not a JSON object/],
    [`{"topic":"a","value":${'['.repeat(65)}${']'.repeat(65)}}`, /nested deeper than the limit of 64/],
    [`{"topic":"a","value":"${'x'.repeat(9 * 1024 * 1024)}"}`, /JSON longer than the limit/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
  ]
  for (const [text, why] of cases) {
    test(String(text).slice(0, 70), () => {
      expect(() => parseLine(line(text))).toThrow(expect.objectContaining({ code: 'STREAM_USAGE', message: expect.stringMatching(why) }))
    })
  }
  test('the value of a record is never quoted', () => {
    expect(() => parseLine(line('{"topic":"a","value":"s3cret",}'))).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('s3cret') }),
    )
  })
})
