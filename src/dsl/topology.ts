// topology(name, build): runs the user's function once over a draft and freezes what came of it.
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'
import type { Topology } from '../topology/node.ts'
import { validate } from '../topology/validate.ts'
import { TopologyBuilder } from './builder.ts'
import { checkFunction } from './check.ts'
import { newDraft } from './draft.ts'

/** A program: what a topology file default-exports. The name is the default application id. Does no I/O. */
export function topology(name: string, build: (t: TopologyBuilder) => void): Topology {
  checkName(name, 'topology:')
  const draft = newDraft(name)
  const result = checkFunction(`topology "${name}"`, 'the second argument', build)(new TopologyBuilder(draft)) as unknown
  draft.open = false
  if (result instanceof Promise) {
    // Whatever it would still do is refused by the closed draft; its rejection is this error's.
    result.catch(() => {})
    throw new MillraceError('STREAM_TOPOLOGY', `topology "${name}": its function must not be async; build the topology without await`)
  }
  const built: Topology = Object.freeze({ brand: 'millrace/topology', name, nodes: Object.freeze([...draft.nodes]) })
  validate(built)
  return built
}
