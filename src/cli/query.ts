// `millrace query`: the committed value of a key, as one line of JSON. No row: status 1 and nothing on stdout.
import { MillraceError } from '../base/errors.ts'
import { exactBigint } from '../control/serdes.ts'
import { outputTo } from './output.ts'
import { type ReachFlags, reach } from './reach.ts'

export async function query(store: string, key: string, flags: ReachFlags): Promise<void> {
  const reached = await reach(flags, false)
  try {
    const row = await reached.control.query(store, key)
    if (row === null) throw new MillraceError('STREAM_USAGE', `store ${store} has no row for this key`, { disposition: 'stop' })
    const output = outputTo(process.stdout)
    output.line(JSON.stringify(row.value, exactBigint))
    await output.flush()
  } finally {
    await reached.close()
  }
}
