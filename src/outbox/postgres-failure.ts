// What an error of PostgreSQL means, and how its address is shown. Pure.
import { explain, MillraceError } from '../base/errors.ts'
import { unreached } from './source.ts'

/** By class or code: the server is there again later, or the same question may be answered then. */
const PASSES = ['08', '53', '57P', '57014', '40', '55P03', '25006', '58']

/** No SQLSTATE: nobody has answered. */
export function failureOf(name: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const { code } = error as { readonly code?: unknown }
  const state = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null
  const passes = state === null || PASSES.some((start) => state.startsWith(start))
  return unreached(`${name}: ${messageOf(error)}`, passes, error)
}

/** Node tries several addresses of a name, and says nothing but that all failed. */
function messageOf(error: unknown): string {
  const { errors, message } = error as { readonly errors?: readonly unknown[]; readonly message?: string }
  if (message === '' && Array.isArray(errors) && errors.length > 0) return explain(errors[0])
  return explain(error)
}

/** Without the password, also one that stands among the parameters. What is behind the name of the user is hidden up to the last @: a password may
 *  have one that was not escaped. */
export function shown(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^:@/?]*):.*@/i, '$1@').replace(/([?&](?:password|sslpassword)=)[^&]*/gi, '$1[hidden]')
}
