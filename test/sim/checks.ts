// The checks over a history. Pure: nothing here knows where the history came from.
//
// L  no loss: every input up to the committed positions is reflected, and all of it is committed.
// D  no duplicate in what a reader of committed records sees.
// O  each key's outputs come in the order of its inputs.
// S  the tables in the end are the oracle's, and a store holds what its changelog says.
// B  at every moment outputs, changelogs and positions belong together; a store on disk holds exactly the committed changelog up to its
//    checkpoint, whenever it is opened; what a standby holds was committed when it was looked at.
// M  a versioned register never goes back.
// Q  a query sees what was committed at one moment.
// At least once: L, of dead letters too; S, and O of what comes first, where nothing that was given up has come back.
import { partitionName, type LogRecord } from '../../src/base/record.ts'
import { type Fed, isPoison, type Outcome } from './case.ts'
import type { CheckName, History, Rows, StoredRows, Violation } from './history.ts'

export function checkAll(history: History): Violation[] {
  const fatal = history.fatal.map((what): Violation => ({ check: 'F', what }))
  if (history.guarantee === 'at_least_once') return [...fatal, ...checkAtLeastOnce(history)]
  return [
    ...fatal,
    ...checkStored(history),
    ...(history.early ?? []).map((what): Violation => ({ check: 'B', what })),
    ...checkSnapshots(history),
    ...checkEnd(history),
    ...checkDeadLetters(history),
    ...checkVersions(history),
    ...checkAnswers(history),
    ...(history.case.judge?.(history) ?? []),
  ]
}

export function fedOf(topic: string, record: LogRecord): Fed {
  return { topic, key: (record.key as Buffer).toString(), value: (record.value as Buffer).toString(), timestamp: record.timestamp }
}

function textOf(record: LogRecord): string | null {
  return record.value === null ? null : record.value.toString()
}

/** What was worked out of a history already: many moments ask for the same. */
interface WorkedOut {
  readonly fed: Map<string, readonly Fed[]>
  readonly outcomes: Map<string, Outcome>
}

const workedOut = new WeakMap<History, WorkedOut>()

function workedOutOf(history: History): WorkedOut {
  let known = workedOut.get(history)
  if (known === undefined) {
    known = { fed: new Map(), outcomes: new Map() }
    workedOut.set(history, known)
  }
  return known
}

/** The records of an input partition. */
function fedIn(history: History, topic: string, partition: number): readonly Fed[] {
  const { fed } = workedOutOf(history)
  const name = partitionName(topic, partition)
  let all = fed.get(name)
  if (all === undefined) {
    all = (history.inputs.get(topic)?.[partition] ?? []).map((record) => fedOf(topic, record))
    fed.set(name, all)
  }
  return all
}

/** The oracle over the records of an input partition before an offset. */
function outcomeBefore(history: History, topic: string, partition: number, offset: number): Outcome {
  const { outcomes } = workedOutOf(history)
  const records = history.inputs.get(topic)?.[partition] ?? []
  const behind = records.findIndex((record) => record.offset >= offset)
  const count = behind < 0 ? records.length : behind
  const name = `${partitionName(topic, partition)} ${count}`
  let outcome = outcomes.get(name)
  if (outcome === undefined) {
    outcome = history.case.ofPartition(topic, fedIn(history, topic, partition).slice(0, count))
    outcomes.set(name, outcome)
  }
  return outcome
}

type Sequences = ReadonlyMap<string, readonly (string | null)[]>

/** What is wrong with the values of one key, by kind; null: nothing. */
export function compareSequences(wanted: readonly (string | null)[], found: readonly (string | null)[]): CheckName | null {
  if (wanted.length === found.length && wanted.every((value, i) => value === found[i])) return null
  if (found.length > wanted.length) return 'D'
  if (found.length < wanted.length) return 'L'
  const sorted = (of: readonly (string | null)[]): string => [...of].map(String).sort().join('\n')
  return sorted(wanted) === sorted(found) ? 'O' : 'S'
}

function compareAll(topic: string, wanted: Sequences, found: Sequences, where: string): Violation[] {
  const violations: Violation[] = []
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    const [w, f] = [wanted.get(key) ?? [], found.get(key) ?? []]
    const check = compareSequences(w, f)
    if (check !== null) violations.push({ check, what: `${topic} ${where}, key ${key}: wanted ${w.join(' ')}, found ${f.join(' ')}` })
  }
  return violations
}

