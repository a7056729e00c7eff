// The stores of one processor by name: those that users declared, and those of tables that it reads.
import { asBuffer } from '../../base/bytes.ts'
import { MillraceError } from '../../base/errors.ts'
import type { Borrowed, ProcessNode, StoreSpec } from '../../topology/node.ts'
import type { Site } from '../operator.ts'
import type { Life } from '../processor-life.ts'
import { VersionRows } from '../version-rows.ts'
import { globalStore, tableSessions, tableStore, tableWindows } from './borrowed.ts'
import { keyValueStore } from './key-value.ts'
import { sessionStore } from './session.ts'
import { readSite, type StoreSite, storeSite } from './site.ts'
import { versionedStore } from './versioned.ts'
import { windowStore } from './window.ts'

export function storesOf(site: Site, { stores, readOnly, borrowed }: ProcessNode, life: Life): ReadonlyMap<string, unknown> {
  const made = new Map<string, unknown>()
  // Histories of versioned stores lie behind the stores, in their order.
  let history = stores.length
  for (const [i, spec] of stores.entries()) {
    const of = borrowed.find((one) => one.spec === spec)
    const at = storeSite(site.store(i), life, site, of !== undefined || readOnly.includes(spec.name))
    const older = spec.form?.kind === 'versioned' ? site.store(history++) : null
    if (spec.form?.kind === 'versioned' && older !== null)
      made.set(spec.name, versionedStore(at, new VersionRows(at.view, older, spec.form.retentionMs)))
    else made.set(spec.name, of === undefined ? declaredStore(site, at, spec) : borrowedStore(at, of))
  }
  for (const of of borrowed) {
    if (of.rows !== 'global') continue
    made.set(
      of.spec.name,
      globalStore(
        readSite(of.spec.name, life, (key) => asBuffer(of.spec.key.encode(key))),
        site,
        of,
      ),
    )
  }
  return made
}

function declaredStore(site: Site, at: StoreSite, { form }: StoreSpec): unknown {
  switch (form?.kind) {
    case 'keyValue':
      return keyValueStore(at, form.ttlMs)
    case 'window':
      return windowStore(at, form.sizeMs, form.retentionMs)
    case 'session':
      return sessionStore(at, form.retentionMs)
    default:
      throw new MillraceError('STREAM_INTERNAL', `${site.node.name}: the store ${at.view.name} is none for a processor`)
  }
}

function borrowedStore(at: StoreSite, of: Borrowed): unknown {
  if (of.rows === 'windows') return tableWindows(at, of)
  return of.rows === 'sessions' ? tableSessions(at, of) : tableStore(at, of.rows)
}
