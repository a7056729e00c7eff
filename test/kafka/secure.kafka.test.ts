// A broker behind TLS, passwords and ACLs: an application with exactly the rights that docs/security.md lists, and what is said to those
// who lack one, who come with another password or certificate, or to a door of another kind. Then two instances of it, the binary's
// commands against both, and the relay of an outbox.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Admin } from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openLog } from '../../src/app.ts'
import { relayOutbox } from '../../src/app/outbox.ts'
import { silent } from '../../src/base/ports.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { failureText } from '../../src/cli/fail.ts'
import { type ProcessorOptions, resolveConfig, type SaslOptions } from '../../src/config.ts'
import type { Log } from '../../src/log/log.ts'
import { outboxDdl } from '../../src/outbox/ddl.ts'
import { type Ended, millrace, type Scratch, scratch } from '../cli/binary.ts'
import { commit, committedValues, freshTopic, freshWriter, position, readUntil } from '../contract/log/steps.ts'
import { endAll, type Processor } from '../support/processor.ts'
import type { ScramUser } from './broker.ts'
import { sleep } from './fleet.ts'
import { documentedRights, grant, type Names, nameOf, type Right } from './rights.ts'
import { KAFKA, open } from './running.ts'
import { type SecuredKafka, startSecured } from './secured.ts'
import { ITEMS, PARTITIONS, POISON, type SecuredApp, securedApp, writeOrders } from './secured-app.ts'

const PATIENCE_MS = 30_000
const AT_ONCE = 3
const PURGE_MS = 200
const PASSWORD = 'canary-password-0123456789'
const TOKEN = 'canary-token-0123456789-0123456789-0123456789'
const PLAIN = { mechanism: 'PLAIN', username: 'mill', password: 'race' } as const

const rights = documentedRights()
const needed = rights.filter(({ of }) => of === 'run')
const optional = rights.filter(({ of }) => of === 'optional')
const ofRelay = rights.filter(({ of }) => of === 'outbox')
const ofCommands = rights.filter(({ of }) => of !== 'run' && of !== 'optional' && of !== 'outbox')

const user = (name: string, mechanism: ScramUser['mechanism'] = 'SCRAM-SHA-512'): ScramUser => ({ name, mechanism, password: PASSWORD })
const names = (applicationId: string): Names => ({
  '<application id>': applicationId,
  '<input>': 'orders',
  '<output>': 'totals',
  '<repartition topic>': `${applicationId}-by-item-repartition`,
  '<topic>': 'relayed',
  '<name>': applicationId,
})
const FULL = user('full')
const OPERATOR = user('operator', 'SCRAM-SHA-256')
const PAIR = user('pair')
const RELAY = user('relay')
const WITHOUT = needed.map((right, i) => ({ right, name: `without${i}` }))
/** The words of each command that is in the table of rights, and what it reads on stdin. */
const COMMANDS: Readonly<Record<string, (topology: string) => { readonly words: readonly string[]; readonly input?: string }>> = {
  produce: (topology) => ({
    words: ['produce', '--topology', topology],
    input: '{"topic":"orders","key":"c0","value":{"item":"rug","count":1}}\n',
  }),
  consume: (topology) => ({ words: ['consume', 'totals', '--topology', topology] }),
  'dead-letter replay': () => ({ words: ['dead-letter', 'replay', '--application-id', 'full'] }),
  reset: (topology) => ({ words: ['reset', topology, '--application-id', 'full'] }),
}
const RELAYS = ofRelay.map((right, i) => ({ right, name: `relay${i}` }))
const LACKS = ofCommands.map((right, i) => ({ right, name: `lacks${i}` }))

