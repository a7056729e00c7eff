// `millrace dead-letter` as a user types it, on the embedded log: beside a running process and without one, with a process that is killed.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Ended, millrace, start } from './binary.ts'
import { oneRun } from './running.ts'

let broken: string
const app = oneRun((place) => {
  broken = join(place.folder, 'broken')
  writeFileSync(broken, '')
  // What throws is mended by taking a file away: the topology stays as it is.
  return place.write(
    'mend.ts',
    `import { existsSync } from 'node:fs'
import { topology, string, json } from 'millrace'
export default topology('mend', (t) => {
  t.stream('in', { key: string(), value: json<{ n: number; bad?: boolean }>() })
    .mapValues((value) => {
      if (value.bad === true && existsSync(${JSON.stringify(broken)})) throw new Error('the file is\\u001b[2J there')
      return value.n
    })
    .to('out', { key: string(), value: json<number>() })
})
`,
  )
})

const letter = (...args: string[]): Promise<Ended> => millrace(['dead-letter', ...args, '--state-dir', app.state])
const lines = (out: string): any[] =>
  out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
async function produce(records: readonly object[], partition = 0): Promise<void> {
  const input = records
    .map((record, i) => `${JSON.stringify({ topic: 'in', partition, timestamp: 1_700_000_000_000 + i, ...record })}\n`)
    .join('')
  const { status, err } = await millrace(['produce', '--state-dir', app.state, '--topology', app.file], { input })
  expect(status, err).toBe(0)
}
async function outputs(): Promise<number[]> {
  const { status, out, err } = await millrace(['consume', 'out', '--state-dir', app.state])
  expect(status, err).toBe(0)
  return lines(out).map(({ value }) => value)
}
const pending = async (): Promise<string[]> => lines((await letter('list', '--json')).out).map(({ offset }) => offset)

