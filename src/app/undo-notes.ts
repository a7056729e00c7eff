// What a start has noted in the state directory before it was refused: undone, so that the directory is for the topology that it was for.
//
// Invariant: where a store has come since, the notes stay: they tell what its rows are.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { storedTasks } from './state-dir.ts'
import { STORE_NOTES } from './store-forms.ts'
import { TOPIC_NOTES } from './topic-ids.ts'

/** Of the directory as it is now. `dir`: the application's, in the state directory. */
export function undoNotes(dir: string): () => void {
  const files = [STORE_NOTES, TOPIC_NOTES].map((name) => join(dir, name))
  const before = files.map(bytesOf)
  const stores = storesIn(dir)
  return () => {
    if (storesIn(dir) !== stores) return
    files.forEach((file, i) => {
      const bytes = before[i] ?? null
      if (bytes === null) rmSync(file, { force: true })
      else writeFileSync(file, bytes, { mode: 0o600 })
    })
  }
}

function bytesOf(file: string): Buffer | null {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function storesIn(dir: string): string {
  return storedTasks(dir)
    .flatMap((task) => readdirSync(join(dir, task)).map((store) => `${task}/${store}`))
    .sort()
    .join()
}
