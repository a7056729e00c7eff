// Addresses of HTTP servers: which are loopback, how they are written, by which one other processes reach one.

const WILDCARDS = ['0.0.0.0', '::', '[::]']

/** Bound to all addresses of the machine. */
export function isWildcard(host: string): boolean {
  return WILDCARDS.includes(host)
}

/** 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** An IPv6 address as it stands before a port. */
export function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

/** `advertise`: a host, or a host and a port; null: the host that it is bound to, or the machine's name. */
export function advertisedAddress(host: string, port: number, advertise: string | null, machine: string): string {
  if (advertise === null) return `${isWildcard(host) ? machine : bracketed(host)}:${port}`
  return /(^[^:[\]]+|\]):\d+$/.test(advertise) ? advertise : `${advertise}:${port}`
}

/** IPv6 without its brackets. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) }
}
