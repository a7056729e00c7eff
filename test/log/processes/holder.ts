// A process that opens an embedded log, says so, and holds it until its standard input ends. When it cannot, it writes the error.
import { writeSync } from 'node:fs'
import { MillraceError } from '../../../src/base/errors.ts'
import { systemWorld } from '../../../src/base/system.ts'
import { openEmbeddedLog } from '../../../src/log/embedded/index.ts'

try {
  const log = await openEmbeddedLog({ dir: process.argv[2] ?? '', world: systemWorld() })
  writeSync(1, 'open\n')
  for await (const _ of process.stdin);
  await log.close()
  writeSync(1, 'closed\n')
} catch (error) {
  writeSync(1, `${error instanceof MillraceError ? `${error.code} ${error.message}` : String(error)}\n`)
  process.exitCode = 1
}
