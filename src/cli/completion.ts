// `millrace completion`: a script that completes the words of millrace, made of the very commands and options that it has.
//
// 1. What an option takes is told by its placeholder: a file, a folder, one of some choices; anything else the user types himself.
// 2. The script asks nothing of millrace when it completes: no process is started at a tab.
import type { Command, Option } from 'commander'
import { MillraceError } from '../base/errors.ts'
import { closest } from '../base/suggest.ts'
import { outputTo } from './output.ts'
import { type Shell, SHELLS } from './shells.ts'

interface Words {
  /** `run`, `dead-letter list`; '' for the binary itself. */
  readonly path: string
  readonly description: string
  readonly options: readonly OptionWords[]
  readonly commands: readonly string[]
  /** Its argument is a file or a folder. */
  readonly files: boolean
  /** What its argument may be. */
  readonly choices: readonly string[]
}

interface OptionWords {
  readonly long: string
  readonly description: string
  readonly takes: 'nothing' | 'text' | 'file' | 'folder' | readonly string[]
}

export async function printCompletion(program: Command, shell: string): Promise<void> {
  if (!(SHELLS as readonly string[]).includes(shell))
    throw new MillraceError(
      'STREAM_USAGE',
      `completion: there is none for ${shell}${closest(shell, SHELLS)}; there are ${SHELLS.join(', ')}`,
    )
  const output = outputTo(process.stdout)
  output.line(completionScript(program, shell as Shell).trimEnd())
  await output.flush()
}

export function completionScript(program: Command, shell: Shell): string {
  const words = wordsOf(program, '')
  if (shell === 'fish') return fish(words)
  return shell === 'bash' ? bash(words) : zsh(words)
}

function wordsOf(command: Command, path: string): Words[] {
  const own = command.options.flatMap(({ long, description, flags, argChoices }): OptionWords[] =>
    typeof long === 'string' ? [{ long, description, takes: takenBy(flags, argChoices) }] : [],
  )
  const [argument] = command.registeredArguments
  const words: Words = {
    path,
    description: command.description(),
    options: [...own, { long: '--help', description: 'print help', takes: 'nothing' }],
    commands: command.commands.map((sub) => sub.name()),
    files: argument?.name() === 'file' || argument?.name() === 'folder',
    choices: path === 'completion' ? SHELLS : [],
  }
  return [words, ...command.commands.flatMap((sub) => wordsOf(sub, `${path} ${sub.name()}`.trim()))]
}

function takenBy(flags: string, choices: Option['argChoices']): OptionWords['takes'] {
  if (choices !== undefined) return choices
  const placeholder = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1]
  if (placeholder === undefined) return 'nothing'
  return placeholder === 'file' || placeholder === 'folder' ? placeholder : 'text'
}

/** Over all commands: a name takes the same everywhere. As a pattern of `case`. */
function optionsTaking(words: readonly Words[], takes: 'text' | 'file' | 'folder'): string {
  return [...new Set(words.flatMap(({ options }) => options.filter((option) => option.takes === takes).map(({ long }) => long)))].join('|')
}

