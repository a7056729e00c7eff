// `run` on the embedded log as a process, and `produce`, `consume`, `query` beside it and after it.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { COUNT, type Ended, endAll, millrace, type Scratch, type Started, scratch, start } from './binary.ts'

let place: Scratch
let file: string
let state: string
let running: Started[]

beforeEach(() => {
  place = scratch()
  file = place.write('count.ts', COUNT)
  state = join(place.folder, 'state')
  running = []
})
afterEach(async () => {
  await endAll(running)
  place.remove()
})

/** Begun before the tests, as it waits for 8 s; the rest is the start of a process, which a busy machine draws out. */
let unreachable: Promise<Ended & { readonly tookMs: number }>
let nowhere: Scratch
beforeAll(() => {
  nowhere = scratch()
  const begun = performance.now()
  const words = ['run', nowhere.write('count.ts', COUNT), '--state-dir', join(nowhere.folder, 'state'), '--brokers', '127.0.0.1:9']
  unreachable = millrace(words).then((ended) => ({ ...ended, tookMs: performance.now() - begun }))
  unreachable.catch(() => {})
})
afterAll(async () => {
  await unreachable.catch(() => {})
  nowhere.remove()
})

async function run(...flags: string[]): Promise<Started> {
  const started = start(['run', file, '--state-dir', state, ...flags])
  running.push(started)
  let said = ''
  await new Promise<void>((resolve) => {
    started.child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (/"stateDir":.*"msg":"running"/.test(said)) resolve() // all stores are restored
    })
    started.child.on('close', () => resolve())
  })
  return started
}

const input = (...keys: string[]): string =>
  keys.map((key, i) => `{"topic":"in","key":"${key}","value":"x","timestamp":${i + 1}}\n`).join('')
const produce = (text: string, ...flags: string[]) => millrace(['produce', '--state-dir', state, ...flags], { input: text })
const consume = async (topic: string): Promise<{ key: string; value: unknown }[]> => {
  const { status, out, err } = await millrace(['consume', topic, '--state-dir', state])
  expect(status, err).toBe(0)
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}
const query = (key: string) => millrace(['query', 'counts', key, '--state-dir', state])

