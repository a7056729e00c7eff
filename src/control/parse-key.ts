// A key as people type it.
import { explain, MillraceError } from '../base/errors.ts'
import type { AnySerde } from '../serde/serde.ts'

/** A key as typed: text for a serde that writes text; else JSON where it is JSON that the serde takes, else text. */
export function parseKey(text: string, serde: AnySerde): unknown {
  const take = (json: unknown): unknown => {
    const key = serde.fromJson === undefined ? json : serde.fromJson(json)
    serde.encode(key)
    return key
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
