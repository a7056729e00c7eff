// What the stores in this state directory hold: the serdes of their rows and the kind of operator that wrote them. Under another form the
// old rows could not be read, and each record that meets one would become a dead letter: so that is refused before anything is read.
//
// 1. Written when the topology was taken, read before anything is made. A directory that is new knows nothing and refuses nothing.
// 2. Only stores that are in both are looked at: one that is new begins empty (a warning tells when records are behind it), one that is
//    gone is kept, and goes on where it was when it comes back.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { storeForms } from '../topology/fingerprint.ts'
import type { Plan } from '../topology/plan-types.ts'

const FILE = 'stores.json'

/** `dir`: the application's, in the state directory. */
export function refuseOtherForms(plan: Plan, dir: string): void {
  const known = readForms(join(dir, FILE))
  for (const [store, form] of storeForms(plan)) {
    const before = known.get(store)
    if (before === undefined || before === form) continue
    throw new MillraceError(
      'STREAM_TOPOLOGY',
      `store ${store} holds ${before}, and in this topology it is ${form}: its rows could not be read; give it another name, and it begins ` +
        'empty, or reset the application',
    )
  }
}

export function rememberForms(plan: Plan, dir: string): void {
  const file = join(dir, FILE)
  const forms = new Map([...readForms(file), ...storeForms(plan)])
  if (forms.size === 0) return
  writeFileSync(`${file}.new`, `${JSON.stringify(Object.fromEntries(forms), null, 1)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

function readForms(file: string): ReadonlyMap<string, string> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, string>))
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', `${file} is damaged: delete it to go on with the stores as they are`, { cause: error })
  }
}
