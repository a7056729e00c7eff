// The error that a call throws, for assertions on code and message.
import { expect } from 'vitest'
import { explain, MillraceError } from '../../src/base/errors.ts'

export function refusal(run: () => unknown): { code: string; message: string; explained: string } {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    const { code, message } = error as MillraceError
    return { code, message, explained: explain(error) }
  }
  throw new Error('nothing was refused')
}
