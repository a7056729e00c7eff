// `millrace query`: the committed value of a key, as one line of JSON; or rows, windows and versions as lines {"key", "value"}. No row of a
// key: status 1 and nothing on stdout. Asks whoever has the records here, or with --url a process by HTTP.
import { MillraceError } from '../base/errors.ts'
import type { RowsAsk } from '../control/rows.ts'
import { jsonText } from '../control/serdes.ts'
import { tokenOf } from './options.ts'
import { outputTo } from './output.ts'
import { type ReachFlags, reach } from './reach.ts'
import { type RowsControl, remoteRows } from './remote.ts'

export interface QueryFlags extends ReachFlags {
  readonly from?: string
  readonly to?: string
  readonly prefix?: string
  readonly windows?: boolean
  readonly keyFrom?: string
  readonly keyTo?: string
  readonly versions?: boolean
  readonly asOf?: string
  readonly limit?: number
  readonly url?: string
}

export async function query(store: string, key: string | undefined, flags: QueryFlags): Promise<void> {
  const ask = askOf(key, flags)
  const reached = await reachRows(flags)
  try {
    const output = outputTo(process.stdout)
    let rows = 0
    if (ask === null) {
      const row = await reached.control.query(store, key as string)
      if (row !== null) output.line(jsonText(row.value))
      rows = row === null ? 0 : 1
    } else {
      for await (const lines of reached.control.rows(store, ask, flags.limit ?? Number.MAX_SAFE_INTEGER)) {
        for (const line of lines) output.line(line)
        rows += lines.length
        await output.flush()
      }
    }
    await output.flush()
    if (rows === 0 && (ask === null || ask.form === 'asOf'))
      throw new MillraceError('STREAM_USAGE', `store ${store} has no row for this key`, { disposition: 'stop' })
  } finally {
    await reached.close()
  }
}

async function reachRows(flags: QueryFlags): Promise<{ readonly control: RowsControl; close(): Promise<void> }> {
  const { url } = flags
  if (url === undefined) {
    if (flags.tokenFile !== undefined) throw usage('--token-file goes with --url')
    return await reach(flags, false)
  }
  for (const [flag, given] of Object.entries({ '--brokers': flags.brokers, '--state-dir': flags.stateDir, '--topology': flags.topology }))
    if (given !== undefined) throw usage(`--url asks a process that runs: leave out ${flag}`)
  return { control: remoteRows(url, tokenOf(flags, process.env)), close: async () => {} }
}

/** Null: the value of the key. */
function askOf(key: string | undefined, flags: QueryFlags): RowsAsk | null {
  const { from, to, prefix, windows, keyFrom, keyTo, versions, asOf } = flags
  const given = (fields: Record<string, unknown>): any =>
    Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined))
  const forms = [windows === true && '--windows', versions === true && '--versions', asOf !== undefined && '--as-of'].filter(Boolean)
  if (forms.length > 1) throw usage(`${forms.join(' and ')}: take one of them`)
  if (windows !== true && (keyFrom !== undefined || keyTo !== undefined)) throw usage('--key-from and --key-to go with --windows')
  if (prefix !== undefined && (forms.length > 0 || key !== undefined))
    throw usage('--prefix is of all rows: leave out the key and the other ways to ask')
  if (windows === true) {
    if (key !== undefined && (keyFrom !== undefined || keyTo !== undefined)) throw usage('--key-from and --key-to: leave out the key')
    return given({ form: 'windows', key, keyFrom, keyTo, from: timeOf('--from', from), to: timeOf('--to', to) })
  }
  if (versions === true || asOf !== undefined) {
    if (key === undefined) throw usage(`${forms[0]} is of one key: name it`)
    if (asOf === undefined) return given({ form: 'versions', key, from: timeOf('--from', from), to: timeOf('--to', to) })
    if (from !== undefined || to !== undefined) throw usage('--as-of is one time: leave out --from and --to')
    return { form: 'asOf', key, at: timeOf('--as-of', asOf) as number }
  }
  if (key === undefined) return given({ form: 'range', from, to, prefix })
  if (from !== undefined || to !== undefined)
    throw usage('--from and --to are of a range, of --windows or of --versions: leave out the key, or add one of those')
  return null
}

function timeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw usage(`${flag} must be a time in epoch ms, not ${JSON.stringify(text)}`)
}

function usage(message: string): MillraceError {
  return new MillraceError('STREAM_USAGE', `query: ${message}`)
}
