// `millrace dev` as a process: the live page, a change of the file and of what it imports, changes that are refused, and the state over all
// of them.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectControl } from '../../src/control/client.ts'
import { endAll, millrace, type Scratch, type Started, scratch, start } from '../cli/binary.ts'

let place: Scratch
let running: Started[]
beforeEach(() => {
  place = scratch()
  running = []
})
afterEach(async () => {
  await endAll(running)
  place.remove()
})

const topologyOf = (name: string, middle: string, key = 'string()'): string => `import { topology, string, int64, json } from 'millrace'
import { mark } from './mark.ts'
export default topology('${name}', (t) => {
  t.stream('in', { key: ${key}, value: string() })${middle}.groupByKey().count({ store: 'counts' }).toStream()
    .mapValues((n) => mark + n).to('out', { key: ${key}, value: json() })
})
`

interface Dev {
  readonly started: Started
  said(): string
  says(wanted: RegExp): Promise<void>
  readonly page: string
}

async function dev(...flags: string[]): Promise<Dev> {
  const started = start(['dev', join(place.folder, 'count.ts'), '--json', ...flags], { cwd: place.folder })
  running.push(started)
  let said = ''
  started.child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const says = (wanted: RegExp): Promise<void> => expect.poll(() => said, { timeout: 30_000 }).toMatch(wanted)
  await says(/"stateDir":.*"msg":"running"/)
  return { started, said: () => said, says, page: /"page":"([^"]+)"/.exec(said)?.[1] as string }
}

const write = (text: string): void => writeFileSync(join(place.folder, 'count.ts'), text)
const mark = (text: string): void => writeFileSync(join(place.folder, 'mark.ts'), `export const mark = '${text}'\n`)

async function produce(state: string, ...keys: string[]): Promise<void> {
  const control = await connectControl(state)
  await control?.produce(keys.map((key, i) => ({ number: i + 1, bytes: Buffer.from(JSON.stringify({ topic: 'in', key, value: 'x' })) })))
  control?.close()
}

async function outputs(state: string): Promise<unknown[]> {
  const control = await connectControl(state)
  const found: unknown[] = []
  if (control !== null) for await (const some of control.consume('out', false, new AbortController().signal)) found.push(...some)
  control?.close()
  return found.map((line) => (JSON.parse(line as string) as { value: unknown }).value)
}

test('a change runs, with the state that was there; one that is refused is told, and the former goes on', {
  timeout: 120_000,
}, async () => {
  write(topologyOf('count', ''))
  mark('a')
  const { page, says, said, started } = await dev('--port', '0')
  const state = join(place.folder, '.millrace/count')
  expect((await fetch(page)).headers.get('content-type')).toBe('text/html; charset=utf-8')
  await produce(state, 'k')
  await expect.poll(() => outputs(state), { timeout: 20_000 }).toEqual(['a1'])

  // A file that it imports; and the topology's name, which is not the application's any more.
  mark('b')
  await says(/the file has changed: its topology runs/)
  await produce(state, 'k')
  await expect.poll(() => outputs(state), { timeout: 20_000 }).toEqual(['a1', 'b2'])
  expect((await fetch(`${page}health/ready`)).status).toBe(200)

  // Not even loaded, planned, and of a store that is of another form: what runs goes on.
  for (const [text, why] of [
    ['export default 1 +', /the change is refused: the topology as it was goes on/],
    [topologyOf('count', ".groupByKey().count({ store: 'counts' }).toStream()"), /counts.*the change is refused/],
    [topologyOf('count', '', 'int64()'), /its rows could not be read.*the change is refused: the topology as it was goes on/],
  ] as const) {
    const before = said().length
    write(text)
    await expect.poll(() => said().slice(before), { timeout: 30_000 }).toMatch(why)
    await produce(state, 'k')
  }
  await expect.poll(() => outputs(state), { timeout: 20_000 }).toEqual(['a1', 'b2', 'b3', 'b4', 'b5'])

  const before = said().length
  write(topologyOf('other', '.mapValues((v) => v)'))
  await expect.poll(() => said().slice(before), { timeout: 30_000 }).toMatch(/the file has changed: its topology runs/)
  await produce(state, 'k')
  await expect.poll(() => outputs(state), { timeout: 20_000 }).toContain('b6')
  started.child.kill('SIGTERM')
  expect(await started.ended).toMatchObject({ status: 0, signal: null })
})

test('a change that comes while the file is being loaded is noticed: what runs is what the files say', { timeout: 60_000 }, async () => {
  const first = `import { writeFileSync } from 'node:fs'
if (mark === 'a') writeFileSync(new URL('mark.ts', import.meta.url), "export const mark = 'written later'")
`
  write(`${first}${topologyOf('count', '')}`)
  mark('a')
  const { says } = await dev('--port', '0')
  await says(/the file has changed: its topology runs/)
  const state = join(place.folder, '.millrace/count')
  await produce(state, 'k')
  await expect.poll(() => outputs(state), { timeout: 20_000 }).toEqual(['written later1'])
})

test('what is wrong at the start ends it; an ephemeral state is gone at the end', { timeout: 60_000 }, async () => {
  write('export default 1')
  const wrong = await millrace(['dev', join(place.folder, 'count.ts')], { cwd: place.folder })
  expect(wrong).toMatchObject({ status: 2, err: expect.stringMatching(/^millrace: .*its default export is a number/) })
  write(topologyOf('count', ''))
  mark('a')
  const both = await millrace(['dev', join(place.folder, 'count.ts'), '--ephemeral', '--state-dir', 'state'], { cwd: place.folder })
  expect(both).toMatchObject({ status: 2, err: expect.stringMatching(/--ephemeral makes a folder of its own/) })
  const { said, started, page } = await dev('--ephemeral')
  const state = /"stateDir":"([^"]+)"/.exec(said())?.[1] as string
  expect(existsSync(join(state, 'log'))).toBe(true)
  expect(Number(new URL(page).port)).toBeGreaterThanOrEqual(7070)
  started.child.kill('SIGTERM')
  expect((await started.ended).status).toBe(0)
  expect(existsSync(state)).toBe(false)
  expect(existsSync(join(place.folder, '.millrace'))).toBe(false)
})
