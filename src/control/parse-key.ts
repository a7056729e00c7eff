// A key as people type it.
import { asBuffer } from '../base/bytes.ts'
import { explain, MillraceError } from '../base/errors.ts'
import type { AnySerde } from '../serde/serde.ts'

/** A key as typed: text for a serde that writes text; else JSON where it is JSON that the serde takes, else text. */
export function parseKey(text: string, serde: AnySerde): unknown {
  return parseKeyBytes(text, serde).key
}

/** With its bytes: whether a serde takes a key shows when it writes it. */
export function parseKeyBytes(text: string, serde: AnySerde): { readonly key: unknown; readonly bytes: Buffer } {
  const take = (json: unknown): ReturnType<typeof parseKeyBytes> => {
    const key = serde.fromJson === undefined ? json : serde.fromJson(json)
    return { key, bytes: asBuffer(serde.encode(key)) }
  }
  if (serde.name !== 'string') {
    try {
      return take(JSON.parse(text))
    } catch {
      // then as text
    }
  }
  try {
    return take(text)
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', `the key is refused: ${explain(error)}`, { cause: error })
  }
}