describe.runIf(KAFKA)('a broker behind TLS, passwords and ACLs', { timeout: 120_000 }, () => {
  let secured: SecuredKafka
  let log: Log
  let admin: Admin
  let place: Scratch
  let app: SecuredApp
  beforeAll(async () => {
    place = scratch()
    const users = [FULL, OPERATOR, PAIR, RELAY, ...[...WITHOUT, ...LACKS, ...RELAYS].map(({ name }) => user(name))]
    secured = await startSecured(users, { broker: 'b', [PLAIN.username]: PLAIN.password })
    log = await open(secured.kafka.brokers)
    admin = new Admin({ clientId: 'test', bootstrapBrokers: [secured.kafka.brokers] })
    await log.createTopics(['orders', 'totals'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' as const })))
    await grant(admin, [
      { user: FULL.name, rights: needed, names: names('full') },
      { user: PAIR.name, rights: [...needed, ...optional], names: names('pair') },
      { user: OPERATOR.name, rights: [...needed, ...ofCommands], names: names('full') },
      ...WITHOUT.map(({ right, name }) => ({ user: name, rights: needed.filter((one) => one !== right), names: names(name) })),
      ...LACKS.map(({ right, name }) => ({ user: name, rights: lacking(right), names: names('full') })),
      { user: RELAY.name, rights: ofRelay, names: names(RELAY.name) },
      ...RELAYS.map(({ right, name }) => ({ user: name, rights: ofRelay.filter((one) => one !== right), names: names(name) })),
    ])
    app = securedApp(place, secured.secure, secured.ca)
  }, 180_000)
  afterEach(endAll)
  afterAll(async () => {
    await admin?.close()
    await log?.close()
    await secured?.stop()
    place?.remove()
  }, 60_000)

  /** What an operator has, but for this one. */
  const lacking = (right: Right): readonly Right[] => [
    ...needed,
    ...ofCommands.filter(({ name, right: of }) => name !== right.name || of !== right.right),
  ]

  /** All records of a topic, up to where nothing is open. */
  async function recordsOf(topic: string, atLeast = 0): Promise<readonly (readonly [key: string, value: string])[]> {
    const all = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
    const marks = await log.offsets(all, 'settled')
    const done = (records: readonly (readonly unknown[])[], positions: readonly number[]): boolean =>
      records.flat().length >= atLeast && marks.every((mark, i) => (positions[i] as number) >= mark)
    const records = await readUntil(log, topic, done, { partitions: PARTITIONS })
    return records.flat().map(({ key, value }) => [String(key), String(value)])
  }

  /** By item what was ordered until now. */
  async function ordered(): Promise<Readonly<Record<string, number>>> {
    const sums: Record<string, number> = {}
    for (const [, value] of await recordsOf('orders')) {
      if (value === POISON) continue
      const { item, count } = JSON.parse(value) as { item: string; count: number }
      sums[item] = (sums[item] ?? 0) + count
    }
    return sums
  }
  const totals = async (atLeast: number): Promise<Readonly<Record<string, number>>> =>
    Object.fromEntries((await recordsOf('totals', atLeast)).map(([item, sum]) => [item, Number(sum)]))

  const ends = async (processor: Processor): Promise<string> => {
    const late = sleep(PATIENCE_MS).then(() => 'it still runs')
    expect(await Promise.race([processor.ended, late]), processor.said()).toEqual({ code: 1, signal: null })
    return processor.said().trim().split('\n').at(-1) as string
  }

  it('takes and gives epochs', async () => {
    const own = await open(secured.secure, { tls: { ca: secured.ca }, sasl: PLAIN })
    const topic = await freshTopic(own)
    const writer = await freshWriter(own)
    writer.append(topic, 0, 1, null, Buffer.from('secret'), NO_HEADERS)
    await commit(writer, { groupId: topic, offsets: [position(topic, 0, 1)] })
    await writer.close()
    expect(await committedValues(own, topic)).toEqual(['secret'])
    await own.close()
  })

  it('may close idle connections without putting an epoch in doubt', async () => {
    const own = await open(secured.secure, { tls: { ca: secured.ca }, sasl: PLAIN })
    const topic = await freshTopic(own)
    const writer = await freshWriter(own)
    for (let i = 0; i < 3; i++) {
      writer.append(topic, 0, 1, null, Buffer.from(`${i}`), NO_HEADERS)
      await commit(writer, { groupId: topic, offsets: [position(topic, 0, i)] })
      await sleep(2_500)
      await sleep(50) // a loop that was held up runs its timers before it hears of sockets that have closed
    }
    expect(await committedValues(own, topic)).toEqual(['0', '1', '2'])
    await own.close()
  })

  it('the rights that the document lists are enough: exactly once, restarted, restored', async () => {
    const said: string[] = []
    const options = {
      imports: [join(import.meta.dirname, 'faulty.ts')],
      env: { MILLRACE_TOKEN: TOKEN, FAULTY_LIMITS: JSON.stringify({ purgeIntervalMs: PURGE_MS }) },
      onLine: (line: string) => void said.push(line),
    }
    await writeOrders(log, 30, 1)
    const first = app.run(FULL, 'full', 'full', ['--port', '0'], options)
    await first.ready
    expect(await totals(30)).toEqual(await ordered())
    const port = /"port":(\d+)/.exec(first.said())?.[1]
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
    const figures = await metrics.text()
    expect(figures).toMatch(/^millrace_dead_letters_total\{[^}]*\} 1$/m)
    const unpurged = (): number => said.filter((line) => /could not be deleted.*right Delete/.test(line)).length
    await expect.poll(unpurged, { timeout: PATIENCE_MS }).toBe(1)
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    expect(unpurged(), 'it is said once').toBe(1)
    const described = await millrace(['describe', app.topology], { env: { MILLRACE_SASL_PASSWORD: PASSWORD } })

    rmSync(join(place.folder, 'full'), { recursive: true })
    await writeOrders(log, 30, 0)
    const second = app.run(FULL, 'full', 'full', [], options)
    await second.ready
    expect(await totals(60)).toEqual(await ordered())
    expect(await second.stop()).toEqual({ code: 0, signal: null })
    expect(await recordsOf('totals'), 'each once').toHaveLength(60)
    const restored = said.findLast((line) => line.startsWith('{"restored":')) ?? '{}'
    expect(JSON.parse(restored).restored, 'rows of the changelogs').toBeGreaterThanOrEqual(ITEMS.length)
    expect(
      said.some((line) => line.includes('DescribeConfigs')),
      'it may not see whether the changelogs are compacted',
    ).toBe(true)
    for (const text of [...said, figures, described.out, described.err])
      for (const secret of [PASSWORD, TOKEN]) expect(text.includes(secret), text).toBe(false)
  })

  it('without one of them it is refused, by the name of what it lacks', async () => {
    await inTurn(WITHOUT, async ({ right, name }) => {
      const line = await ends(app.run(user(name), name, name))
      const lacked = nameOf(right, names(name)).replaceAll('.', '\\.')
      expect(line, `${right.right} on ${right.name}`).toMatch(new RegExp(`^millrace: .*${lacked}.*has no right .*\\b${right.right}\\b`))
      expect(line).not.toContain(PASSWORD)
    })
  })

  it('two instances of it: watched, asked and mended by the commands, one killed and restored', async () => {
    const start = (name: string, env: Readonly<Record<string, string>> = {}): Processor =>
      app.run(PAIR, 'pair', name, ['--port', '0', '--instance-id', name], {
        imports: [join(import.meta.dirname, 'faulty.ts')],
        env: { MILLRACE_TOKEN: TOKEN, FAULTY_LIMITS: JSON.stringify({ heartbeatMs: 200, purgeIntervalMs: PURGE_MS }), ...env },
      })
    await writeOrders(log, 30, 1)
    let [stays, dies] = ['a', 'b'] as [string, string]
    let [a, b] = [start(stays), start(dies)]
    await Promise.all([a.ready, b.ready])
    const rows = await ordered()
    const halves = async (): Promise<readonly number[]> =>
      Promise.all([a, b].map(async (one) => ((await (await ask(one, '/health')).json()) as { tasks: number }).tasks))
    await expect.poll(halves, { timeout: PATIENCE_MS }).toEqual([2, 2])
    for (const one of [a, b]) await expect.poll(() => rowsBy(one), { timeout: PATIENCE_MS }).toEqual(rows)
    // Whoever is killed must have rows to restore; who came first may have all tasks with a store.
    const { stores } = (await (await ask(b, '/stores')).json()) as { stores: readonly { readonly here: number }[] }
    if (stores.every(({ here }) => here === 0)) [a, b, stays, dies] = [b, a, dies, stays]

    const between = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: names('pair')['<repartition topic>'], partition }))
    const left = async (): Promise<number> => {
      const [first, end] = [await log.offsets(between, 'earliest'), await log.offsets(between, 'latest')]
      return end.reduce((sum, at, i) => sum + at - (first[i] as number), 0)
    }
    expect(Math.max(...(await log.offsets(between, 'latest')))).toBeGreaterThan(0)
    // Markers of transactions that come behind the last offsets stay until the next.
    await expect.poll(left, { timeout: PATIENCE_MS }).toBeLessThanOrEqual(2 * PARTITIONS)
    const letters = (await recordsOf('orders')).filter(([, value]) => value === POISON).length
    const own = ['--application-id', 'pair', '--state-dir']
    const of = (name: string): string => join(place.folder, name)
    const looks = ['a', 'b'].map((name) => async (): Promise<void> => {
      const figures = JSON.parse((await succeed(PAIR, ['top', '--once', '--json', '--interval', '100ms', '--state-dir', of(name)])).out)
      expect(figures).toMatchObject({ applicationId: 'pair', ready: true, tasks: { length: 2 } })
      const asked = (await succeed(PAIR, ['query', 'by-item', '--state-dir', of(name)])).out.trim().split('\n')
      expect(Object.fromEntries(asked.map((line) => JSON.parse(line)).map(({ key, value }) => [key, value]))).toEqual(rows)
      const listed = await succeed(PAIR, ['dead-letter', 'list', '--state-dir', of(name)])
      expect(listed.out.match(/STREAM_SERDE/g)).toHaveLength(letters)
    })
    const verify = async (): Promise<void> => {
      const verified = await app.command(PAIR, ['verify', app.topology, ...own, of(dies)])
      expect(verified).toMatchObject({ status: 2, err: expect.stringMatching(/is in use by process \d+/) })
    }
    const reset = async (): Promise<void> => {
      const dry = await succeed(PAIR, ['reset', app.topology, '--dry-run', ...own, of('none')])
      expect(dry.out).toMatch(/^topic {4}pair-by-item-changelog: deleted$/m)
      expect(dry.out).toContain('dry run: nothing was changed')
      const refused = await app.command(PAIR, ['reset', app.topology, ...own, of('none')])
      expect(refused).toMatchObject({ status: 2, err: expect.stringMatching(/^millrace: application pair is running/) })
    }
    await Promise.all([...looks, verify, reset].map((look) => look()))
    const dropped = await succeed(PAIR, ['dead-letter', 'drop', '--all', '--json', '--state-dir', of(stays)])
    expect(JSON.parse(dropped.out)).toEqual({ dropped: letters })
    expect((await succeed(PAIR, ['dead-letter', 'list', '--state-dir', of(dies)])).out).toBe('')

    // From here on whoever is asked says what is so, or refuses by name; and while it is restored, how far that is.
    const answers: string[] = []
    let over = false
    const asking = (async () => {
      while (!over) {
        for (const one of [a, b])
          for (const item of ITEMS) {
            const answer = ask(one, `/stores/by-item/${item}`).then(async (came) => `${came.status} ${await came.text()}`)
            answers.push(...(await answer.then((came) => [came]).catch(() => []))) // one of them is being killed
          }
        await sleep(20)
      }
    })()
    await b.kill()
    rmSync(of(dies), { recursive: true })
    const hold = place.write('hold', '')
    b = start(dies, { FAULTY_HOLD_RESTORE: hold })
    const progress = (answer: string): boolean => /STORE_RESTORING","restored":\d+,"remaining":[1-9]/.test(answer)
    await expect.poll(() => answers.some(progress), { timeout: PATIENCE_MS }).toBe(true)
    rmSync(hold)
    await b.ready
    for (const one of [a, b]) await expect.poll(() => rowsBy(one), { timeout: PATIENCE_MS }).toEqual(rows)
    over = true
    await asking
    const right = ITEMS.map((item) => `200 {"key":"${item}","value":${rows[item]}}`)
    const refusal =
      /^(502 \{"code":"OWNER_UNREACHABLE"\}|503 \{"code":"NOT_READY"\}|503 \{"code":"STORE_RESTORING","restored":\d+,"remaining":\d+\})$/
    expect([...new Set(answers)].filter((answer) => !right.includes(answer) && !refusal.test(answer))).toEqual([])
    expect(await Promise.all([a.stop(), b.stop()])).toEqual([0, 0].map((code) => ({ code, signal: null })))
    expect(`${a.said()}${b.said()}`).not.toContain('DescribeConfigs')
    expect((await succeed(PAIR, ['verify', app.topology, ...own, of(stays)])).out).toMatch(/^\S+\/by-item +sound +\d+ rows/m)
  })

  it('each command needs what the document says, and no more', async () => {
    await inTurn(LACKS, async ({ right, name }) => {
      const { words, input } = (COMMANDS[right.of] as NonNullable<(typeof COMMANDS)[string]>)(app.topology)
      const { status, err } = await app.command(user(name), words, input)
      expect({ status, err }).toEqual({
        status: 1,
        err: expect.stringMatching(new RegExp(`^millrace: .*${nameOf(right, names('full'))}.*has no right .*\\b${right.right}\\b.*\\n$`)),
      })
    })
    expect(Object.keys(COMMANDS).toSorted()).toEqual(ofCommands.map(({ of }) => of).toSorted())
    for (const command of Object.values(COMMANDS)) {
      const { words, input } = command(app.topology)
      await succeed(OPERATOR, words, input)
    }
    expect((await log.topicNames()).filter((name) => name.startsWith('full-') && !name.includes('dead-letter'))).toEqual([])
  })

  it('the relay of an outbox needs what the document says, and no more', async () => {
    await log.createTopics([{ name: 'relayed', partitions: 1, kind: 'plain' }])
    const database = join(place.folder, 'outbox.db')
    const outbox = new DatabaseSync(database)
    outbox.exec(outboxDdl('sqlite', 'outbox'))
    const insert = (): unknown => outbox.exec(`INSERT INTO outbox (topic, key, value) VALUES ('relayed', 'k', 'v')`)
    const relay = (name: string, by: Pick<ProcessorOptions, 'brokers' | 'tls' | 'sasl'>): Promise<unknown> =>
      relayOutbox({ database, name, once: true, stateDir: join(place.folder, name), world: systemWorld(silent), ...by }).then(
        async ({ ended, status }) => await ended.then(() => status().rowsEver),
      )
    const as = (name: string): Promise<unknown> => relay(name, secure({ username: name }))
    insert()
    // Somebody has relayed before, so that there is a position to be read; but for who may not make its topic.
    for (const { right, name } of RELAYS) if (right.right !== 'Create') await relay(name, { brokers: [secured.kafka.brokers] })
    expect(await as(RELAY.name)).toBe(1)
    insert()
    expect(await as(RELAY.name)).toBe(2)
    await inTurn(RELAYS, async ({ right, name }) => {
      const line = failureText(await as(name).catch((error: unknown) => error), false)
      const lacked = nameOf(right, names(name))
      expect(line, `${right.right} on ${right.name}`).toMatch(new RegExp(`^millrace: .*${lacked}.*has no right .*\\b${right.right}\\b`))
    })
    outbox.close()
  })

  const DOORS: readonly (readonly [what: string, options: () => ProcessorOptions, cure: RegExp])[] = [
    ['another password', () => secure({ password: 'stone' }), /refuses user full or the password: check sasl\.username/],
    ['a user that is not there', () => secure({ username: 'nobody' }), /refuses user nobody or the password/],
    ['a mechanism that it has no credential for', () => secure({ mechanism: 'SCRAM-SHA-256' }), /has a SCRAM-SHA-256 credential/],
    ['a mechanism that is not enabled', () => secure({ mechanism: 'OAUTHBEARER', token: 'stone' }), /does not take OAUTHBEARER/],
    ['no login', () => ({ brokers: [secured.secure], tls: { ca: secured.ca } }), /it may want sasl/],
    ['another authority', () => ({ ...secure({}), tls: { ca: secured.expiredCa } }), /is not known here: give .* in tls\.ca/],
    ['no TLS', () => ({ brokers: [secured.secure] }), /this port speaks TLS: give tls/],
    ['TLS to a port without it', () => ({ brokers: [secured.kafka.brokers], tls: { ca: secured.ca } }), /this port speaks no TLS/],
    ['a certificate that is over', () => ({ brokers: [secured.expired], tls: { ca: secured.expiredCa } }), /has expired: renew it/],
  ]
  const secure = (sasl: Partial<SaslOptions>): ProcessorOptions => ({
    brokers: [secured.secure],
    tls: { ca: secured.ca },
    sasl: { mechanism: FULL.mechanism, username: FULL.name, password: PASSWORD, ...sasl },
  })

  it('what does not fit is refused in a line that names the broker and the cure', async () => {
    await inTurn(DOORS, async ([what, options, cure]) => {
      const config = resolveConfig('doors', options())
      const error = await openLog(config, systemWorld(silent)).then(
        (opened) => opened.close(),
        (thrown: unknown) => thrown,
      )
      const line = failureText(error, false)
      expect(line, what).toMatch(/^millrace: no Kafka broker answers at .*\n$/)
      expect(line, what).toContain(config.brokers[0])
      expect(line, what).toMatch(cure)
      for (const secret of [PASSWORD, 'stone']) expect(line, what).not.toContain(secret)
    })
    const stranger = await app.command({ ...FULL, password: 'stone' }, ['run', app.topology, '--state-dir', join(place.folder, 'stranger')])
    expect(stranger).toMatchObject({ status: 1, err: expect.stringMatching(/refuses user full or the password/) })
    expect(stranger.err).not.toContain('stone')
  })

  async function succeed(of: ScramUser, words: readonly string[], input?: string): Promise<Ended> {
    const ended = await app.command(of, words, input)
    expect(ended.status, `${words.join(' ')}: ${ended.err}`).toBe(0)
    return ended
  }

  const ask = async (of: Processor, path: string): Promise<Response> => {
    const port = /"port":(\d+)/.exec(of.said())?.[1]
    if (port === undefined) throw new Error('no port yet')
    return await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
      signal: AbortSignal.timeout(5_000),
    })
  }
  const rowsBy = async (of: Processor): Promise<Readonly<Record<string, number>>> => {
    const rows: Record<string, number> = {}
    for (const item of ITEMS) {
      const answer = await ask(of, `/stores/by-item/${item}`)
      const body = (await answer.json()) as { value?: number }
      if (answer.status === 200) rows[item] = body.value as number
    }
    return rows
  }
})

/** A few at a time: the machine may have few cores. */
async function inTurn<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all]
  const next = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
}