function byKey(records: readonly LogRecord[]): Map<string, (string | null)[]> {
  const found = new Map<string, (string | null)[]>()
  for (const record of records) {
    const key = (record.key as Buffer).toString()
    const values = found.get(key)
    if (values === undefined) found.set(key, [textOf(record)])
    else values.push(textOf(record))
  }
  return found
}

// --- the end: L D O S ------------------------------------------------------------------------------------------------------

export function checkEnd(history: History): Violation[] {
  const { outputs } = history
  const violations = checkPositions(history)
  const all = fedPartitions(history)
  for (const [topic, partitions] of history.inputs) {
    partitions.forEach((_, partition) => {
      const outcome = outcomeBefore(history, topic, partition, Number.POSITIVE_INFINITY)
      for (const [out, wanted] of outcome.outputs)
        violations.push(...compareAll(out, wanted, byKey(outputs.get(out)?.[partition] ?? []), `partition ${partition}`))
      for (const [store, table] of outcome.tables) violations.push(...checkTable(history, store, partition, table))
    })
  }
  const { sequences, last } = history.case.inTheEnd(all)
  for (const [topic, wanted] of sequences) violations.push(...compareAll(topic, wanted, byKey((outputs.get(topic) ?? []).flat()), 'in all'))
  for (const [topic, wanted] of last) {
    const found = new Map([...byKey((outputs.get(topic) ?? []).flat())].map(([key, values]) => [key, values.at(-1) ?? null]))
    for (const key of new Set([...wanted.keys(), ...found.keys()])) {
      const [w, f] = [wanted.get(key) ?? null, found.get(key) ?? null]
      if (w !== f) violations.push({ check: 'S', what: `${topic} in the end, key ${key}: wanted ${w}, found ${f}` })
    }
  }
  return violations
}

function checkPositions(history: History): Violation[] {
  return [...history.ends].flatMap(([name, end]): Violation[] => {
    const at = history.committed.get(name) ?? 0
    return at < end ? [{ check: 'L', what: `${name}: committed up to ${at} of ${end}` }] : []
  })
}

function fedPartitions(history: History): Fed[][] {
  return [...history.inputs].flatMap(([topic, partitions]) => partitions.map((_, partition) => [...fedIn(history, topic, partition)]))
}

// --- at least once: what must be there, however often -----------------------------------------------------------------------

export function checkAtLeastOnce(history: History): Violation[] {
  const violations = [...checkPositions(history), ...checkDeadLetters(history).filter(({ check }) => check === 'L')]
  // a message between two stages that comes late and out of order may undo what a later one did
  const oneStage = history.case.inputs.length === 1
  const { sequences, last } = history.case.inTheEnd(fedPartitions(history))
  for (const [topic, wanted] of sequences) violations.push(...checkFirsts(history, topic, wanted))
  for (const [topic, wanted] of last) {
    const found = byKey((history.outputs.get(topic) ?? []).flat())
    for (const key of new Set([...wanted.keys(), ...found.keys()])) {
      const [w, f] = [wanted.get(key) ?? null, found.get(key)?.at(-1) ?? null]
      const check = w === null || found.get(key)?.includes(w) === true ? 'S' : 'L'
      if (w !== f && (history.orderly || (check === 'L' && oneStage)))
        violations.push({ check, what: `${topic} at least once, key ${key}: wanted ${w}, found ${found.get(key)?.join(' ')}` })
    }
  }
  if (!history.orderly) return violations
  for (const [topic, partitions] of history.inputs)
    partitions.forEach((_, partition) => {
      const { tables } = outcomeBefore(history, topic, partition, Number.POSITIVE_INFINITY)
      for (const [store, table] of tables) violations.push(...checkTable(history, store, partition, table))
    })
  return violations
}

