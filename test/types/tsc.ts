// Runs the type checker on some files and answers with what it says about them. What it says about others is their tests' concern.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

export interface Checked {
  /** `path(line,column): error ...`, the path absolute. */
  readonly errors: readonly string[]
  /** Every file that the checker has read. */
  readonly files: ReadonlySet<string>
}

/** `files` absolute; 'millrace' in them is this package. */
export function checkTypes(files: readonly string[]): Checked {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-types-'))
  try {
    const config = {
      extends: join(REPOSITORY, 'tsconfig.json'),
      compilerOptions: {
        // Files outside this package have no package.json that makes them modules.
        module: 'preserve',
        moduleResolution: 'bundler',
        paths: {
          millrace: [join(REPOSITORY, 'src/index.ts')],
          'millrace/testing': [join(REPOSITORY, 'src/testing/index.ts')],
          '@opentelemetry/*': [join(REPOSITORY, 'node_modules/@opentelemetry/*')],
        },
        typeRoots: [join(REPOSITORY, 'node_modules/@types')],
      },
      files,
      include: [], // what tsconfig.json includes would be checked too
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(REPOSITORY, 'node_modules/typescript/bin/tsc')
    const { stdout, error, status } = spawnSync(process.execPath, [tsc, '-p', folder, '--listFiles', '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    })
    if (error !== undefined) throw error
    const lines = stdout.split('\n')
    const read = new Set(lines.filter((line) => line.startsWith('/') && !line.includes('): error ')).map((line) => resolve(line.trim())))
    const reported = lines.filter((line) => /^\S.*\(\d+,\d+\): error /.test(line)).map((line) => resolve(folder, line))
    if (read.size === 0) throw new Error(`the type checker read nothing (status ${status}): ${stdout.slice(0, 500)}`)
    return { errors: reported, files: read }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The errors in these files, their paths from the repository. */
export function errorsIn({ errors }: Checked, files: readonly string[]): string[] {
  return errors.filter((line) => files.some((file) => line.startsWith(`${file}(`))).map((line) => relative(REPOSITORY, line))
}
