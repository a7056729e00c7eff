// Makes rates of the totals of two events, and keeps the last minute of them.

const KEPT = 60

let before = null
export const history = []

/** Totals that begin anew (a task that was opened again, a restarted process) give 0 once. */
const rate = (now, then, seconds) => (then === undefined || now < then || seconds <= 0 ? 0 : (now - then) / seconds)

const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0)

function withRates(rows, former, key, seconds) {
  const known = new Map((former ?? []).map((row) => [row[key], row]))
  return rows.map((row) => ({
    ...row,
    perSecond: rate(row.records, known.get(row[key])?.records, seconds),
    outPerSecond: rate(row.out ?? 0, known.get(row[key])?.out, seconds),
  }))
}

/** The event with its rates. */
export function rated(live) {
  const same = before !== null && before.startedAtMs === live.startedAtMs && live.monotonicMs > before.monotonicMs
  const then = same ? before : null
  const seconds = then === null ? 0 : (live.monotonicMs - then.monotonicMs) / 1000
  const tasks = withRates(live.tasks, then?.tasks, 'id', seconds)
  const epochs = then === null ? 0 : live.epochs - then.epochs
  const figures = {
    recordsPerSecond: sum(tasks, (task) => task.perSecond),
    outPerSecond: sum(tasks, (task) => task.outPerSecond),
    lag: sum(tasks, (task) => task.lag),
    deadLetters: sum(tasks, (task) => task.deadLetters),
    parked: sum(live.operators, (operator) => operator.parked),
    epochsPerSecond: rate(live.epochs, then?.epochs, seconds),
    commitMs: epochs > 0 ? ((live.epochSums.commitSeconds - then.epochSums.commitSeconds) / epochs) * 1000 : null,
    recordsPerEpoch: epochs > 0 ? (live.epochSums.records - then.epochSums.records) / epochs : null,
  }
  before = live
  if (then === null) history.length = 0
  else history.push(figures)
  if (history.length > KEPT) history.shift()
  return {
    ...live,
    tasks,
    inputs: withRates(live.inputs, then?.inputs, 'topic', seconds),
    outputs: withRates(live.outputs, then?.outputs, 'topic', seconds),
    figures,
  }
}
