// The binary. Parses the words, runs one command, and ends with its status: 0 done, 1 failed, 2 misused (one line says why).

import { DONE, failureText, MISUSED, statusOf } from './cli/fail.ts'
import { isBrokenPipe } from './cli/output.ts'
import { buildProgram } from './cli/program.ts'

const verbose = process.argv.includes('--verbose')

/** Everything that was written goes out before the process ends. */
function end(status: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(status)))
}

function fail(error: unknown): void {
  if (isBrokenPipe(error)) process.exit(DONE)
  process.stderr.write(failureText(error, verbose))
  end(statusOf(error))
}

// A launcher on an older Node started this process and is its only parent: killed, it takes this one along.
if (process.env.MILLRACE_HANDED_OVER === '1') {
  delete process.env.MILLRACE_HANDED_OVER
  if (process.channel !== undefined && process.channel !== null) {
    process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
    process.channel.unref()
  }
}

process.stdout.on('error', fail)
process.stderr.on('error', (error) => process.exit(isBrokenPipe(error) ? DONE : 1))
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)

try {
  const program = buildProgram()
  if (process.argv.length <= 2) {
    process.stderr.write(program.helpInformation())
    end(MISUSED)
  } else {
    await program.parseAsync()
    end(DONE)
  }
} catch (error) {
  fail(error)
}