describe('run', () => {
  test('processes what is produced; SIGTERM ends it with 0; what it wrote can be read without it', async () => {
    const { child, ended } = await run()
    expect(statSync(join(state, 'control.sock')).mode & 0o777).toBe(0o600)
    expect(await produce(input('a', 'b', 'a'))).toMatchObject({ status: 0, out: '', err: '' })
    await expect.poll(async () => (await query('a')).out, { timeout: 15_000 }).toBe('2\n')
    const before = await consume('out')
    expect(before.filter(({ key }) => key === 'a').map(({ value }) => value)).toEqual([1, 2])
    expect(await query('c')).toMatchObject({ status: 1, out: '', err: 'millrace: store counts has no row for this key\n' })
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ status: 0, signal: null, out: '' })
    expect(existsSync(join(state, 'control.sock'))).toBe(false)
    expect(await consume('out')).toEqual(before)
    expect((await query('a')).out).toBe('2\n')
  }, 60_000)

  test('under another application id; rows of a range, running and not', async () => {
    const { child, ended } = await run('--application-id', 'other')
    expect(await produce(input('a', 'b', 'a', 'c'))).toMatchObject({ status: 0 })
    await expect.poll(async () => (await query('c')).out, { timeout: 15_000 }).toBe('1\n')
    const some = (...words: string[]) => millrace(['query', 'counts', ...words, '--state-dir', state])
    const shown = async (): Promise<void> => {
      expect((await query('a')).out).toBe('2\n')
      expect((await some()).out).toBe('{"key":"a","value":2}\n{"key":"b","value":1}\n{"key":"c","value":1}\n')
      expect((await some('--from', 'b', '--limit', '1')).out).toBe('{"key":"b","value":1}\n')
      expect(await some('--prefix', 'x')).toMatchObject({ status: 0, out: '' })
    }
    await shown()
    child.kill('SIGTERM')
    await ended
    await shown()
    expect(await some('a', '--from', 'b')).toMatchObject({
      status: 2,
      err: expect.stringMatching(/^millrace: query: --from and --to are of a range/),
    })
    expect(await some('a', '--windows', '--from', 'b')).toMatchObject({
      status: 2,
      err: expect.stringMatching(/--from must be a time in epoch ms/),
    })
    expect(await some('a', '--as-of', '5')).toMatchObject({ status: 2, err: 'millrace: store counts holds no versions\n' })
  }, 60_000)

  test('killed, its durable records are there, and it goes on where it was', async () => {
    const first = await run()
    expect((await produce(input('a', 'a', 'a'))).status).toBe(0)
    await expect.poll(async () => (await query('a')).out, { timeout: 15_000 }).toBe('3\n')
    first.child.kill('SIGKILL')
    await first.ended
    expect(await consume('in')).toHaveLength(3)
    expect((await produce(input('a'))).status).toBe(0)
    const second = await run()
    await expect.poll(async () => (await query('a')).out, { timeout: 15_000 }).toBe('4\n')
    expect((await consume('out')).map(({ value }) => value)).toEqual([1, 2, 3, 4])
    second.child.kill('SIGINT')
    expect((await second.ended).status).toBe(0)
  }, 60_000)

  test('a port is opened where one is asked for, and closed by SIGTERM; without one nothing listens', async () => {
    const { child, ended } = await run('--port', '0')
    child.kill('SIGTERM')
    const { status, err } = await ended
    expect(status).toBe(0)
    const line = err.split('\n').find((one) => one.includes('HTTP server listens'))
    const { port, host } = JSON.parse(line as string) as { port: number; host: string }
    expect(host).toBe('127.0.0.1')
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow('fetch failed')
    const quiet = await run()
    quiet.child.kill('SIGTERM')
    expect((await quiet.ended).err).not.toContain('HTTP')
  }, 30_000)

  test('rows over HTTP, with a token when there is one; a taken port is status 2', async () => {
    const token = 'x'.repeat(40)
    const started = start(['run', file, '--state-dir', state, '--port', '0', '--json'], { env: { MILLRACE_TOKEN: token } })
    running.push(started)
    let said = ''
    started.child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    await expect.poll(() => said, { timeout: 15_000 }).toMatch(/"stateDir":.*"msg":"running"/)
    const { port } = JSON.parse(said.split('\n')[0] as string) as { port: number }
    expect((await produce(input('a', 'b', 'a'))).status).toBe(0)
    const get = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/stores/counts/a`, { headers })
    const authorization = `Bearer ${token}`
    await expect.poll(async () => (await get({ authorization })).text(), { timeout: 15_000 }).toBe('{"key":"a","value":2}')
    expect((await get({})).status).toBe(401)
    expect(said).not.toContain(token)
    const other = await millrace(['run', file, '--state-dir', join(place.folder, 'other'), '--port', String(port)])
    expect(other).toMatchObject({ status: 2, out: '' })
    expect(other.err.trim().split('\n').at(-1)).toBe(
      `millrace: port ${port} of 127.0.0.1 is in use; take another --port, or 0 for a free one`,
    )
  }, 60_000)

  test('a state directory has one owner', async () => {
    await run()
    const other = await millrace(['run', file, '--state-dir', state])
    expect(other).toMatchObject({ status: 2, out: '' })
    expect(other.err).toMatch(/^millrace: .*state/)
  }, 30_000)

  test('refusals, before anything is made', async () => {
    const refused = async (args: readonly string[], why: RegExp, env: Record<string, string> = {}): Promise<void> => {
      const ended = await millrace(args, { env, cwd: place.folder })
      expect(ended.err).toMatch(why)
      expect(ended).toMatchObject({ status: 2, out: '' })
      expect(existsSync(state)).toBe(false)
    }
    await refused(['run', file, '--state-dir', state, '--port', '0', '--host', '0.0.0.0'], /can be reached from outside/)
    await refused(['run', file, '--state-dir', state, '--port', '0'], /32 bytes or more/, { MILLRACE_TOKEN: 'short' })
    await refused(['run', file, '--state-dir', state, '--guarantee', 'twice'], /guarantee must be one of/)
    await refused(
      ['run', file, '--state-dir', state, '--workers', '2'],
      /workers: 2 needs brokers: the embedded log belongs to one event loop; name brokers/,
    )
    await refused(
      ['dev', file, '--state-dir', state, '--config', place.write('c.json', '{"brokers":["a:1"]}')],
      /dev works on the embedded log/,
    )
    await refused(['consume', 'out', '--state-dir', state], /state directory .* does not exist/)
    await refused(['query', 'counts', 'a', '--state-dir', state], /does not exist/)
    await refused(['produce', '--state-dir', state], /does not exist; to begin one, name a topology/)
    await refused(['produce', '--state-dir', state, '--topology', 'nowhere.ts'], /nowhere\.ts: there is no such file/)
    await refused(['consume', 'out'], /where are the records\?/)
    const empty = join(place.folder, 'empty')
    mkdirSync(empty)
    await refused(['consume', 'out', '--state-dir', empty], /empty holds no embedded log; name the one of a run/)
    await refused(['query', 'counts', 'a', '--state-dir', empty], /holds no embedded log/)
    await refused(['produce', '--state-dir', empty], /holds no embedded log; to begin one, name a topology/)
    await refused(['produce', '--state-dir', empty, '--topology', 'nowhere.ts'], /nowhere\.ts: there is no such file/)
    expect(readdirSync(empty)).toEqual([])
  }, 60_000)

  test('no broker: status 1 soon, the address named', async () => {
    const ended = await unreachable
    expect(ended.tookMs).toBeLessThan(20_000)
    expect(ended.status).toBe(1)
    expect(ended.err.trim().split('\n').at(-1)).toMatch(/^millrace: .*127\.0\.0\.1:9/)
  }, 30_000)
})

test('whatever is made in the state directory is for its owner only', async () => {
  mkdirSync(join(state, 'count'), { recursive: true, mode: 0o755 })
  chmodSync(state, 0o755)
  await produce(input('a'), '--topology', file)
  const { child, ended } = await run()
  await expect.poll(async () => (await query('a')).out, { timeout: 15_000 }).toBe('1\n')
  const entries = readdirSync(state, { recursive: true, withFileTypes: true })
  expect(entries.filter((entry) => entry.name === 'CURRENT').length).toBeGreaterThan(1)
  const open = entries.filter((entry) => (statSync(join(entry.parentPath, entry.name)).mode & 0o077) !== 0)
  expect(open.map((entry) => join(entry.parentPath, entry.name))).toEqual([])
  child.kill('SIGTERM')
  expect((await ended).status).toBe(0)
}, 30_000)

describe('a close that never ends', () => {
  // The file's `millrace` is the very package that runs it.
  const stuck = () => {
    file = place.write(
      'stuck.ts',
      `import { StreamProcessor } from 'millrace'\nStreamProcessor.prototype.close = () => new Promise(() => {})\n${COUNT}`,
    )
    return run()
  }
  const told = (started: Started, what: string) =>
    new Promise<void>((resolve) => started.child.stderr?.on('data', (chunk: Buffer) => chunk.includes(what) && resolve()))

  test('the second signal ends the process at once, status 1, and nothing durable is lost', async () => {
    await produce(input('a', 'b'), '--topology', file)
    const started = await stuck()
    started.child.kill('SIGTERM')
    await told(started, 'stopping')
    await new Promise((resolve) => setTimeout(resolve, 400)) // within a moment it would count as the same one
    expect(started.child.exitCode).toBe(null)
    const begun = performance.now()
    started.child.kill('SIGTERM')
    expect(await started.ended).toMatchObject({ status: 1, signal: null })
    expect(performance.now() - begun).toBeLessThan(5_000) // by itself it would take 9.5 s
    expect((await consume('in')).map(({ key }) => key).sort()).toEqual(['a', 'b'])
  }, 30_000)

  test('one signal that comes twice within a moment counts once; the time for it runs out: status 1, after 9.5 s', async () => {
    const started = await stuck()
    const begun = performance.now()
    started.child.kill('SIGTERM')
    await told(started, 'stopping')
    started.child.kill('SIGINT')
    const { status, err } = await started.ended
    expect(status).toBe(1)
    expect(performance.now() - begun).toBeGreaterThan(8_000)
    expect(performance.now() - begun).toBeLessThan(12_000) // 9.5 s, and the end of a process on a busy machine
    expect(err.trim().split('\n').at(-1)).toMatch(/^millrace: not closed within 9.5 s; what was not committed is done again/)
  }, 30_000)
})

describe('without a process', () => {
  test('produce --topology begins a directory, later commands know its topology', async () => {
    expect(await produce(input('a', 'b'), '--topology', file)).toMatchObject({ status: 0, err: '' })
    expect((await produce(input('c'))).status).toBe(0)
    expect((await consume('in')).map(({ key }) => key).sort()).toEqual(['a', 'b', 'c'])
    await run()
    await expect.poll(async () => (await consume('out')).length, { timeout: 15_000 }).toBe(3)
  }, 60_000)

  test('a topology file that has moved: what is remembered is named, and the way out', async () => {
    const moving = place.write('moving.ts', COUNT)
    expect((await produce(input('a'), '--topology', moving)).status).toBe(0)
    rmSync(moving)
    const onKafka = await millrace(['query', 'counts', 'a', '--state-dir', state, '--brokers', '127.0.0.1:1'])
    for (const ended of [await millrace(['consume', 'in', '--state-dir', state]), await produce(input('b')), await query('a'), onKafka]) {
      expect(ended).toMatchObject({ status: 2, out: '' })
      expect(ended.err).toMatch(
        /^millrace: .*state is of the topology .*moving\.ts, which is not there any more; name its file with --topology\n$/,
      )
    }
    expect((await produce(input('b'), '--topology', file)).status).toBe(0)
    expect(await consume('in')).toHaveLength(2)
  }, 30_000)

  test('a refused line: those before it are durable, status 2', async () => {
    const bad = await produce(`${input('a')}{"topic":"in","key":5,"value":"x"}\n${input('b')}`, '--topology', file)
    expect(bad).toMatchObject({ status: 2, err: expect.stringMatching(/^millrace: line 2: the key is refused: string\(\)/) })
    expect((await consume('in')).map(({ key }) => key)).toEqual(['a'])
  }, 30_000)
})

test('consume --follow shows what comes later, and ends quietly on a signal', async () => {
  await run()
  await produce(input('a'))
  const { child, ended } = start(['consume', 'in', '--state-dir', state, '--follow'])
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  await expect.poll(() => seen, { timeout: 10_000 }).toContain('"a"')
  await produce(input('b'))
  await expect.poll(() => seen, { timeout: 10_000 }).toContain('"b"')
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ status: 0, err: '' })
}, 60_000)
