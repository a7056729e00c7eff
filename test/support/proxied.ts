// A copy of an object with its methods bound to it, so that a test can replace some: a log, a writer, a store that fails as told.

export function proxied<T extends object>(target: T): T {
  const copy = {} as Record<string, unknown>
  for (
    let proto: object | null = target;
    proto !== null && proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto) as object | null
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      if (name in copy || name === 'constructor') continue
      copy[name] = typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    }
  }
  return copy as T
}
