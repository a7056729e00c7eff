// Where the control socket lies, and how to name it: a Unix socket's path has room for about a hundred bytes, a state directory
// may lie deeper.
//
// 1. Only the named state directory is touched; a longer way in is a symbolic link in a private temporary folder, gone at once.
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { SOCKET_NAME } from './wire.ts'

/** sun_path: 108 bytes with its end on Linux, 104 elsewhere. */
const PATH_BYTES_MAX = 103

/** Calls `use` with a path that the socket can be bound or reached by; it is good until what `use` returns has settled. */
export async function withSocketPath<T>(stateDir: string, use: (path: string) => Promise<T>): Promise<T> {
  const folder = resolve(stateDir)
  const direct = join(folder, SOCKET_NAME)
  if (Buffer.byteLength(direct) <= PATH_BYTES_MAX) return await use(direct)
  const short = mkdtempSync(join(tmpdir(), 'millrace-'))
  try {
    symlinkSync(folder, join(short, 's'))
    return await use(join(short, 's', SOCKET_NAME))
  } finally {
    rmSync(short, { recursive: true, force: true })
  }
}
