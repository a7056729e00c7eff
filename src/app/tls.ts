// TLS to the brokers, as node:tls takes it.
//
// 1. Certificates are verified unless the word `insecure` says otherwise, which is warned of each time; nothing under TLS 1.2 is spoken, whatever Node was started with.
import type { Logger } from '../base/ports.ts'
import type { TlsOptions } from '../config.ts'

export interface BrokerTls extends Omit<TlsOptions, 'insecure'> {
  readonly rejectUnauthorized: boolean
  readonly minVersion: 'TLSv1.2'
}

export function tlsOf({ insecure = false, ...rest }: TlsOptions, logger: Logger): BrokerTls {
  if (insecure) logger.warn({}, 'tls.insecure: the certificates of brokers are not verified')
  return { ...rest, rejectUnauthorized: !insecure, minVersion: 'TLSv1.2' }
}
