// The tables of rights in docs/security.md as ACLs: what the document says is what the broker is told.
//
// 1. A name, a pattern or a right that is not known here is an error: a row that nobody reads would be tested by nothing.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AclOperations, AclPermissionTypes, type Admin, ResourcePatternTypes, ResourceTypes } from '@platformatic/kafka'
import { root } from '../cli/binary.ts'
import { sleep } from './fleet.ts'

const PAGE = 'docs/security.md'
const RESOURCES = { topic: ResourceTypes.TOPIC, group: ResourceTypes.GROUP, 'transactional id': ResourceTypes.TRANSACTIONAL_ID } as const
const PATTERNS = { literal: ResourcePatternTypes.LITERAL, prefixed: ResourcePatternTypes.PREFIXED } as const
const OPERATIONS = {
  Read: AclOperations.READ,
  Write: AclOperations.WRITE,
  Create: AclOperations.CREATE,
  Delete: AclOperations.DELETE,
  DescribeConfigs: AclOperations.DESCRIBE_CONFIGS,
} as const
const PATIENCE_MS = 30_000

export interface Right {
  /** `run`, `optional`, `outbox`, or the command that needs it besides. */
  readonly of: string
  readonly resource: keyof typeof RESOURCES
  readonly pattern: keyof typeof PATTERNS
  /** With what stands for a name: `<application id>-`. */
  readonly name: string
  readonly right: keyof typeof OPERATIONS
}

export interface Names {
  readonly '<application id>': string
  readonly '<input>': string
  readonly '<output>': string
  readonly '<repartition topic>': string
  /** Of an outbox. */
  readonly '<topic>': string
  readonly '<name>': string
}

export function documentedRights(): readonly Right[] {
  const section = readFileSync(join(root, PAGE), 'utf8').split('\n## ')
  const lines = (section.find((text) => text.startsWith('Rights on the brokers')) ?? '').split('\n')
  const rights: Right[] = []
  let head: readonly string[] = []
  for (const [i, line] of lines.entries()) {
    if (!line.startsWith('| ') || line.startsWith('| ---')) continue
    const cells = line.split('|').map((cell) => cell.trim().replaceAll('`', ''))
    if (lines[i + 1]?.startsWith('| ---') === true) {
      head = cells
      continue
    }
    const cell = (name: string): string => cells[head.indexOf(name)] ?? ''
    const kinds = [cell('command'), head.includes('for') && 'run', head.includes('the relay') && 'outbox', 'optional']
    const of = kinds.find((kind) => typeof kind === 'string' && kind !== '')
    const [resource, pattern, right] = [cell('resource'), cell('pattern'), cell('right')]
    if (!(resource in RESOURCES) || !(pattern in PATTERNS) || !(right in OPERATIONS)) throw new Error(`${PAGE}: ${line}`)
    rights.push({ of, resource, pattern, name: cell('name'), right } as Right)
  }
  return rights
}

export function nameOf({ name }: Right, names: Names): string {
  const found = Object.entries(names).find(([placeholder]) => name.startsWith(placeholder))
  if (found === undefined) throw new Error(`${PAGE}: ${name} stands for nothing`)
  return name.replace(...found)
}

export interface Grant {
  readonly user: string
  readonly rights: readonly Right[]
  readonly names: Names
}

/** Resolves when the broker goes by them. */
export async function grant(admin: Admin, grants: readonly Grant[]): Promise<void> {
  const creations = grants.flatMap(({ user, rights, names }) =>
    rights.map((right) => ({
      resourceType: RESOURCES[right.resource],
      resourceName: nameOf(right, names),
      resourcePatternType: PATTERNS[right.pattern],
      principal: `User:${user}`,
      host: '*',
      operation: OPERATIONS[right.right],
      permissionType: AclPermissionTypes.ALLOW,
    })),
  )
  await admin.createAcls({ creations })
  const any = { resourceType: ResourceTypes.ANY, resourcePatternType: ResourcePatternTypes.ANY, operation: AclOperations.ANY }
  const filter = { ...any, resourceName: null, principal: null, host: null, permissionType: AclPermissionTypes.ANY }
  const wanted = new Set(creations.map((one) => JSON.stringify(Object.entries(one).toSorted()))).size
  const giveUp = performance.now() + PATIENCE_MS
  for (;;) {
    const there = await admin.describeAcls({ filter })
    if (there.flatMap(({ acls }) => acls).length >= wanted) return
    if (performance.now() > giveUp) throw new Error(`the broker does not know ${wanted} ACLs`)
    await sleep(50)
  }
}
