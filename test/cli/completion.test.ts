// The completion scripts: each command and option is in them, and what bash makes of them. zsh and fish are asked where they are installed.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { completionScript } from '../../src/cli/completion.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { SHELLS } from '../../src/cli/shells.ts'
import { millrace, type Scratch, scratch } from './binary.ts'

let place: Scratch
beforeAll(() => {
  place = scratch()
  mkdirSync(join(place.folder, 'state'))
  writeFileSync(join(place.folder, 'shop.ts'), '')
})
afterAll(() => place.remove())

/** What bash offers for a line, the last word being typed. */
function offered(line: string): readonly string[] {
  const words = line.split(' ')
  const script = `${completionScript(buildProgram(), 'bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_millrace
printf '%s\\n' "\${COMPREPLY[@]}"`
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: place.folder })
  expect(status, stderr).toBe(0)
  return stdout.split('\n').filter(Boolean)
}

describe('bash', () => {
  test('commands, and what follows one', () => {
    expect(offered('millrace ')).toEqual(buildProgram().commands.map((command) => command.name()))
    expect(offered('millrace d')).toEqual(['dev', 'describe', 'dead-letter'])
    expect(offered('millrace dead-letter ')).toEqual(['list', 'replay', 'drop'])
    expect(offered('millrace completion ')).toEqual([...SHELLS])
  })
  test('options of the command, also behind others, and what they take', () => {
    expect(offered('millrace run shop.ts --st')).toEqual(['--state-dir', '--standbys'])
    expect(offered('millrace run shop.ts --brokers a:1 --gu')).toEqual(['--guarantee'])
    expect(offered('millrace dead-letter replay --r')).toEqual(['--rate'])
    expect(offered('millrace describe shop.ts --format ')).toEqual(['text', 'mermaid', 'svg', 'json'])
    expect(offered('millrace run --state-dir s')).toEqual(['state'])
    expect(offered('millrace run --brokers ')).toEqual([]) // the user's own
    expect(offered('millrace run ')).toEqual([]) // files, by default
  })
})

describe.each(SHELLS)('%s', (shell) => {
  test('has every command and every option', () => {
    const script = completionScript(buildProgram(), shell)
    for (const command of buildProgram().commands) {
      expect(script).toContain(command.name())
      for (const { long } of command.options)
        expect(script, `${command.name()} ${long}`).toContain(shell === 'fish' ? `-l ${long?.slice(2)}` : long)
    }
  })
  test('is what its shell understands', ({ skip }) => {
    const there = spawnSync(shell, ['-c', 'exit 0']).status === 0
    if (!there) {
      console.warn(`skipped: ${shell} is not installed here`)
      return skip()
    }
    const file = place.write(`completion.${shell}`, completionScript(buildProgram(), shell))
    const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})

test('as a command; another shell is misuse', async () => {
  expect(await millrace(['completion', 'bash'])).toMatchObject({ status: 0, err: '', out: completionScript(buildProgram(), 'bash') })
  expect(await millrace(['completion', 'fihs'])).toMatchObject({
    status: 2,
    out: '',
    err: 'millrace: completion: there is none for fihs (did you mean "fish"?); there are bash, zsh, fish\n',
  })
})
