// npm run sim -- --seeds N [--from S] [--case NAME]    many runs; every violation with the way to see it again
// npm run sim -- --seed S --trace [--case NAME]        one run, its story on the way
import { parseArgs } from 'node:util'
import { seededDraw } from './chance.ts'
import { type RunResult, simulate } from './run.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    case: { type: 'string' },
    'stop-after': { type: 'string', default: '10' },
  },
})

const of = values.case === undefined ? {} : { case: values.case }
let bad = 0

function report(seed: number, result: RunResult): void {
  bad++
  console.log(
    `seed ${seed} (${result.case}, ${result.events} events): npm run sim -- --seed ${seed} --trace${values.case === undefined ? '' : ` --case ${values.case}`}`,
  )
  for (const { check, what } of result.violations.slice(0, 5)) console.log(`  ${check}  ${what.slice(0, 400)}`)
}

async function one(seed: number): Promise<void> {
  const result = await simulate(seededDraw(seed), { ...of, ...(values.trace ? { trace: (line) => console.log(line) } : {}) })
  console.log(
    `seed ${seed}: ${result.case}, ${result.events} events, ${result.restarts} restarts, transactions ${result.transactions.committed} committed ` +
      `${result.transactions.aborted} aborted, faults ${[...result.faults].map(([kind, n]) => `${kind} ${n}`).join(' ') || 'none'}`,
  )
  if (result.violations.length > 0) report(seed, result)
}

async function many(from: number, count: number): Promise<void> {
  const started = performance.now()
  const totals = { events: 0, committed: 0, aborted: 0, restarts: 0, faults: 0, seeds: 0 }
  for (let seed = from; seed < from + count && bad < Number(values['stop-after']); seed++) {
    const result = await simulate(seededDraw(seed), of)
    if (result.violations.length > 0) report(seed, result)
    totals.seeds++
    totals.events += result.events
    totals.committed += result.transactions.committed
    totals.aborted += result.transactions.aborted
    totals.restarts += result.restarts
    for (const n of result.faults.values()) totals.faults += n
  }
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${totals.seeds} seeds from ${from}: ${bad} with violations; ${(totals.seeds / seconds).toFixed(0)} seeds/s, ${totals.events} events ` +
      `(${Math.round(totals.events / seconds)}/s), ${totals.faults} faults, ${totals.restarts} restarts, ${totals.committed} transactions committed, ${totals.aborted} aborted`,
  )
}

if (values.seed !== undefined) await one(Number(values.seed))
else await many(Number(values.from), Number(values.seeds ?? 100))
process.exitCode = bad > 0 ? 1 : 0
