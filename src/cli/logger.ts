// The binary's logger: pino on stderr, for people on a terminal, as JSON lines everywhere else and with --json.
import pino, { type DestinationStream } from 'pino'
import type { Logger } from '../base/ports.ts'

/** Synchronous: what was said before a crash is there. */
export async function openLogger(json: boolean, verbose: boolean): Promise<Logger> {
  const level = verbose ? 'debug' : 'info'
  const forPeople = !json && process.stderr.isTTY === true
  const logger: Logger = pino({ level, base: null }, forPeople ? await prettyStream() : pino.destination({ fd: 2, sync: true }))
  return logger
}

/** Its fifty files are loaded on a terminal only. */
async function prettyStream(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty')
  return pretty({ destination: 2, sync: true, colorize: true, translateTime: 'SYS:HH:MM:ss.l' })
}
