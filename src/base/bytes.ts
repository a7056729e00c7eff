// Byte helpers for keys and values. Inside the house all bytes are Buffers; what users hand in is wrapped, never copied.

declare global {
  interface Buffer {
    /** Node's own; the typings leave it out. Faster than toString('latin1'), which looks the encoding up first. */
    latin1Slice(start: number, end: number): string
  }
}

export const EMPTY: Buffer = Buffer.alloc(0)

/** A view of the same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A string with one character a byte: equal strings = equal bytes, and `<` on it is the order of the bytes. For Map keys. */
export function keyText(bytes: Buffer): string {
  return bytes.latin1Slice(0, bytes.length)
}

/** The bytes behind `keyText`. */
export function keyBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** The smallest key greater than every key with this prefix, or null when there is none (all 0xff). */
export function prefixEnd(prefix: Buffer): Buffer | null {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] as number
    if (byte === 0xff) continue
    const end = Buffer.from(prefix.subarray(0, i + 1))
    end[i] = byte + 1
    return end
  }
  return null
}

export function sameBytes(a: Buffer | null, b: Buffer | null): boolean {
  return a === b || (a !== null && b !== null && a.equals(b))
}
