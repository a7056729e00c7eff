// `verify` and `top` as they are typed: what they print, their statuses, and what they refuse.
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { drawn, type Sample, view } from '../../src/cli/top.ts'
import { COUNT, millrace } from './binary.ts'
import { oneRun } from './running.ts'

const shop = oneRun((place) => place.write('count.ts', COUNT))

test('a run is watched; its stores are verified, damaged, and rebuilt', { timeout: 60_000 }, async () => {
  const { file, state } = shop
  const input = ['a', 'b', 'a'].map((key) => `{"topic":"in","key":"${key}","value":"x","timestamp":1}\n`).join('')
  expect((await millrace(['produce', '--state-dir', state, '--topology', file], { input })).status).toBe(0)
  expect(await millrace(['top', '--state-dir', state])).toMatchObject({
    status: 2,
    err: expect.stringMatching(/no process runs on state directory/),
  })
  await shop.run()
  await expect.poll(async () => (await millrace(['query', 'counts', 'a', '--state-dir', state])).out, { timeout: 20_000 }).toBe('2\n')

  const shown = await millrace(['top', '--state-dir', state, '--interval', '100ms'])
  expect(shown).toMatchObject({ status: 0, err: '' })
  expect(shown.out).toMatch(
    /^count: ready\n0 records\/s in, 0\/s out, lag 0, dead letters 0\n\d+\.\d epochs\/s, the last committed in \d+ ms, 0 rewinds, 1 rebalances, 0 standbys\nTASK/,
  )
  expect(shown.out.split('\n').filter((line) => /^0_\d .* counts$/.test(line))).toHaveLength(4)
  const totals = JSON.parse((await millrace(['top', '--state-dir', state, '--json', '--interval', '100ms'])).out)
  expect(totals.tasks.reduce((sum: number, { records }: { records: number }) => sum + records, 0)).toBe(3)
  expect(await millrace(['verify', file, '--state-dir', state])).toMatchObject({
    status: 2,
    err: expect.stringMatching(/in use by process/),
  })
  await shop.stop()

  const sound = await millrace(['verify', file, '--state-dir', state])
  expect(sound).toMatchObject({ status: 0, err: '' })
  expect(sound.out).toMatch(/^0_\d\/counts +sound +\d rows$/m)
  const folder = join(state, 'count', '0_0', 'counts')
  for (const name of readdirSync(folder)) if (name.startsWith('MANIFEST')) writeFileSync(join(folder, name), 'none')
  const bad = await millrace(['verify', file, '--state-dir', state])
  expect(bad).toMatchObject({
    status: 1,
    err: 'millrace: 1 of 4 stores are not what their changelogs say; --rebuild sets them aside and restores them\n',
  })
  expect(bad.out).toMatch(/^0_0\/counts +damaged +LevelDB can't open it/m)
  const rebuilt = await millrace(['verify', file, '--state-dir', state, '--rebuild', '--json'])
  expect(rebuilt.status).toBe(0)
  expect(
    rebuilt.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((one) => one.rebuilt),
  ).toMatchObject([{ task: '0_0', state: 'damaged' }])
  expect((await millrace(['verify', file, '--state-dir', state])).status).toBe(0)

  rmSync(join(state, 'count'), { recursive: true })
  expect(await millrace(['verify', file, '--state-dir', state])).toMatchObject({
    status: 2,
    err: expect.stringMatching(/holds no stores of count/),
  })
})

describe('top', () => {
  const task = (id: string, records: number, more: object = {}) => ({
    id,
    records,
    out: 0,
    lag: 0,
    deadLetters: 0,
    stores: ['a', 'b'],
    ...more,
  })
  const sample = (atMs: number, tasks: Sample['figures']['tasks'], more: object = {}): Sample => ({
    atMs,
    figures: {
      applicationId: 'shop',
      ready: true,
      epochs: 10,
      commitMs: 12.4,
      rewinds: 1,
      rebalances: 2,
      restoring: null,
      standbys: 0,
      tasks,
      ...more,
    },
  })
  test('rates are of the time between, a task that was opened anew has none, tasks are in their order', () => {
    const before = sample(1_000, [task('0_2', 100), task('0_10', 500), task('1_0', 900)])
    const now = sample(3_000, [task('0_10', 2_500, { lag: 1_234_567 }), task('1_0', 5), task('0_2', 300)], { epochs: 30 })
    expect(view(now, before)).toEqual([
      'shop: ready',
      '1,100 records/s in, 0/s out, lag 1,234,567, dead letters 0',
      '10.0 epochs/s, the last committed in 12 ms, 1 rewinds, 2 rebalances, 0 standbys',
      'TASK       RECORDS/S       OUT/S         LAG    DEAD  STORES',
      '0_2              100           0           0       0  a b',
      '0_10           1,000           0   1,234,567       0  a b',
      '1_0                0           0           0       0  a b',
    ])
  })
  test('a restore says how far it is', () => {
    const restoring = { task: '0_1', store: 'counts', restored: 5_000, remaining: 20 }
    expect(view(sample(2, [], { ready: false, restoring }), sample(1, []))[0]).toBe(
      'shop: restoring counts of task 0_1: 5,000 records, 20 to go',
    )
  })
  test('what is drawn fits the screen', () => {
    const lines = ['x'.repeat(200), ...Array.from({ length: 50 }, (_, i) => `task ${i}`)]
    const rows = drawn(lines, 10, 80).split('\n')
    expect(rows).toHaveLength(10)
    expect(rows.at(-2)).toContain('... 43 tasks more')
    expect(rows[0]?.length).toBeLessThan(90)
  })
  test('it refuses', async () => {
    const { state } = shop
    for (const [args, why] of [
      [[], /which process\? give its --state-dir/],
      [['--state-dir', state, '--interval', 'soon'], /--interval/],
      [['--state-dir', state, '--interval', '1ms'], /from 100ms to 1h/],
      [['--state-dir', state], /no process runs on state directory/],
    ] as const) {
      const ended = await millrace(['top', ...args])
      expect(ended, String(why)).toMatchObject({ status: 2, out: '', err: expect.stringMatching(why) })
      expect(ended.err.trim().split('\n')).toHaveLength(1)
    }
  })
})
