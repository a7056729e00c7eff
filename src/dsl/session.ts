// `session` says two things: windows that end with a silence, and a store of sessions for processors. What it is given tells which.
import type { Duration } from '../base/duration.ts'
import type { SessionWindows } from '../base/window.ts'
import type { SessionStore } from '../topology/processor.ts'
import { refuse } from './check.ts'
import { type SessionDeclaration, type StoreDeclaration, sessionStore } from './stores.ts'
import { type GraceOptions, session as sessionWindows } from './windows.ts'

/** Windows of records with no silence longer than `gap` between them. */
export function session(gap: Duration, options?: GraceOptions): SessionWindows
/** A store of sessions, for `t.store`. */
export function session<K = unknown, V = unknown>(options: SessionDeclaration<K, V>): StoreDeclaration<SessionStore<K, V>>
export function session(first: Duration | SessionDeclaration<unknown, unknown>, options?: GraceOptions): unknown {
  if (typeof first !== 'object' || first === null) return sessionWindows(first, options)
  if (options !== undefined) refuse('session', 'a store takes one object: session({name, retention, ...})')
  return sessionStore(first)
}
