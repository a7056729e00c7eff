// Calls something slow that writes down who called, in the file that TEST_CALLS names.
import { appendFileSync } from 'node:fs'
import { json, string, topology } from 'millrace'

export interface Job {
  readonly n: number
}

const CALLS = process.env.TEST_CALLS as string

export default topology('calling', (t) => {
  t.stream('jobs', { key: string(), value: json<Job>() })
    .mapAsync(
      async (job, _, { idempotencyKey }) => {
        appendFileSync(CALLS, `${job.n} ${idempotencyKey}\n`)
        await new Promise((resolve) => setTimeout(resolve, job.n % 10 === 0 ? 400 : 30))
        return job
      },
      { store: 'calls', concurrency: 8, value: json<Job>() },
    )
    .to('done', { key: string(), value: json<Job>() })
})
