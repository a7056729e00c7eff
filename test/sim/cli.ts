// npm run sim -- --seeds N [--from S] [--case NAME] [--jobs J]    many runs, on all cores; every violation with the way to see it again
//   --seconds T                                                  no new share of seeds after that; it says how many there were
// npm run sim -- --seed S --trace [--case NAME]                   one run, its story on the way
// Both: --kinds pause,kill    these faults and no others.
//       --checks B,D          a seed counts as wrong only when one of these checks says so.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { seededDraw } from './chance.ts'
import { CHECKS } from './history.ts'
import { KINDS } from './nemesis.ts'
import { simulate } from './run.ts'
import { add, type Bad, NO_RUNS, runSeeds, type SeedOptions, type Totals } from './seeds.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    case: { type: 'string' },
    kinds: { type: 'string' },
    checks: { type: 'string' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    seconds: { type: 'string' },
    'stop-after': { type: 'string', default: '10' },
  },
})

/** Seeds that a job takes at once. */
const SHARE = 250
const TELL = 5_000
const kinds = values.kinds?.split(',').map((name) => {
  const kind = KINDS.find((known) => known === name)
  if (kind === undefined) throw new Error(`there is no fault ${name}; there are ${KINDS.join(' ')}`)
  return kind
})
const checks = values.checks?.split(',').map((name) => {
  const check = CHECKS.find((known) => known === name)
  if (check === undefined) throw new Error(`there is no check ${name}; there are ${CHECKS.join(' ')}`)
  return check
})
const of: SeedOptions = {
  ...(values.case === undefined ? {} : { case: values.case }),
  ...(kinds === undefined ? {} : { kinds }),
  ...(checks === undefined ? {} : { checks }),
}
const same = `${values.case === undefined ? '' : ` --case ${values.case}`}${kinds === undefined ? '' : ` --kinds ${kinds.join()}`}`
const badMax = Number(values['stop-after'])
const started = performance.now()
const endMs = started + 1_000 * Number(values.seconds ?? Number.POSITIVE_INFINITY)
let bad = 0

function report({ seed, case: name, events, violations }: Bad): void {
  bad++
  const again = `npm run sim -- --seed ${seed} --trace${same}`
  console.log(`seed ${seed} (${name}, ${events} events): ${again}`)
  for (const { check, what } of violations.slice(0, 5)) console.log(`  ${check}  ${what.slice(0, 400)}`)
}

async function one(seed: number): Promise<void> {
  const result = await simulate(seededDraw(seed), { ...of, ...(values.trace ? { trace: (line) => console.log(line) } : {}) })
  console.log(
    `seed ${seed}: ${result.case}, ${result.guarantee}, ${result.events} events, ${result.restarts} restarts, transactions ` +
      `${result.transactions.committed} committed ${result.transactions.aborted} aborted, faults ` +
      `${[...result.faults].map(([kind, n]) => `${kind} ${n}`).join(' ') || 'none'}`,
  )
  if (result.violations.length > 0) report({ ...result, seed })
}

/** In the order of the seeds, one after the other: the first that is reported is the lowest. */
async function alone(from: number, count: number): Promise<Totals> {
  return await runSeeds(from, count, of, (found) => {
    report(found)
    return bad < badMax
  })
}

async function together(from: number, count: number, jobs: number): Promise<Totals> {
  let totals = NO_RUNS
  let next = from
  const end = from + count
  const share = fileURLToPath(new URL('./share.ts', import.meta.url))
  const work = async (child: ChildProcess): Promise<void> => {
    child.on('exit', (code, signal) => {
      if (child.connected || code !== 0) throw new Error(`a job ended with ${code ?? signal}`)
    })
    while (next < end && bad < badMax && performance.now() < endMs) {
      const first = next
      next = Math.min(end, first + SHARE)
      child.send({ from: first, count: next - first, of })
      const [done] = (await once(child, 'message')) as [{ totals: Totals; bad: readonly Bad[] }]
      totals = add(totals, done.totals)
      if (totals.seeds % TELL === 0) console.log(`${totals.seeds} seeds so far, ${bad} with violations`)
      for (const found of done.bad) if (bad < badMax) report(found)
    }
    child.disconnect()
  }
  await Promise.all(Array.from({ length: jobs }, () => work(fork(share))))
  return totals
}

if (values.seed !== undefined) await one(Number(values.seed))
else {
  const [from, count, jobs] = [Number(values.from), Number(values.seeds ?? 100), Number(values.jobs)]
  const totals = jobs === 1 || count <= SHARE ? await alone(from, count) : await together(from, count, jobs)
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${totals.seeds} seeds from ${from}: ${bad} with violations; ${(totals.seeds / seconds).toFixed(0)} seeds/s, ${totals.events} events ` +
      `(${Math.round(totals.events / seconds)}/s), ${totals.faults} faults, ${totals.restarts} restarts, ${totals.committed} transactions ` +
      `committed, ${totals.aborted} aborted`,
  )
  if (totals.aside > 0) console.log(`${totals.aside} seeds with violations of other checks`)
}
process.exitCode = bad > 0 ? 1 : 0
