// Options: defaults, bounds, names, where they come from and which wins, and that secrets stay hidden.
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isLoopback } from '../../src/base/address.ts'
import { gatherOptions } from '../../src/cli/options.ts'
import type { Duration } from '../../src/base/duration.ts'
import { type OnError, type ProcessorOptions, resolveConfig } from '../../src/config.ts'
import { type Scratch, scratch } from './binary.ts'

const TOKEN = 'a-token-of-32-bytes-or-more-0123456789'

describe('resolveConfig', () => {
  test('defaults', () => {
    expect(resolveConfig('shop')).toEqual({
      applicationId: 'shop',
      brokers: [],
      stateDir: '.millrace/shop',
      stateQuotaBytes: null,
      guarantee: 'exactly_once',
      commitIntervalMs: 100,
      workers: 1,
      module: null,
      standbys: 0,
      instanceId: null,
      tls: null,
      sasl: null,
      server: null,
      onError: { deserialization: 'deadLetter', callback: 'deadLetter', production: 'deadLetter' },
      maxIdleMs: 0,
      tracing: true,
      offsetReset: 'earliest',
    })
  })
  test('what is given', () => {
    const config = resolveConfig('shop', {
      applicationId: 'other',
      brokers: ['a', 'b:1234', '[::1]:9'],
      commitInterval: '2s',
      onError: { callback: 'fail' },
      server: { port: 0, token: TOKEN, host: '0.0.0.0' },
      tls: true,
      sasl: { mechanism: 'PLAIN', username: 'u', password: 'hunter2' },
    })
    expect(config).toMatchObject({ stateDir: '.millrace/other', brokers: ['a:9092', 'b:1234', '[::1]:9'], commitIntervalMs: 2000, tls: {} })
    expect(config.onError).toEqual({ deserialization: 'deadLetter', callback: 'fail', production: 'deadLetter' })
    const blocking = (blockKey: OnError['blockKey']) =>
      resolveConfig('a', { onError: { ...(blockKey === undefined ? {} : { blockKey }) } }).onError.blockKey
    expect([undefined, false, true, { maxRecords: 7 }].map(blocking)).toEqual([
      undefined,
      undefined,
      { maxRecords: 100_000 },
      { maxRecords: 7 },
    ])
    expect(
      ['2s', -1, undefined].map((maxIdle) => resolveConfig('a', maxIdle === undefined ? {} : { maxIdle: maxIdle as Duration }).maxIdleMs),
    ).toEqual([2000, -1, 0])
    expect(config.sasl?.password?.reveal()).toBe('hunter2')
    for (const shown of [JSON.stringify(config), inspect(config, { depth: 9 }), `${config.sasl?.password}`]) {
      expect(shown).not.toContain('hunter2')
      expect(shown).not.toContain(TOKEN)
      expect(shown).toContain('[hidden]')
    }
  })
  const refused: readonly (readonly [object, RegExp])[] = [
    [{ brokrs: [] }, /unknown option brokrs \(did you mean "brokers"\?\)/],
    [{ brokers: [] }, /empty list/],
    [{ brokers: 'a:1' }, /must be a list/],
    [{ brokers: ['a:99999'] }, /"a:99999" is no 'host:port'/],
    [{ brokers: ['http://a:1'] }, /is no 'host:port'/],
    [{ guarantee: 'maybe' }, /guarantee must be one of exactly_once, at_least_once, not "maybe"/],
    [{ commitInterval: '0s' }, /commitInterval must be from/],
    [{ commitInterval: '1h' }, /commitInterval must be from/],
    [{ commitInterval: 'soon' }, /no duration/],
    [{ workers: 65 }, /workers must be a whole number from 1 to 64/],
    [{ module: 'https://x/y.ts' }, /is no file: give import.meta.url, or a path/],
    [{ workers: 0 }, /workers must be/],
    [{ standbys: 17 }, /standbys must be a whole number from 0 to 16/],
    [{ instanceId: 'a b' }, /instance name "a b"/],
    [{ stateDir: '' }, /stateDir must be text/],
    [{ applicationId: 'a/b' }, /application name "a\/b"/],
    [{ server: { port: 70_000 } }, /server.port must be/],
    [{ server: { port: 1, advertise: 'http://x:1' } }, /server.advertise "http:\/\/x:1" is no 'host:port'/],
    [{ server: { port: 1, hots: 'x' } }, /unknown option server.hots \(did you mean "host"\?\)/],
    [{ server: { port: 1, token: 'short' } }, /32 bytes or more/],
    [{ server: { port: 1, host: '0.0.0.0' } }, /can be reached from outside/],
    [{ onError: 'ignore' }, /onError must be one of/],
    [{ onError: { callbacks: 'fail' } }, /unknown option onError.callbacks/],
    [{ onError: { blockKey: 'a' } }, /onError.blockKey must be an object/],
    [{ onError: { blockKey: { maxRecords: 0 } } }, /onError.blockKey.maxRecords must be a whole number/],
    [
      { onError: { deserialization: 'skip', callback: 'skip', production: 'fail', blockKey: true } },
      /behind dead letters, and no policy is 'deadLetter'/,
    ],
    [{ stateQuota: '10 GB' }, /stateQuota: "10 GB" is no size/],
    [{ stateQuota: '512KiB' }, /stateQuota must be 1048576 bytes or more/],
    [{ tracing: 'no' }, /tracing must be true or false/],
    [{ maxIdle: 'long' }, /maxIdle: "long" is no duration/],
    [{ maxIdle: -2 }, /maxIdle: -2 is no duration/],
    [{ offsetReset: 'now' }, /offsetReset must be one of/],
    [{ tls: { cert: 'x' } }, /go together/],
    [{ sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } }, /shows the password to the network/],
    [{ sasl: { mechanism: 'SCRAM-SHA-512', username: 'u' } }, /sasl.username and sasl.password are needed/],
    [{ sasl: { mechanism: 'OAUTHBEARER', token: 't' } }, /shows the password to the network/],
    [{ sasl: { mechanism: 'OAUTHBEARER' }, tls: true }, /sasl.token is missing/],
    [{ sasl: { mechanism: 'GSSAPI' } }, /sasl.mechanism must be one of/],
  ]
  for (const [options, why] of refused) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      const config = (): unknown => resolveConfig('shop', options as ProcessorOptions)
      expect(config).toThrow(expect.objectContaining({ disposition: 'usage', message: expect.stringMatching(why) }))
    })
  }
  test('loopback', () => {
    for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1']) expect(isLoopback(host), host).toBe(true)
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.org', 'localhost.example.org'])
      expect(isLoopback(host), host).toBe(false)
  })
})

