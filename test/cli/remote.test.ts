// `query --url`: what comes back by HTTP is what the control socket tells, page by page; and what it refuses.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { Secret } from '../../src/base/secret.ts'
import { remoteRows } from '../../src/cli/remote.ts'
import { connectControl } from '../../src/control/client.ts'
import type { RowsAsk } from '../../src/control/rows.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import { type Line, type Serving, serve } from '../server/serving.ts'

const TOKEN = 'a-token-of-more-than-thirty-two-bytes-as-asked'
const ROWS = LIMITS.answerRowsMax + 50
const lines: readonly Line[] = [
  ...Array.from({ length: ROWS }, (_, i) => ({ topic: 'items', key: `k${i}`, value: { version: 1, name: `n${i}` } })),
  { topic: 'items', key: 'a key/with ?odd#things', value: { version: 1, name: 'odd' } },
  { topic: 'numbers', key: '9007199254740993', value: 'x' },
]
let serving: Serving
let local: Pick<ControlHandler, 'query' | 'rows'> & { close(): void }
let url: string
beforeAll(async () => {
  serving = await serve(lines, { token: TOKEN })
  url = `http://127.0.0.1:${serving.port}`
  local = (await connectControl(serving.app.config.stateDir)) as NonNullable<Awaited<ReturnType<typeof connectControl>>>
  const isThere = async (): Promise<boolean> =>
    (await all(local, 'items', { form: 'range' })).length === ROWS + 1 && (await local.query('counts', '9007199254740993')) !== null
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 20))
}, 60_000)
afterAll(async () => {
  local.close()
  await serving.close()
})

const remote = () => remoteRows(url, new Secret(TOKEN))
const all = async (from: Pick<ControlHandler, 'rows'>, store: string, ask: RowsAsk, limit = 1e9): Promise<string[]> => {
  const found: string[] = []
  for await (const some of from.rows(store, ask, limit)) found.push(...some)
  return found
}

describe('rows', () => {
  it('of a key', async () => {
    for (const key of ['k7', 'a key/with ?odd#things', 'none'])
      expect(await remote().query('items', key)).toEqual(await local.query('items', key))
    expect(await remote().query('items', 'k7')).toEqual({ value: { version: 1, name: 'n7' } })
    expect(await remote().query('counts', '9007199254740993')).toEqual({ value: 1 })
  })

  it('of ranges, over several pages', async () => {
    const whole = await all(remote(), 'items', { form: 'range' })
    expect(whole).toHaveLength(ROWS + 1)
    expect(whole).toEqual(await all(local, 'items', { form: 'range' }))
    const asks: readonly RowsAsk[] = [
      { form: 'range', from: 'k1', to: 'k3' },
      { form: 'range', prefix: 'k10' },
      { form: 'range', from: 'z' },
    ]
    for (const ask of asks) expect(await all(remote(), 'items', ask)).toEqual(await all(local, 'items', ask))
    expect(await all(remote(), 'items', { form: 'range' }, ROWS - 10)).toEqual(whole.slice(0, ROWS - 10))
  })
})

describe('refusals', () => {
  const why = async (act: () => Promise<unknown>): Promise<unknown> => act().catch((error: unknown) => error)

  it('of the other end are told by status and code', async () => {
    expect(await why(() => remoteRows(url, null).query('items', 'k1'))).toMatchObject({
      message: expect.stringMatching(/401 UNAUTHORIZED: it wants its token/),
    })
    const wrong = await why(() => remoteRows(url, new Secret(`${TOKEN}!`)).query('items', 'k1'))
    expect(String(wrong)).not.toContain(TOKEN)
    expect(wrong).toMatchObject({ message: expect.stringMatching(/401/) })
    expect(await why(() => remote().query('counts', 'no number'))).toMatchObject({
      code: 'STREAM_USAGE',
      message: expect.stringMatching(/400 BAD_REQUEST/),
    })
    expect(await why(() => all(remote(), 'itmes', { form: 'range' }))).toMatchObject({ message: expect.stringMatching(/no store itmes/) })
    expect(await why(() => all(remote(), 'items', { form: 'windows' }))).toMatchObject({
      message: expect.stringMatching(/no store items that can be asked so/),
    })
    expect(await why(() => all(remote(), 'items', { form: 'versions', key: 'k1' }))).toMatchObject({ code: 'STREAM_USAGE' })
    expect(await all(remote(), 'items', { form: 'asOf', key: 'k1', at: 5 })).toEqual([])
  })

  it('of addresses', async () => {
    for (const bad of ['localhost:8080', 'ftp://a', 'http://user:secret@host', 'http://host/?a=b', ''])
      expect(() => remoteRows(bad, null), bad).toThrow(/^--url /)
    expect(await why(() => remoteRows('http://127.0.0.1:1', null).query('items', 'k'))).toMatchObject({
      message: expect.stringMatching(/nobody answers there/),
    })
    expect(await why(() => remote().query('items', '..'))).toMatchObject({ message: expect.stringMatching(/cannot be in a URL/) })
  })
})
