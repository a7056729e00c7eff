// What the stores in this state directory hold: the serdes of their rows and the kind of operator that wrote them. Under another form the
// old rows could not be read, and each record that meets one would become a dead letter: so that is refused before anything is read.
//
// 1. Written when the topology was taken, read before anything is made. A directory that is new knows nothing and refuses nothing.
// 2. Only stores that are in both are looked at: one that is new begins empty (a warning tells when records are behind it), one that is
//    gone is kept, and goes on where it was when it comes back.
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { storeForms } from '../topology/fingerprint.ts'
import type { Plan } from '../topology/plan-types.ts'
import { readNotes, writeNotes } from './state-notes.ts'

const FILE = 'stores.json'
const ABOUT = 'stores as they are'

/** `dir`: the application's, in the state directory. */
export function refuseOtherForms(plan: Plan, dir: string): void {
  const known = readNotes(join(dir, FILE), ABOUT)
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
  writeNotes(file, [...readNotes(file, ABOUT), ...storeForms(plan)])
}
