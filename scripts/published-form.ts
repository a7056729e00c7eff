// package.json as it is published: entries in dist/ with their types, no scripts and tools of this repository.

export interface Manifest {
  readonly exports: Readonly<Record<string, string>>
  readonly scripts?: unknown
  readonly devDependencies?: unknown
  readonly [field: string]: unknown
}

export function publishedForm(manifest: Manifest): Record<string, unknown> {
  const { scripts: _scripts, devDependencies: _tools, allowScripts: _allowed, ...kept } = manifest
  const exports: Record<string, unknown> = {}
  for (const [name, target] of Object.entries(manifest.exports)) {
    const built = /^\.\/src\/(.+)\.ts$/.exec(target)
    exports[name] = built === null ? target : { types: `./dist/${built[1]}.d.ts`, default: `./dist/${built[1]}.js` }
  }
  return { ...kept, exports }
}
