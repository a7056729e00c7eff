// windowed(key, size), sessionWindowed(key): the bytes of Kafka Streams' TimeWindowedSerializer and SessionWindowedSerializer.
//
// Layout: time windows key, int64 start; sessions key, int64 end, int64 start. A time window's end is not written: it is start + size.
import { asBuffer } from '../base/bytes.ts'
import { type Duration, durationMs } from '../base/duration.ts'
import type { Windowed } from '../base/window.ts'
import { refuseBytes, refuseValue } from './refuse.ts'
import type { AnySerde, Serde } from './serde.ts'

export interface WindowedSerde<K> extends Serde<Windowed<K>> {
  /** Of the key without its window: it decides the partition. */
  readonly inner: Serde<K>
}

/** Keys of tumbling, hopping (size: the window's) and sliding windows (size: the difference). */
export function windowed<K>(key: Serde<K>, size: Duration): WindowedSerde<K> {
  const sizeMs = durationMs(size, 'windowed: size')
  return Object.freeze({
    name: `windowed:${key.name ?? 'custom'}:${sizeMs}`,
    inner: key,
    ...preparedAs(key),
    encode(value: Windowed<K>): Buffer {
      const start = checkWindowed('windowed()', value).start
      return withTimes(asBuffer(key.encode(value.key)), start)
    },
    decode(bytes: Uint8Array): Windowed<K> {
      const [at, start = 0] = timesOf('windowed()', bytes, 1)
      return { key: key.decode(bytes.subarray(0, at)), start, end: start + sizeMs }
    },
    ...textForm(key),
  })
}

export function sessionWindowed<K>(key: Serde<K>): WindowedSerde<K> {
  return Object.freeze({
    name: `sessionWindowed:${key.name ?? 'custom'}`,
    inner: key,
    ...preparedAs(key),
    encode(value: Windowed<K>): Buffer {
      const { start, end } = checkWindowed('sessionWindowed()', value)
      return withTimes(asBuffer(key.encode(value.key)), end, start)
    },
    decode(bytes: Uint8Array): Windowed<K> {
      const [at, end = 0, start = 0] = timesOf('sessionWindowed()', bytes, 2)
      return { key: key.decode(bytes.subarray(0, at)), start, end }
    },
    ...textForm(key),
  })
}

/** What a serde of keys with windows takes over of the key's own. */
export function preparedAs(key: AnySerde): Pick<AnySerde, 'prepare' | 'rewrites'> {
  const { prepare, rewrites } = key
  return {
    ...(prepare === undefined ? {} : { prepare: (topic, half) => prepare.call(key, topic, half) }),
    ...(rewrites === undefined ? {} : { rewrites }),
  }
}

export function isWindowedSerde(serde: AnySerde): serde is WindowedSerde<unknown> {
  return 'inner' in serde && !('rows' in serde)
}

function checkWindowed(serde: string, value: unknown): Windowed<unknown> {
  const { start, end } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Windowed<unknown>>
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && (start as number) >= 0) return value as Windowed<unknown>
  throw refuseValue(serde, 'a windowed key {key, start, end}', value)
}

function withTimes(key: Buffer, ...times: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(key.length + 8 * times.length)
  key.copy(bytes)
  let at = key.length
  for (const time of times) at = bytes.writeBigInt64BE(BigInt(time), at)
  return bytes
}

/** Where the times begin, and the times. */
function timesOf(serde: string, bytes: Uint8Array, count: number): readonly [at: number, ...times: number[]] {
  const at = bytes.length - 8 * count
  if (at < 0) throw refuseBytes(serde, `${bytes.length} bytes are too few for a windowed key`)
  const buffer = asBuffer(bytes)
  const times = Array.from({ length: count }, (_, i) => Number(buffer.readBigInt64BE(at + 8 * i)))
  if (times.some((time) => !Number.isSafeInteger(time))) throw refuseBytes(serde, 'the times are no epoch ms')
  return [at, ...times]
}

const TEXT = /^(.*)@(\d{1,15})-(\d{1,15})$/s

/** As JSON a windowed key is the text `key@start-end`. */
export function textForm<K>(key: Serde<K>): Required<Pick<Serde<Windowed<K>>, 'toJson' | 'fromJson'>> {
  return {
    toJson({ key: inner, start, end }) {
      const json = key.toJson === undefined ? inner : key.toJson(inner)
      return `${typeof json === 'string' ? json : JSON.stringify(json)}@${start}-${end}`
    },
    fromJson(json) {
      const match = typeof json === 'string' ? TEXT.exec(json) : null
      if (match === null) throw refuseValue('a windowed key', 'text like key@start-end', json)
      const [, text = '', start, end] = match
      return { key: innerOf(key, text), start: Number(start), end: Number(end) }
    },
  }
}

/** As `query` takes keys: text for a serde of text; else JSON where it is JSON that the serde takes, else text. */
function innerOf<K>(serde: Serde<K>, text: string): K {
  const take = (json: unknown): K => {
    const key = serde.fromJson === undefined ? (json as K) : serde.fromJson(json)
    serde.encode(key)
    return key
  }
  if (serde.name === 'string') return take(text)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return take(text)
  }
  return take(json)
}
