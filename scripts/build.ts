// Builds what is published: dist/, plain JavaScript with types. Nothing in this repository runs from it.
//
// 1. dist/ is made anew each time: a file that is gone from src is gone from the package.
// 2. The files of the live page are taken as they are: browsers read them without a build.
// 3. The entries' types name @types/node, so that a project without a `types` setting of its own finds Buffer.
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}dist`, { recursive: true, force: true })
const tsc = spawnSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
cpSync(`${root}src/server/page`, `${root}dist/server/page`, { recursive: true })
for (const entry of ['dist/index.d.ts', 'dist/testing/index.d.ts']) {
  const file = `${root}${entry}`
  writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, 'utf8')}`)
}
