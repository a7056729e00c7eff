// `millrace init`: a new project that runs and passes its test as it is made. Writes files and nothing else; installs nothing.
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { isName } from '../base/names.ts'
import { projectFiles } from './init-files.ts'
import { outputTo } from './output.ts'

export interface InitFlags {
  readonly name?: string
}

export async function init(folder: string, flags: InitFlags, version: string): Promise<void> {
  const path = resolve(folder)
  const name = flags.name ?? basename(path).toLowerCase()
  // npm's rule is the narrower one: a package's name is in lower case and begins with neither a dot nor an underscore.
  if (!isName(name) || !/^[a-z0-9][a-z0-9._-]*$/.test(name))
    throw new MillraceError(
      'STREAM_NAME',
      `project name ${JSON.stringify(name)} is not allowed: use a-z 0-9 . _ - and begin with a letter or a digit; give one with --name`,
    )
  if (existsSync(path) && (!statSync(path).isDirectory() || readdirSync(path).length > 0))
    throw new MillraceError('STREAM_USAGE', `${folder} is there already: name a folder that is not, or one that is empty`)
  const files = projectFiles(name, version)
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, file)), { recursive: true })
    writeFileSync(join(path, file), text, { flag: 'wx' })
  }
  const output = outputTo(process.stdout)
  for (const file of Object.keys(files)) output.line(join(folder, file))
  output.line(`next: cd ${folder} && npm install && npm test`)
  await output.flush()
}
