// Before and after `npm pack`: package.json names the sources for this repository, and what is built for everybody else.
//   node scripts/pack.ts publish    builds, and rewrites package.json
//   node scripts/pack.ts restore    puts the original back, byte for byte
//
// 1. The original is on disk (dist/package.json.source) before package.json changes, and package.json changes by a rename.
// 2. Interrupted anywhere, `restore` or the next `publish` puts the original back first.
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Manifest, publishedForm } from './published-form.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = `${root}package.json`
const original = `${root}dist/package.json.source`

function replaceFile(file: string, text: string): void {
  const next = `${root}dist/package.json.next`
  const handle = openSync(next, 'w')
  writeSync(handle, text)
  fsyncSync(handle)
  closeSync(handle)
  renameSync(next, file)
}

function restore(): void {
  if (!existsSync(original)) return
  replaceFile(manifest, readFileSync(original, 'utf8'))
  rmSync(original)
}

function publish(): void {
  restore()
  const built = spawnSync(process.execPath, [`${root}scripts/build.ts`], { stdio: 'inherit' })
  if (built.status !== 0) process.exit(built.status ?? 1)
  const source = readFileSync(manifest, 'utf8')
  replaceFile(original, source)
  replaceFile(manifest, `${JSON.stringify(publishedForm(JSON.parse(source) as Manifest), null, 2)}\n`)
}

const step = process.argv[2]
if (step === 'publish') publish()
else if (step === 'restore') restore()
else {
  process.stderr.write('pack.ts: say publish or restore\n')
  process.exit(2)
}
