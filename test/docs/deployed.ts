// Reads the files of docs/deploy: a systemd unit, a Dockerfile, Kubernetes manifests. Pure.
//
// 1. What it does not understand is an error, not left out: a line that nobody reads would be tested by nothing.
import { parseAllDocuments } from 'yaml'

/** A command as it is started, and what it finds in its environment. */
export interface Start {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Values by section and name, in their order; a setting may come several times. */
export function unitOf(text: string): (section: string, name: string) => readonly string[] {
  const settings = new Map<string, string[]>()
  let section = ''
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const head = /^\[(\w+)\]$/.exec(line)?.[1]
    if (head !== undefined) {
      section = head
      continue
    }
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`unit: ${line}`)
    const key = `${section}.${name}`
    settings.set(key, [...(settings.get(key) ?? []), value])
  }
  return (of, name) => settings.get(`${of}.${name}`) ?? []
}

/** Of the instance that the template is started as. */
export function startOfUnit(unit: ReturnType<typeof unitOf>, instance: string): Start {
  const [command = '', ...more] = unit('Service', 'ExecStart')
  if (more.length > 0 || /["'\\$]/.test(command)) throw new Error('unit: ExecStart is to be one line of plain words')
  return { command: command.split(' '), env: variables(unit('Service', 'Environment').map((pair) => pair.replaceAll('%i', instance))) }
}

function variables(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^(\w+)=(\S*)$/.exec(pair) ?? []
      if (name === undefined || value === undefined) throw new Error(`${pair}: it is to be NAME=value`)
      return [name, value]
    }),
  )
}

export interface Instruction {
  readonly word: string
  readonly rest: string
}

/** The stages of a Dockerfile, each beginning with its FROM. */
export function stagesOf(text: string): readonly (readonly Instruction[])[] {
  const stages: Instruction[][] = []
  const lines = text.replaceAll(/\\\n\s*/g, '').split('\n')
  for (const line of lines) {
    if (line === '' || line.startsWith('#')) continue
    const [, word, rest] = /^([A-Z]+) (.+)$/.exec(line) ?? []
    if (word === undefined || rest === undefined) throw new Error(`Dockerfile: ${line}`)
    if (word === 'FROM') stages.push([])
    const stage = stages.at(-1)
    if (stage === undefined) throw new Error(`Dockerfile: ${line} stands before FROM`)
    stage.push({ word, rest })
  }
  return stages
}

export const restsOf = (stage: readonly Instruction[], word: string): readonly string[] =>
  stage.flatMap((each) => (each.word === word ? [each.rest] : []))

/** Of an instruction in exec form, which no shell reads. */
export function execForm(rest: string): readonly string[] {
  const words: unknown = JSON.parse(rest.slice(rest.indexOf('[')))
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) throw new Error(`Dockerfile: ${rest} is no exec form`)
  return words
}

export function startOfImage(stage: readonly Instruction[]): Start {
  const [entry = '[]', command = '[]'] = ['ENTRYPOINT', 'CMD'].map((word) => restsOf(stage, word).at(-1))
  const env = variables(restsOf(stage, 'ENV').flatMap((rest) => rest.split(' ')))
  return { command: [...execForm(entry), ...execForm(command)], env }
}

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  /** What a kind has besides is looked at where it is asked for. */
  readonly [field: string]: any
}

export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings]
    if (problem !== undefined) throw problem
    return document.toJS() as Manifest
  })
}

/** The variables of a container, `$(NAME)` of those before it replaced; `given` says what the cluster gives. */
export function startOfContainer(container: Manifest, image: Start, given: Readonly<Record<string, string>>): Start {
  const env: Record<string, string> = { ...image.env }
  for (const { name, value } of container.env as readonly { name: string; value?: string }[]) {
    const text = value ?? given[name]
    if (text === undefined) throw new Error(`container: nothing gives ${name}`)
    env[name] = text.replaceAll(/\$\((\w+)\)/g, (_, of: string) => env[of] ?? `$(${of})`)
  }
  return { command: [...image.command.slice(0, -container.args.length), ...container.args], env }
}
