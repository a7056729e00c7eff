// What the stores in this state directory hold: the serdes of their rows and the kind of operator that wrote them. Under another form the
// old rows could not be read, and each record that meets one would become a dead letter: so that is refused before anything is read.
//
// 1. Written when the topology was taken, read before anything is made. A directory that is new knows nothing and refuses nothing.
// 2. Only stores that are in both are looked at: one that is new begins empty (a warning tells when records are behind it), one that is
//    gone is kept, and goes on where it was when it comes back.
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { FED_BY, storeForms } from '../topology/fingerprint.ts'
import type { Plan } from '../topology/plan-types.ts'
import { readNotes, writeNotes } from './state-notes.ts'

export const STORE_NOTES = 'stores.json'
const ABOUT = 'stores as they are'

/** `dir`: the application's, in the state directory. */
export function refuseOtherForms(plan: Plan, dir: string): void {
  const known = readNotes(join(dir, STORE_NOTES), ABOUT)
  for (const [store, form] of storeForms(plan)) {
    const before = known.get(store)
    if (before === undefined || before === form) continue
    if (before.split(FED_BY)[0] === form.split(FED_BY)[0]) throw otherLog(store, before, form)
    throw new MillraceError(
      'STREAM_TOPOLOGY',
      `store ${store} holds ${before}, and in this topology it is ${form}: its rows could not be read; give it another name, and it begins ` +
        'empty, or reset the application',
    )
  }
}

/** Whether this disk has had a store of the name. */
export function isKnownStore(dir: string): (store: string) => boolean {
  const known = readNotes(join(dir, STORE_NOTES), ABOUT)
  return (store) => known.has(store)
}

export function rememberForms(plan: Plan, dir: string): void {
  const file = join(dir, STORE_NOTES)
  writeNotes(file, [...readNotes(file, ABOUT), ...storeForms(plan)])
}

/** The rows could be read, but how far they go is told by offsets of another topic. */
function otherLog(store: string, before: string, form: string): MillraceError {
  const of = (text: string): string => {
    const topic = text.split(FED_BY)[1]
    return topic === undefined ? 'from a changelog of its own' : `from the topic ${topic}`
  }
  // A changelog under another name would have no rows, either.
  const renamed = before.includes(FED_BY) ? '' : ', give the store another name'
  return new MillraceError(
    'STREAM_TOPOLOGY',
    `store ${store} is kept ${of(before)}, and in this topology ${of(form)} (optimize): how far its rows go would be lost; leave optimize as it ` +
      `was${renamed}, or reset the application`,
  )
}