describe('gatherOptions', () => {
  let place: Scratch
  beforeEach(() => {
    place = scratch()
  })
  afterEach(() => place.remove())

  test('flag over environment over file over default', async () => {
    const config = place.write(
      'c.json',
      JSON.stringify({ stateDir: 'file', brokers: ['file:1'], guarantee: 'at_least_once', server: { port: 1, host: '::1' } }),
    )
    const options = await gatherOptions(
      { config, brokers: 'flag:1, flag:2' },
      { MILLRACE_STATE_DIR: 'env', MILLRACE_BROKERS: 'env:1', MILLRACE_PORT: '2' },
    )
    expect(options).toEqual({
      stateDir: 'env',
      brokers: ['flag:1', 'flag:2'],
      guarantee: 'at_least_once',
      server: { port: 2, host: '::1' },
    })
  })
  test('a config module', async () => {
    const file = place.write('c.ts', "const id: string = 'from-module'\nexport default { applicationId: id }\n")
    expect(await gatherOptions({ config: file }, {})).toEqual({ applicationId: 'from-module' })
  })
  test('a token: by file, by variable; alone it opens no port', async () => {
    const tokenFile = place.write('token', `${TOKEN}\n`)
    const byFile = await gatherOptions({ tokenFile, port: '0' }, { MILLRACE_TOKEN: 'x'.repeat(40) })
    expect(resolveConfig('a', byFile).server?.token?.reveal()).toBe(TOKEN)
    const byVariable = await gatherOptions({ port: '0' }, { MILLRACE_TOKEN: 'x'.repeat(40) })
    expect(resolveConfig('a', byVariable).server?.token?.reveal()).toBe('x'.repeat(40))
    expect(await gatherOptions({}, { MILLRACE_TOKEN: TOKEN })).toEqual({})
  })
  test('refuses', async () => {
    await expect(gatherOptions({ config: place.write('c.json', '{"brokrs":[]}') }, {})).rejects.toThrow(
      /c\.json: unknown option brokrs \(did you mean "brokers"\?\)/,
    )
    await expect(gatherOptions({ config: place.write('d.json', '{') }, {})).rejects.toThrow(/d\.json: it is not JSON/)
    await expect(gatherOptions({ config: place.write('e.json', '[]') }, {})).rejects.toThrow(/one object/)
    await expect(gatherOptions({ config: 'nowhere.json' }, {})).rejects.toThrow(/nowhere\.json: it cannot be read \(ENOENT\)/)
    await expect(gatherOptions({ host: '0.0.0.0' }, {})).rejects.toThrow(/can be reached from outside/)
    expect(await gatherOptions({ host: '0.0.0.0' }, { MILLRACE_TOKEN: 'x'.repeat(32) })).toEqual({})
    expect(await gatherOptions({ host: '127.0.0.1' }, {})).toEqual({})
    await expect(gatherOptions({ port: 'http' }, {})).rejects.toThrow(/--port must be a whole number, not "http"/)
    await expect(gatherOptions({}, { MILLRACE_WORKERS: 'many' })).rejects.toThrow(/MILLRACE_WORKERS must be a whole number/)
    await expect(gatherOptions({}, { MILLRACE_BROKER: 'a:1' })).rejects.toThrow(
      /MILLRACE_BROKER, which is not known \(did you mean "MILLRACE_BROKERS"\?\)/,
    )
    await expect(gatherOptions({}, { MILLRACE_COLOUR: '1' })).rejects.toThrow(/MILLRACE_COLOUR, which is not known$/)
    await expect(gatherOptions({}, { MILLRACE_: '1' })).rejects.toThrow(/MILLRACE_, which is not known/)
  })
  test('what Kubernetes makes of a service called millrace is not ours', async () => {
    const links = {
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_SERVICE_PORT: '80',
      MILLRACE_SERVICE_PORT_HTTP: '80',
      MILLRACE_PORT: 'tcp://10.0.0.1:80',
      MILLRACE_PORT_80_TCP: 'tcp://10.0.0.1:80',
      MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
      MILLRACE_SHOP_PORT: 'tcp://10.0.0.1:80',
    }
    expect(await gatherOptions({}, links)).toEqual({})
    await expect(gatherOptions({}, { MILLRACE_SHOP_PORT: '80' })).rejects.toThrow(/MILLRACE_SHOP_PORT/)
  })
  test('every option of a processor that a variable can say has one, and each variable says what the flag says', async () => {
    const variables = {
      MILLRACE_APPLICATION_ID: 'a',
      MILLRACE_BROKERS: 'b:1',
      MILLRACE_STATE_DIR: 'c',
      MILLRACE_GUARANTEE: 'at_least_once',
      MILLRACE_COMMIT_INTERVAL: '1s',
      MILLRACE_WORKERS: '2',
      MILLRACE_STANDBYS: '1',
      MILLRACE_INSTANCE_ID: 'd',
      MILLRACE_PORT: '1',
      MILLRACE_HOST: '::1',
      MILLRACE_ADVERTISE: 'pod-0:1',
    }
    const flags = {
      applicationId: 'a',
      brokers: 'b:1',
      stateDir: 'c',
      guarantee: 'at_least_once',
      commitInterval: '1s',
      workers: '2',
      standbys: '1',
      instanceId: 'd',
      port: '1',
      host: '::1',
      advertise: 'pod-0:1',
    }
    expect(await gatherOptions({}, variables)).toEqual(await gatherOptions(flags, {}))
  })
})
