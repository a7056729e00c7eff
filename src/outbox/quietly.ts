// Loads node:sqlite without a word: some releases of Node 24 warn that it is experimental, which says nothing to whoever relays an outbox. Every
// other warning goes through.

export async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: readonly unknown[]) => {
    const [kind] = rest
    const name = typeof kind === 'string' ? kind : (kind as { readonly type?: string } | undefined)?.type
    if (name === 'ExperimentalWarning' && String(warning).includes('SQLite')) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning
  try {
    return await load()
  } finally {
    process.emitWarning = emitWarning
  }
}
