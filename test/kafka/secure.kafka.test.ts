// TLS and SASL on a real Kafka: an epoch over both, and what is said to who has neither.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_HEADERS } from '../../src/base/record.ts'
import { commit, committedValues, freshTopic, freshWriter, position, refusal } from '../contract/log/steps.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open, world } from './running.ts'

describe.runIf(KAFKA)('a broker behind TLS and SASL', { timeout: 60_000 }, () => {
  let kafka: RunningKafka
  let home: string
  let ca: string
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
    const store = join(home, 'broker.p12')
    const keytool = (...args: string[]): string =>
      execFileSync('keytool', [...args, '-alias', 'broker', '-keystore', store, '-storepass', 'for-tests'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    keytool(
      '-genkeypair',
      '-keyalg',
      'EC',
      '-storetype',
      'PKCS12',
      '-dname',
      'CN=localhost',
      '-ext',
      'SAN=DNS:localhost,IP:127.0.0.1',
      '-validity',
      '2',
    )
    keytool('-exportcert', '-rfc', '-file', join(home, 'ca.pem'))
    ca = readFileSync(join(home, 'ca.pem'), 'utf8')
    const login =
      'org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="b" user_broker="b" user_mill="race";'
    kafka = await startKafka({
      config: {
        'connections.max.idle.ms': 1_000,
        'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_SSL',
        'inter.broker.listener.name': 'PLAINTEXT',
        'ssl.keystore.type': 'PKCS12',
        'ssl.keystore.location': store,
        'ssl.keystore.password': 'for-tests',
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.location': join(home, 'ca.pem'),
        'sasl.enabled.mechanisms': 'PLAIN',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'listener.name.plaintext.plain.sasl.jaas.config': login,
      },
    })
  }, 60_000)
  afterAll(async () => {
    await kafka?.stop()
    rmSync(home, { recursive: true, force: true })
  })

  it('takes and gives epochs', async () => {
    const log = await open(kafka.brokers, { tls: { ca }, sasl: { mechanism: 'PLAIN', username: 'mill', password: 'race' } })
    const topic = await freshTopic(log)
    const writer = await freshWriter(log)
    writer.append(topic, 0, 1, null, Buffer.from('secret'), NO_HEADERS)
    await commit(writer, { groupId: topic, offsets: [position(topic, 0, 1)] })
    await writer.close()
    expect(await committedValues(log, topic)).toEqual(['secret'])
    await log.close()
  })

  it('may close idle connections without putting an epoch in doubt', async () => {
    const log = await open(kafka.brokers, { tls: { ca }, sasl: { mechanism: 'PLAIN', username: 'mill', password: 'race' } })
    const topic = await freshTopic(log)
    const writer = await freshWriter(log)
    for (let i = 0; i < 3; i++) {
      writer.append(topic, 0, 1, null, Buffer.from(`${i}`), NO_HEADERS)
      await commit(writer, { groupId: topic, offsets: [position(topic, 0, i)] })
      await world.timers.sleep(2_500)
    }
    expect(await committedValues(log, topic)).toEqual(['0', '1', '2'])
    await log.close()
  })

  it('refuses a wrong password, a certificate nobody knows, and plain text, with the cause', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'mill', password: 'stone' } as const
    const password = await refusal('STREAM_BROKER_UNREACHABLE', () => open(kafka.brokers, { tls: { ca }, sasl, connectTimeoutMs: 3_000 }))
    expect(password.message).toMatch(/authentication/i)
    expect(password.message).not.toContain('stone')
    const stranger = await refusal('STREAM_BROKER_UNREACHABLE', () => open(kafka.brokers, { tls: {}, sasl, connectTimeoutMs: 1_000 }))
    expect(stranger.message).toMatch(/certificate/i)
    const plain = await refusal('STREAM_BROKER_UNREACHABLE', () => open(kafka.brokers, { connectTimeoutMs: 1_000 }))
    expect(plain.message).toContain(kafka.brokers)
  })
})
