// Which topics this state directory has worked on, by their ids: a topic that was deleted and made anew while nothing ran has the same
// name, and the broker has forgotten the group's offsets for it. Going on with the old state would count its records on top of the old.
//
// 1. Written when all topics are there, read before any is made. A directory that is new knows nothing and refuses nothing.
// 2. Only topics that the topology still uses are looked at.
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { Plan } from '../topology/plan-types.ts'
import { readNotes, writeNotes } from './state-notes.ts'

export const TOPIC_NOTES = 'topics.json'

/** `dir`: the application's, in the state directory. */
export async function refuseOtherTopics(log: Log, plan: Plan, dir: string): Promise<void> {
  const known = readNotes(join(dir, TOPIC_NOTES), 'topics as they are now')
  if (known.size === 0) return
  const internal = plan.internalTopics.map(({ name }) => name)
  const names = [...plan.inputs, ...internal].filter((name) => known.has(name))
  const found = await log.topics(names)
  const cure = `begin anew: another application id, or delete the state directory, the group ${plan.applicationId} and its internal topics`
  for (const name of names) {
    const now = found.get(name)
    if (now === undefined && internal.includes(name))
      throw new MillraceError(
        'STREAM_TOPIC_MISSING',
        `topic ${name} has been deleted, and with it what only it held; put it back from a copy, or ${cure}`,
      )
    if (now?.id !== undefined && now.id !== known.get(name))
      throw new MillraceError(
        'STREAM_TOPIC_MISMATCH',
        `topic ${name} was deleted and made anew since the last run: the state in ${dir} is of the old one; ${cure}`,
      )
  }
}

export async function rememberTopics(log: Log, plan: Plan, dir: string): Promise<void> {
  const found = await log.topics([...plan.inputs, ...plan.internalTopics.map(({ name }) => name)])
  const ids = [...found.values()].flatMap(({ name, id }) => (id === undefined ? [] : [[name, id] as const]))
  writeNotes(join(dir, TOPIC_NOTES), ids)
}