/** Of values that are each another: all are there, those that came first in their order, however often they came again. */
function checkFirsts(history: History, topic: string, wanted: ReadonlyMap<string, readonly string[]>): Violation[] {
  const found = byKey((history.outputs.get(topic) ?? []).flat())
  return [...wanted].flatMap(([key, w]): Violation[] => {
    const firsts = [...new Set(found.get(key) ?? [])]
    const check = compareSequences(w, firsts)
    if (check === null || (check === 'O' && !history.orderly)) return []
    return [{ check, what: `${topic} at least once, key ${key}: wanted ${w.join(' ')}, found ${found.get(key)?.join(' ')}` }]
  })
}

function checkTable(history: History, store: string, partition: number, wanted: ReadonlyMap<string, string>): Violation[] {
  const found = tableOf(history.changelogs.get(store)?.[partition] ?? [])
  return sameTable(wanted, found)
    ? []
    : [{ check: 'S', what: `changelog of ${store}-${partition}: wanted ${show(wanted)}, found ${show(found)}` }]
}

/** The fold of a changelog as a query would show it: the bytes behind a register's head, its deletes left out. */
export function tableOf(records: readonly LogRecord[]): Map<string, string> {
  const table = new Map<string, string>()
  for (const { key, value } of records) {
    const name = (key as Buffer).toString()
    const text = value === null ? null : rowText(value)
    if (text === null) table.delete(name)
    else table.set(name, text)
  }
  return table
}

/** A stored row as JSON text; null: a remembered delete. The head of a register (flags, kind, version) has no brace. */
export function rowText(value: Buffer): string | null {
  if (value[0] !== 0 && value[0] !== 1) return value.toString()
  return value[0] === 1 ? null : value.subarray(10).toString()
}

function sameTable(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)
}

function show(table: ReadonlyMap<string, string>): string {
  return `{${[...table]
    .sort()
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')}}`
}

// --- dead letters: each poison record once, with its origin ----------------------------------------------------------------

export function checkDeadLetters(history: History): Violation[] {
  const wanted = new Set<string>()
  for (const [topic, partitions] of history.inputs)
    partitions.forEach((records, partition) => {
      const fed = fedIn(history, topic, partition)
      for (const [i, { offset }] of records.entries())
        if (isPoison(history.case, fed[i] as Fed)) wanted.add(`${partitionName(topic, partition)}@${offset}`)
    })
  const found = new Map<string, number>()
  for (const { headers } of history.deadLetters) {
    const of = (name: string): string => headers.find(([header]) => header === `__streams.errors.${name}`)?.[1]?.toString() ?? '?'
    const origin = `${of('topic')}-${of('partition')}@${of('offset')}`
    found.set(origin, (found.get(origin) ?? 0) + 1)
  }
  const violations: Violation[] = []
  for (const origin of wanted) if (!found.has(origin)) violations.push({ check: 'L', what: `no dead letter for ${origin}` })
  for (const [origin, times] of found) {
    if (!wanted.has(origin)) violations.push({ check: 'D', what: `a dead letter for ${origin}, which is sound` })
    else if (times > 1) violations.push({ check: 'D', what: `${times} dead letters for ${origin}` })
  }
  return violations
}

// --- B ---------------------------------------------------------------------------------------------------------------------

/** Outputs and changelogs of a task are at every moment what the input up to its committed position leads to. */
export function checkSnapshots(history: History): Violation[] {
  const violations: Violation[] = []
  const seen = new Set<string>()
  const before = new Map<string, string>() // a moment that says the same of a partition as the one before needs no second look
  for (const snapshot of history.snapshots) {
    for (const [topic, partitions] of history.inputs) {
      partitions.forEach((_, partition) => {
        const input = partitionName(topic, partition)
        const committed = snapshot.committed.get(input) ?? 0
        const outcome = outcomeBefore(history, topic, partition, committed)
        const parts = [...outcome.outputs.keys(), ...outcome.tables.keys()]
        const said = `${committed} ${parts.map((part) => snapshot.ends.get(partitionName(part, partition)) ?? 0).join(' ')}`
        if (before.get(input) === said) return
        before.set(input, said)
        const upTo = (records: readonly LogRecord[] | undefined, of: string): readonly LogRecord[] => {
          const end = snapshot.ends.get(partitionName(of, partition)) ?? 0
          return (records ?? []).filter((record) => record.offset < end)
        }
        const where = `when ${input} was committed up to ${committed}`
        for (const [out, wanted] of outcome.outputs) {
          const found = byKey(upTo(history.outputs.get(out)?.[partition], out))
          const first = compareAll(out, wanted, found, where)[0]
          if (first === undefined || seen.has(out)) continue
          seen.add(out)
          violations.push({ check: 'B', what: first.what })
        }
        for (const [store, wanted] of outcome.tables) {
          const found = tableOf(upTo(history.changelogs.get(store)?.[partition], store))
          if (sameTable(wanted, found) || seen.has(store)) continue
          seen.add(store)
          violations.push({ check: 'B', what: `changelog of ${store} ${where}: wanted ${show(wanted)}, found ${show(found)}` })
        }
      })
    }
  }
  return violations
}

