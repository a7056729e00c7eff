// The other process of the store's crash and damage tests: what may be killed, or abort. One word says what it does; it answers
// in lines on standard output.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { applyBatch, judge, nextBatch, STORE, TASK } from './store-model.ts'

const [word, dir = '', ...rest] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)
const world = systemWorld()

switch (word) {
  case 'fill': {
    // fill <dir> <batches> <boot id> clean|unclean
    const [batches, bootId, how] = rest as [string, string, string]
    const { store } = await levelProvider({ dir, world, bootId }).open(TASK, STORE, true)
    for (let batch = nextBatch(store); batch < Number(batches); batch++) await applyBatch(store, batch)
    if (how === 'clean') await store.close()
    // A full memtable that is being written to a table has a write-ahead log of its own: one log only, the damage is told by.
    while (readdirSync(join(dir, TASK, STORE)).filter((name) => name.endsWith('.log')).length > 1) await world.timers.sleep(10)
    say('filled')
    process.kill(process.pid, 'SIGKILL')
    break
  }
  case 'apply': {
    // apply <dir>: acknowledges each batch by its number, until it is killed
    const { store, rebuilt } = await levelProvider({ dir, world }).open(TASK, STORE, true)
    if (rebuilt !== null) say(`rebuilt ${rebuilt}`)
    for (let batch = nextBatch(store); ; batch++) {
      await applyBatch(store, batch)
      say(`${batch}`)
    }
  }
  case 'hold': {
    await levelProvider({ dir, world }).open(TASK, STORE, true)
    say('held')
    setInterval(() => {}, 60_000)
    break
  }
  case 'flip': {
    // flip <dir> <scratch dir> <seed> <count> <check tables>: a bit flipped in each copy of the store, and what became of it
    const [scratch, seed, count, checkTables] = rest as [string, string, string, string]
    let state = Number(seed) >>> 0
    const below = (bound: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.floor((state / 2 ** 32) * bound)
    }
    for (let i = 0; i < Number(count); i++) {
      const copy = join(scratch, `${i}`)
      cpSync(dir, copy, { recursive: true })
      const path = join(copy, TASK, STORE)
      const names = readdirSync(path).filter((name) => /^(?:.*\.ldb|.*\.log|MANIFEST-.*|CURRENT)$/.test(name))
      // Half of the flips go to the tables, where LevelDB itself sees least.
      const tables = names.filter((name) => name.endsWith('.ldb'))
      const among = below(2) === 0 ? tables : names
      const name = among[below(among.length)] as string
      const bytes = readFileSync(join(path, name))
      const at = below(bytes.length)
      bytes[at] = (bytes[at] as number) ^ (1 << below(8))
      writeFileSync(join(path, name), bytes)
      say(JSON.stringify({ flip: `${name}@${at}` }))
      const provider = levelProvider({ dir: copy, world, bootId: 'boot-a', checkTables: checkTables === 'true' })
      say(JSON.stringify({ flip: `${name}@${at}`, verdict: await judge(provider) }))
      rmSync(copy, { recursive: true, force: true })
    }
    break
  }
  case 'full': {
    // full <dir>: writes until the disk takes no more, then gives room back by removing <dir>/../ballast
    const provider = levelProvider({ dir, world })
    const { store } = await provider.open(TASK, STORE, true)
    const errors: string[] = []
    const attempt = async (what: () => Promise<unknown>): Promise<void> => {
      await what().catch((error: { code?: string }) => errors.push(error.code ?? String(error)))
    }
    let batch = 0
    for (; errors.length === 0 && batch < 2_000; batch++) await attempt(() => applyBatch(store, batch))
    const acknowledged = batch - 1
    rmSync(join(dir, '..', 'ballast'), { force: true })
    for (let i = 0; i < 20; i++) await attempt(() => applyBatch(store, batch + i))
    await attempt(async () => store.getSync(Buffer.from('a')))
    await attempt(() => store.getMany([Buffer.from('a')]))
    await attempt(() => store.sizeBytes())
    const { damaged } = store
    await store.close()
    say(JSON.stringify({ acknowledged, errors, damaged }))
    const verdict = await judge(provider)
    say(JSON.stringify({ verdict }))
    break
  }
  default:
    say(`unknown word ${word}`)
    process.exitCode = 2
}