test('listed, replayed while it still fails, and when it is mended; each once', async () => {
  await produce([
    { key: 'a', value: { n: 1 } },
    { key: 'b', value: { n: 2, bad: true } },
    { key: 'c', value: { n: 3, bad: true } },
  ])
  await app.run()
  await expect.poll(pending, { timeout: 20_000 }).toEqual(['0:0', '0:1'])

  const table = await letter('list')
  expect(table).toMatchObject({ status: 0, err: '' })
  expect(table.out.split('\n')[0]).toMatch(/^0:0 +in-0@1 +2023-11-14T22:13:20\.001Z +b +STREAM_CALLBACK +.* threw: the file is \[2J there$/)
  expect(lines((await letter('list', '--json', '--key', 'c')).out)).toMatchObject([
    { offset: '0:1', from: { topic: 'in', partition: 0, offset: 2 }, key: 'c', value: { n: 3, bad: true }, timestamp: 1_700_000_000_002 },
  ])

  // Through the socket of the running process. It fails again, and is another letter then.
  expect(await letter('replay', '--key', 'b')).toMatchObject({ status: 0, out: '1 dead letter replayed\n', err: '' })
  await expect.poll(pending, { timeout: 20_000 }).toEqual(['0:1', '0:2'])
  expect(lines((await letter('list', '--json', '--offset', '0:2')).out)).toMatchObject([{ replayOf: '0:0', from: { offset: 3 } }])
  rmSync(broken)
  expect(lines((await letter('replay', '--json')).out)).toEqual([{ replayed: 2, refused: 0 }])
  await expect.poll(async () => (await outputs()).sort(), { timeout: 20_000 }).toEqual([1, 2, 3])
  expect(await letter('replay')).toMatchObject({ status: 0, out: '0 dead letters replayed\n' })
  expect(await letter('replay', '--offset', '0:2')).toMatchObject({ status: 1, err: expect.stringMatching(/no pending dead letter 0:2/) })
  await app.stop()
  expect(await pending()).toEqual([])
  expect(lines((await letter('list', '--all', '--json')).out).map(({ done }) => done)).toEqual([true, true, true])
}, 120_000)

test('without a process, and a command that is killed half-way', async () => {
  const all = Array.from({ length: 120 }, (_, n) => n)
  await produce(all.map((n) => ({ key: 'k', value: { n, bad: true } })))
  await app.run()
  await expect.poll(async () => (await pending()).length, { timeout: 20_000 }).toBe(120)
  await app.stop()
  rmSync(broken)

  expect(await letter('drop', '--offset', '0:3', '--offset', '0:5')).toMatchObject({ status: 0, out: '2 dead letters dropped\n', err: '' })
  // Later and later, until it has done some of its four seconds of work.
  let left = 118
  for (let patienceMs = 700; left === 118 && patienceMs < 10_000; patienceMs += 300) {
    const killed = start(['dead-letter', 'replay', '--rate', '30', '--state-dir', app.state])
    await sleep(patienceMs)
    killed.child.kill('SIGKILL')
    await killed.ended
    left = (await pending()).length
  }
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(118)
  expect(await letter('replay', '--rate', '100000')).toMatchObject({ status: 0, out: `${left} dead letters replayed\n` })
  await app.run()
  const kept = all.filter((n) => n !== 3 && n !== 5)
  await expect.poll(async () => (await outputs()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(kept.length)
  expect(await outputs()).toEqual(kept)
  await app.stop()
}, 120_000)

test('refusals are one line', async () => {
  const refused = async (status: number, why: RegExp, ...args: string[]): Promise<void> => {
    const { status: was, err, out } = await letter(...args)
    expect(err).toMatch(why)
    expect(err.trim().split('\n')).toHaveLength(1)
    expect({ was, out }).toEqual({ was: status, out: '' })
  }
  await refused(2, /^millrace: state directory .* does not exist/, 'list')
  expect(existsSync(app.state)).toBe(false)
  await produce([{ key: 'a', value: { n: 1 } }])
  await refused(2, /there is no topic mend-dead-letter: the application mend has not run here/, 'list')
  await refused(2, /--offset must be partition:offset, such as 0:17, not "17"/, 'replay', '--offset', '17')
  await refused(2, /--since must be epoch ms, an ISO date or a duration such as 2h, not "yesterday"/, 'list', '--since', 'yesterday')
  await refused(2, /drop which\?/, 'drop')
  await refused(2, /--all goes with no other choice/, 'drop', '--all', '--key', 'a')
  await refused(2, /whole number from 1 to 1000000/, 'replay', '--rate', '0')
  await refused(2, /unknown command 'lst'/, 'lst')
  expect(await millrace(['dead-letter'])).toMatchObject({ status: 2, out: '', err: 'millrace: which command of it? --help lists them\n' })
  for (const words of [['list'], ['replay'], ['drop']]) {
    const help = await millrace(['dead-letter', ...words, '--help'])
    expect(help).toMatchObject({ status: 0, out: expect.stringContaining(`millrace dead-letter ${words[0]}`) })
    expect(help.out).toContain('Example')
  }
}, 120_000)

test('with blockKey the key waits, over a kill, and a replay runs it in its order', async () => {
  const config = app.place.write('config.json', JSON.stringify({ onError: { blockKey: true } }))
  await produce([
    { key: 'k', value: { n: 1, bad: true } },
    { key: 'k', value: { n: 2 } },
    { key: 'other', value: { n: 10 } },
  ])
  await app.run('--config', config)
  await expect.poll(outputs, { timeout: 20_000 }).toEqual([10])
  expect((await letter('list')).out).toMatch(/STREAM_CALLBACK +\(its key waits\)/)
  await app.kill()
  await produce([{ key: 'k', value: { n: 3 } }])
  rmSync(broken)
  // Without a process: its task finds the letter when it comes back.
  expect(await letter('replay')).toMatchObject({ status: 0, out: '1 dead letter replayed\n', err: '' })
  await app.run('--config', config)
  await expect.poll(outputs, { timeout: 20_000 }).toEqual([1, 2, 3, 10]) // by partition
  await app.stop()
  expect(await pending()).toEqual([])
}, 120_000)