/** On disk lies the committed changelog up to the checkpoint, not a record more or less (R1). */
export function checkStored(history: History): Violation[] {
  const byStore = Map.groupBy(history.stored, ({ store, partition }) => partitionName(store, partition))
  return [...byStore.values()].flatMap((all) => storedFaults(history, all))
}

/** Of one store: its changelog is folded once, as far as each checkpoint in turn. */
function storedFaults(history: History, all: readonly StoredRows[]): Violation[] {
  const { store, partition } = all[0] as StoredRows
  const changelog = history.changelogs.get(store)?.[partition] ?? []
  const wanted = new Map<string, string>()
  const violations: Violation[] = []
  let next = 0
  for (const { where, task, changelogOffset, rows } of all.toSorted((a, b) => a.changelogOffset - b.changelogOffset)) {
    for (let record = changelog[next]; record !== undefined && record.offset < changelogOffset; record = changelog[++next]) {
      const name = (record.key as Buffer).toString('latin1')
      if (record.value === null) wanted.delete(name)
      else wanted.set(name, record.value.toString('latin1'))
    }
    if (sameTable(wanted, rows)) continue
    const what = `${where}: ${store} of ${task} with checkpoint ${changelogOffset} holds ${show(rows)}, its changelog says ${show(wanted)}`
    violations.push({ check: 'B', what })
  }
  return violations
}

// --- M ---------------------------------------------------------------------------------------------------------------------

/** Versions of a register rise along its changelog. */
export function checkVersions(history: History): Violation[] {
  const violations: Violation[] = []
  for (const store of history.case.rising) {
    for (const records of history.changelogs.get(store) ?? []) {
      const held = new Map<string, number>()
      for (const { key, value } of records) {
        const name = (key as Buffer).toString()
        const next = value === null ? Number.NEGATIVE_INFINITY : value.readDoubleBE(2)
        const before = held.get(name)
        if (before !== undefined && next < before)
          violations.push({ check: 'M', what: `${store}, key ${name}: version ${next} after ${before}` })
        held.set(name, next)
      }
    }
  }
  return violations
}

// --- Q ---------------------------------------------------------------------------------------------------------------------

export function checkAnswers(history: History): Violation[] {
  const violations: Violation[] = []
  const known = new Map<string, readonly ReadonlyMap<string, string>[]>()
  const latest = new Map<string, ReadonlyMap<string, string>>()
  for (const answer of history.answers) {
    const name = `${answer.store}-${answer.partition}`
    let tables = known.get(name)
    if (tables === undefined) {
      tables = committedTables(history, answer)
      known.set(name, tables)
    }
    const at = latest.get(name) // most answers are that of before
    if (at !== undefined && sameTable(at, answer.rows)) continue
    const found = tables.find((table) => sameTable(table, answer.rows))
    if (found !== undefined) latest.set(name, found)
    else if (tables.length > 0)
      violations.push({ check: 'Q', what: `${answer.where}: ${name} answered ${show(answer.rows)}, which was never committed` })
  }
  return violations
}

/** Every table that was ever the committed one; none where no single input partition decides it. */
function committedTables(history: History, { store, partition }: Rows): readonly ReadonlyMap<string, string>[] {
  for (const [topic] of history.inputs) {
    const at = (offset: number) => outcomeBefore(history, topic, partition, offset).tables.get(store)
    if (at(0) === undefined) continue
    const positions = new Set([0, ...(history.positions.get(partitionName(topic, partition)) ?? [])])
    return [...positions].map((offset) => at(offset) as ReadonlyMap<string, string>)
  }
  return []
}
