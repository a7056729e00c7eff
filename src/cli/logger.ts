// The binary's logger: pino on stderr, for people on a terminal, as JSON lines everywhere else and with --json.
import pino from 'pino'
import pretty from 'pino-pretty'
import type { Logger } from '../base/ports.ts'

export function openLogger(json: boolean, verbose: boolean): Logger {
  const level = verbose ? 'debug' : 'info'
  // Synchronous: what was said before a crash is there.
  if (json || process.stderr.isTTY !== true) return pino({ level, base: null }, pino.destination({ fd: 2, sync: true }))
  return pino({ level, base: null }, pretty({ destination: 2, sync: true, colorize: true, translateTime: 'SYS:HH:MM:ss.l' }))
}