function choicesOf(words: readonly Words[]): readonly (readonly [string, readonly string[]])[] {
  const all = words.flatMap(({ options }) =>
    options.flatMap(({ long, takes }) => (typeof takes === 'string' ? [] : [[long, takes] as const])),
  )
  return [...new Map(all)]
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
const inDouble = (words: readonly string[]): string => `"${words.join(' ')}"`

/** The lines that find the command which is being typed: the same in bash and zsh. */
function findCommand(words: readonly Words[], typed: string): string[] {
  const steps = words.filter(({ path }) => path !== '').map(({ path }) => path)
  const step = (path: string): string => {
    const before = path.split(' ').slice(0, -1).join(' ')
    return `      "${before} ${path.split(' ').at(-1)}") command="${path}" ;;`
  }
  return ['  local command="" word', `  for word in ${typed}; do`, '    case "$command $word" in', ...steps.map(step), '    esac', '  done']
}

function bash(words: readonly Words[]): string {
  const cases = words.map(({ path, options, commands, choices }) => {
    const longs = options.map(({ long }) => long)
    return `    "${path}") options=${inDouble(longs)}; names=${inDouble([...commands, ...choices])} ;;`
  })
  return [
    '# bash completion of millrace: source it, or put it among the completions of bash-completion as millrace',
    '_millrace() {',
    '  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" options="" names=""',
    '  COMPREPLY=()',
    ...findCommand(words, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"'),
    '  case "$before" in',
    ...choicesOf(words).map(([long, choices]) => `    ${long}) COMPREPLY=($(compgen -W ${inDouble(choices)} -- "$current")); return ;;`),
    `    ${optionsTaking(words, 'folder')}) COMPREPLY=($(compgen -d -- "$current")); return ;;`,
    `    ${optionsTaking(words, 'file')}) return ;; # files, by default`,
    `    ${optionsTaking(words, 'text')}) compopt +o default 2>/dev/null; return ;;`,
    '  esac',
    '  case "$command" in',
    ...cases,
    '  esac',
    '  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))',
    '  elif [[ -n $names ]]; then COMPREPLY=($(compgen -W "$names" -- "$current")); fi',
    '}',
    'complete -o default -F _millrace millrace',
    '',
  ].join('\n')
}

function zsh(words: readonly Words[]): string {
  const described = (of: readonly (readonly [name: string, description: string])[]): string =>
    of.map(([name, description]) => quoted(`${name}:${description}`)).join(' ')
  const descriptions = new Map(words.map(({ path, description }) => [path, description]))
  const cases = words.map(({ path, options, commands, files, choices }) => {
    const names = [
      ...commands.map((name) => [name, descriptions.get(`${path} ${name}`.trim()) ?? ''] as const),
      ...choices.map((name) => [name, name] as const),
    ]
    const longs = options.map(({ long, description }) => [long, description] as const)
    return `    "${path}") options=(${described(longs)}); names=(${described(names)}); files=${files ? 1 : 0} ;;`
  })
  return [
    '#compdef millrace',
    '_millrace() {',
    '  local -a options names; local files=0',
    ...findCommand(words, '"${(@)words[2,CURRENT-1]}"'),
    '  case "${words[CURRENT-1]}" in',
    ...choicesOf(words).map(([long, choices]) => `    ${long}) compadd -- ${choices.join(' ')}; return ;;`),
    `    ${optionsTaking(words, 'folder')}) _files -/; return ;;`,
    `    ${optionsTaking(words, 'file')}) _files; return ;;`,
    `    ${optionsTaking(words, 'text')}) return ;;`,
    '  esac',
    '  case "$command" in',
    ...cases,
    '  esac',
    '  if [[ ${words[CURRENT]} == -* ]]; then _describe option options',
    '  elif (( files )); then _files',
    '  elif (( ${#names} )); then _describe command names; fi',
    '}',
    'if [[ ${funcstack[1]} == _millrace ]]; then _millrace "$@"; else compdef _millrace millrace; fi',
    '',
  ].join('\n')
}

function fish(words: readonly Words[]): string {
  const lines = ['# fish completion of millrace', 'complete -c millrace -f']
  const seen = (path: string): string =>
    path === ''
      ? '__fish_use_subcommand'
      : path
          .split(' ')
          .map((word) => `__fish_seen_subcommand_from ${word}`)
          .join('; and ')
  for (const { path, description, options, files, choices } of words) {
    const add = (rest: string): void => void lines.push(`complete -c millrace -n ${quoted(seen(path))} ${rest}`)
    if (path !== '') {
      const [last, ...groups] = path.split(' ').toReversed()
      lines.push(`complete -c millrace -n ${quoted(seen(groups.toReversed().join(' ')))} -a ${last} -d ${quoted(description)}`)
    }
    if (files) add('-F')
    if (choices.length > 0) add(`-a ${quoted(choices.join(' '))}`)
    for (const { long, description: what, takes } of options) add(`-l ${long.slice(2)}${fishValue(takes)} -d ${quoted(what)}`)
  }
  return `${lines.join('\n')}\n`
}

function fishValue(takes: OptionWords['takes']): string {
  if (takes === 'nothing') return ''
  if (takes === 'file') return ' -r -F'
  if (takes === 'folder') return " -x -a '(__fish_complete_directories)'"
  return takes === 'text' ? ' -x' : ` -x -a ${quoted(takes.join(' '))}`
}
