// A thread's own priority: the process that it lives in keeps its own.
import { readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'

const NICENESS = 3
const MODULE = new URL('../../src/base/niceness.ts', import.meta.url).href
/** The 19th field of a thread's stat is its niceness (proc(5)); the name before it, in parentheses, may have spaces. */
const THREAD = `
  import { readFileSync } from 'node:fs'
  import { parentPort } from 'node:worker_threads'
  import { yieldToOthers } from ${JSON.stringify(MODULE)}
  const done = yieldToOthers(${NICENESS})
  const stat = process.platform === 'linux' ? readFileSync('/proc/thread-self/stat', 'utf8') : null
  parentPort.postMessage({ done, stat })
`
const nicenessOf = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])

it('a thread yields to others, and its process does not', async () => {
  const before = getPriority()
  const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`))
  const { done, stat } = await new Promise<{ done: boolean; stat: string | null }>((resolve, reject) => {
    thread.once('message', resolve)
    thread.once('error', reject)
  })
  await thread.terminate()
  expect(getPriority()).toBe(before)
  if (stat === null) {
    console.log('SKIPPED: threads have priorities of their own on Linux alone')
    expect(done).toBe(false)
    return
  }
  expect(done).toBe(true)
  expect(nicenessOf(stat)).toBe(Math.min(19, before + NICENESS))
  expect(nicenessOf(readFileSync('/proc/self/stat', 'utf8'))).toBe(before)
})
