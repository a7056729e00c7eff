// Doors that are no broker's, or not of the kind that was asked for: the start ends with the cause and the cure, at once where waiting mends
// nothing. Certificates and passwords are tried on a real broker (test/kafka/secure.kafka.test.ts).
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { silent } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafka/index.ts'
import { unreached } from '../../src/log/kafka/unreached.ts'
import { refusal } from '../contract/log/steps.ts'
import { scriptedBroker } from './scripted-broker.ts'

const world = systemWorld(silent)
const PATIENCE_MS = 60_000
const sasl = { mechanism: 'SCRAM-SHA-512', username: 'shop', password: 'canary' } as const

/** What is said about a door that does this with whoever comes, and how often somebody came. */
async function saidOf(behave: (socket: Socket) => void, options: Partial<KafkaLogOptions>): Promise<{ text: string; came: number }> {
  let came = 0
  const server = createServer((socket) => {
    came++
    socket.on('error', () => {})
    behave(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  try {
    const opening = () =>
      openKafkaLog({ brokers: [`127.0.0.1:${port}`], clientId: 'test', world, connectTimeoutMs: PATIENCE_MS, ...options })
    const { message } = await refusal('STREAM_BROKER_UNREACHABLE', opening)
    expect(message).toContain(`127.0.0.1:${port}`)
    expect(message).not.toMatch(/\n|canary/)
    return { text: message, came }
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

const TLS_ALERT = Buffer.from([0x15, 3, 3, 0, 2, 2, 80])
const alert = (socket: Socket): unknown => socket.once('data', () => socket.end(TLS_ALERT))
const speakOther = (socket: Socket): unknown => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
const reset = (socket: Socket): unknown => socket.once('data', () => socket.resetAndDestroy())
const hangUp = (socket: Socket): unknown => socket.once('data', () => socket.destroy())

describe.concurrent('a door', () => {
  it('that speaks TLS, and was not asked to', async () => {
    const { text, came } = await saidOf(alert, {})
    expect(text).toMatch(/; this port speaks TLS: give tls$/)
    expect(came).toBe(1)
  })
  it('that speaks no TLS, and was asked to', async () => {
    const { text, came } = await saidOf(speakOther, { tls: {} })
    expect(text).toMatch(/; this port speaks no TLS, or refuses ours/)
    expect(came).toBe(1)
  })
  it.each([
    ['ends', hangUp],
    ['is reset', reset],
  ])('that speaks no TLS: the connection %s in the handshake', async (_how, behave) => {
    expect((await saidOf(behave, { connectTimeoutMs: 3_000, tls: {} })).text).toMatch(/; this port speaks no TLS, or refuses ours/)
  })
  it('that resets the connection, as one that hangs up', async () => {
    const { text } = await saidOf(reset, { connectTimeoutMs: 3_000 })
    expect(text).toMatch(/; something listens there and hangs up: check that it is a broker; it may want tls or sasl$/)
  })
  it('that hangs up: it may want what was not given, and it is tried again', async () => {
    const options = { connectTimeoutMs: 3_000 }
    const [bare, over] = [await saidOf(hangUp, options), await saidOf(hangUp, { ...options, sasl })]
    expect(bare.text).toMatch(/; something listens there and hangs up: check that it is a broker; it may want tls or sasl$/)
    expect(over.text).toMatch(/it may want tls$/)
    expect(bare.came).toBeGreaterThan(1)
  })
  it('that wants a login: it answers the first question and no other', async () => {
    const broker = await scriptedBroker()
    broker.script('Metadata', 'lost', 'lost')
    const opening = () => openKafkaLog({ brokers: [broker.address], clientId: 'test', world, connectTimeoutMs: PATIENCE_MS })
    const { message } = await refusal('STREAM_BROKER_UNREACHABLE', opening)
    expect(message).toMatch(/it may want tls or sasl$/)
    await broker.close()
  })
  it('where nothing listens', async () => {
    const opening = () => openKafkaLog({ brokers: ['127.0.0.1:1'], clientId: 'test', world, connectTimeoutMs: 300 })
    const { message } = await refusal('STREAM_BROKER_UNREACHABLE', opening)
    expect(message).toMatch(/ECONNREFUSED.*; check the addresses, and that a broker is running$/)
  })
})

it.each([
  ['CERT_NOT_YET_VALID', /clocks of both machines/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /tls\.servername/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /tls\.ca/],
])('a certificate: %s', (code, cure) => {
  const cause = Object.assign(new Error('of the certificate'), { code })
  expect(unreached(new Error('Connection failed', { cause }), {})).toEqual({ cure: expect.stringMatching(cure), hopeless: true })
})
