// topology(name, build): runs the user's function once over a draft and freezes what came of it.
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'
import type { Topology } from '../topology/node.ts'
import { validate } from '../topology/validate.ts'
import { TopologyBuilder } from './builder.ts'
import { checkFunction, checkOptions, given, refuse } from './check.ts'
import { newDraft } from './draft.ts'

export interface TopologyOptions {
  /** One repartition topic for all operators that need the same stream by its new key, and no changelog for a table whose store can be made
   *  again from its topic; as Kafka Streams' topology.optimization. Default: false. To change it is to change internal topics: `millrace reset`
   *  first. */
  readonly optimize?: boolean
}

/** A program: what a topology file default-exports. The name is the default application id. Does no I/O. */
export function topology(name: string, build: (t: TopologyBuilder) => void, options?: TopologyOptions): Topology {
  checkName(name, 'topology:')
  const { optimize = false } = checkOptions('topology', options, ['optimize'])
  if (typeof optimize !== 'boolean') refuse('topology', `optimize must be true or false, not ${given(optimize)}`)
  const draft = newDraft(name)
  const result = checkFunction(`topology "${name}"`, 'the second argument', build)(new TopologyBuilder(draft)) as unknown
  draft.open = false
  if (result instanceof Promise) {
    // Whatever it would still do is refused by the closed draft; its rejection is this error's.
    result.catch(() => {})
    throw new MillraceError('STREAM_TOPOLOGY', `topology "${name}": its function must not be async; build the topology without await`)
  }
  const built: Topology = Object.freeze({
    brand: 'millrace/topology',
    name,
    nodes: Object.freeze([...draft.nodes]),
    ...(optimize ? { optimize } : {}),
  })
  validate(built)
  return built
}
