// docs/cli.md names every command, every option that has a place of its own, and every variable; and what it says of them is so.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { VARIABLE_NAMES } from '../../src/cli/options.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { OPTION_NAMES } from '../../src/config.ts'
import { root } from '../cli/binary.ts'

const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')
const program = buildProgram()

test('every command has a row', () => {
  const named = [...page.slice(0, page.indexOf('## Exit')).matchAll(/^\| `([a-z-]+)/gm)].map((match) => match[1])
  expect(named).toEqual(program.commands.map((command) => command.name()))
})

test('every variable is in the table of options, beside the flag of the same name', () => {
  const rows = page.split('\n').filter((line) => /^\| .*`MILLRACE_/.test(line))
  const named = rows.flatMap((row) => [...row.matchAll(/`(MILLRACE_\w+)`/g)].map((match) => match[1]))
  expect(named.toSorted()).toEqual([...VARIABLE_NAMES].toSorted())
  const run = program.commands.find((command) => command.name() === 'run')
  const flags = rows.flatMap((row) => /^\| `(--[a-z-]+)`/.exec(row)?.[1] ?? [])
  const gathered = run?.options.map(({ long }) => long).filter((long) => long !== '--verbose' && long !== '--json')
  expect(flags.toSorted()).toEqual(gathered?.toSorted())
  for (const row of rows) {
    const [flag, variable] = [/`--([a-z-]+)`/.exec(row)?.[1], /`MILLRACE_(\w+)`/.exec(row)?.[1]]
    if (flag !== undefined) expect(variable).toBe(flag.toUpperCase().replaceAll('-', '_'))
  }
})

test('every option of a processor is there, but what only a program can say', () => {
  const options = new Set([...page.matchAll(/\| `([a-zA-Z]+)(?:\.\w+)?` \|/g)].map((match) => match[1]))
  expect(OPTION_NAMES.filter((name) => !options.has(name))).toEqual(['module', 'world'])
})

test('every status is there', () => {
  const statuses = [...page.matchAll(/^\| (\d) \|/gm)].map((match) => Number(match[1]))
  expect(statuses).toEqual([0, 1, 2])
})
