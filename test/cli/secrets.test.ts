// A token, a password, a key and a value are nowhere in what the binary says, whatever it logs and however it fails.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Scratch, type Started, scratch, start } from './binary.ts'

const TOKEN = 'canary-token-0123456789-0123456789-0123456789'
const PASSWORD = 'canary-password-0123456789'
const KEY = 'canary-key'
const VALUE = 'canary-value'
const SHOP = `import { topology, string, json } from 'millrace'
export default topology('shop', (t) => {
  t.stream('in', { key: string(), value: json() })
    .mapValues((value) => { if (value.fails) throw new TypeError('not now'); return value }, { value: json() })
    .groupByKey().count({ store: 'counts' })
})
`
let place: Scratch
let running: Started | null = null
beforeEach(() => {
  place = scratch()
})
afterEach(async () => {
  running?.child.kill('SIGKILL')
  await running?.ended
  place.remove()
})

test('of a run: with a token, records that cannot be decoded, and records that throw', { timeout: 40_000 }, async () => {
  const file = place.write('shop.ts', SHOP)
  const state = `${place.folder}/state`
  const lines = [`{"fails":true,"secret":"${VALUE}"}`, `{"secret":"${VALUE}"}`]
  const input = lines.map((value) => `{"topic":"in","key":"${KEY}","value":${value}}\n`).join('')
  const written = start(['produce', '--state-dir', state, '--topology', file], { input })
  expect((await written.ended).status).toBe(0)
  running = start(['run', file, '--state-dir', state, '--port', '0', '--verbose', '--json'], { env: { MILLRACE_TOKEN: TOKEN } })
  let said = ''
  running.child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/"port":\d+/)
  const port = /"port":(\d+)/.exec(said)?.[1]
  const ask = async (path: string, token: string): Promise<Response> =>
    await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${token}` } })
  const counted = async (): Promise<string> => await (await ask('/metrics', TOKEN)).text()
  await expect.poll(counted, { timeout: 20_000 }).toMatch(/^millrace_dead_letters_total\{[^}]*\} 1$/m)
  expect((await ask(`/stores/counts/${KEY}`, `${TOKEN}x`)).status).toBe(401)
  await expect.poll(async () => (await ask(`/stores/counts/${KEY}`, TOKEN)).status, { timeout: 20_000 }).toBe(200) // once it is committed
  const metrics = await counted()
  running.child.kill('SIGTERM')
  const { status, out, err } = await running.ended
  expect(status, err).toBe(0)
  expect(err).toContain('dead letter')
  for (const secret of [TOKEN, KEY, VALUE]) expect(`${out}${err}${metrics}`.includes(secret), secret).toBe(false)
})

test('of failures: a broker that is not there, options that are wrong', { timeout: 40_000 }, async () => {
  const file = place.write('shop.ts', SHOP)
  const env = {
    MILLRACE_TOKEN: TOKEN,
    MILLRACE_SASL_PASSWORD: PASSWORD,
    MILLRACE_SASL_USERNAME: 'u',
    MILLRACE_SASL_MECHANISM: 'SCRAM-SHA-512',
  }
  const config = place.write('c.json', JSON.stringify({ sasl: { pasword: PASSWORD }, server: { port: 0, tokn: TOKEN } }))
  const failures = [
    start(['run', file, '--state-dir', `${place.folder}/a`, '--brokers', '127.0.0.1:1', '--port', '0', '--verbose'], { env, input: '' }),
    start(['run', file, '--config', config, '--verbose'], { input: '' }),
    start(['run', file, '--port', 'x', '--verbose'], { env, input: '' }),
    start(['run', file, '--host', '0.0.0.0', '--port', '0', '--verbose'], { env: { MILLRACE_TOKEN: TOKEN.slice(0, 20) }, input: '' }),
  ]
  for (const [i, failure] of failures.entries()) {
    const { status, out, err } = await failure.ended
    expect(status, err).toBe(i === 0 ? 1 : 2)
    expect(err).toMatch(/^millrace: /m)
    for (const secret of [TOKEN, TOKEN.slice(0, 20), PASSWORD]) expect(`${out}${err}`.includes(secret), `${i}: ${secret}`).toBe(false)
  }
})
