// A job of cli.ts: a process that runs the seeds that it is told, and answers with what came of them.
import { type Bad, runSeeds, type SeedOptions } from './seeds.ts'

interface Share {
  readonly from: number
  readonly count: number
  readonly of: SeedOptions
}

process.on('message', ({ from, count, of }: Share) => {
  const bad: Bad[] = []
  void runSeeds(from, count, of, (found) => bad.push(found) < 10).then(
    (totals) => process.send?.({ totals, bad }),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
