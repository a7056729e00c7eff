// Exact Avro numbers.
//
// Longs: avsc does arithmetic in doubles on the zigzag form, which is twice as large as the value: below -2^52 its own
// type writes and reads another number, often of the other sign, without an error. Here such values go the long way, through bigint.
// What is said of a value's kind and range stays avsc's: whole numbers within 2^53 - 2 of 0, everything else refused.
//
// Floats and doubles as JSON: NaN and the infinities are text, as in float64(); avsc would give null.
import type { Type } from 'avsc'

type Avsc = typeof import('avsc')

/** avsc's cursor over bytes; writes beyond the end count only, and avsc then begins again with more room. */
interface Tap {
  readonly buf: Buffer
  pos: number
  readLong(): number
  writeLong(value: number): void
}

interface Internals {
  _read(tap: Tap): unknown
  _write(tap: Tap, value: unknown): void
  _copy(value: unknown, options?: { readonly coerce?: number }): unknown
  _update(resolver: { _read: ((tap: Tap) => unknown) | null }, writer: Type, options: unknown): void
}

const DIRECT = 2 ** 52
const FROM_JSON = 2
const TO_JSON = 3
const SPECIAL: ReadonlyMap<unknown, number> = new Map(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((n) => [String(n), n]),
)

/** A wrong sum is at least 2^52 off 0, for so is the value itself: what is nearer is right. */
function readExact(tap: Tap): number | bigint {
  const start = tap.pos
  const direct = tap.readLong()
  if (direct > -DIRECT && direct < DIRECT) return direct
  let zigzag = 0n
  for (let at = start, shift = 0n; at < tap.pos; at++, shift += 7n) zigzag |= BigInt((tap.buf[at] ?? 0) & 0x7f) << shift
  return BigInt.asIntN(64, zigzag & 1n ? -(zigzag >> 1n) - 1n : zigzag >> 1n)
}

function writeExact(tap: Tap, value: number): void {
  let zigzag = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  for (; zigzag > 0x7fn; zigzag >>= 7n) tap.buf[tap.pos++] = Number(zigzag & 0x7fn) | 0x80
  tap.buf[tap.pos++] = Number(zigzag)
}

function over(type: Type, methods: (base: Internals) => Partial<Internals>): Type {
  const base = type as unknown as Internals
  // avsc freezes its primitive types; an object before it keeps all it is, but for these methods.
  return Object.create(type, Object.getOwnPropertyDescriptors(methods(base))) as Type
}

/** Types that take the place of avsc's long, and of its float and double, which may be promoted from long. */
export function exactTypes(avsc: Avsc): ReadonlyMap<unknown, Type> {
  const long = over(new avsc.types.LongType(), (base) => ({
    _read(tap) {
      const value = readExact(tap)
      if (!Number.isSafeInteger(Number(value)) || !long.isValid(Number(value))) throw new RangeError('a long that no number holds exactly')
      return Number(value)
    },
    _write(tap, value) {
      if (typeof value === 'number' && value <= -DIRECT && long.isValid(value)) writeExact(tap, value)
      else base._write.call(long, tap, value)
    },
  }))
  const floating = (type: Type): Type =>
    over(type, (base) => ({
      _copy(value, options) {
        if (options?.coerce === TO_JSON && typeof value === 'number' && !Number.isFinite(value)) return String(value)
        return base._copy.call(this, options?.coerce === FROM_JSON ? (SPECIAL.get(value) ?? value) : value, options)
      },
      _update(resolver, writer, options) {
        base._update.call(this, resolver, writer, options)
        if (writer.typeName === 'long') resolver._read = (tap) => Number(readExact(tap))
      },
    }))
  return new Map([
    ['long', long],
    ['float', floating(new avsc.types.FloatType())],
    ['double', floating(new avsc.types.DoubleType())],
  ])
}
