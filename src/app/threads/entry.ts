// What a worker's thread runs first: where the process keeps what Node has compiled, the thread looks and keeps it too; then the worker.
// Nothing else is loaded here, or it would be compiled anew.
import { enableCompileCache } from 'node:module'
import { workerData } from 'node:worker_threads'
import type { ThreadData } from './words.ts'

const { compiledIn } = workerData as ThreadData
if (compiledIn !== null) enableCompileCache(compiledIn)
await import('./thread.ts')
