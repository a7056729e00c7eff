// The hot pieces of a record's journey for `npm run bench:micro`, each with the least that the machine could do it with. The same thousand
// events of about 150 bytes run through all of them.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { Level } from 'level'
import { keyText } from '../src/base/bytes.ts'
import { partitionOf } from '../src/base/murmur2.ts'
import { NO_HEADERS } from '../src/base/record.ts'
import { systemWorld } from '../src/base/system.ts'
import { json, string } from '../src/index.ts'
import { RecordCursor } from '../src/log/kafka/decode.ts'
import { BatchBuilder, checksum } from '../src/log/kafka/encode.ts'
import { decodeRegister, encodeRegister } from '../src/operators/last-write-wins-row.ts'
import { readFrame, writeFrame } from '../src/state/framing.ts'
import { LEVEL_OPTIONS, levelProvider } from '../src/state/leveldb.ts'
import { memoryProvider } from '../src/state/memory.ts'
import { Overlay } from '../src/state/overlay.ts'
import { RowCache } from '../src/state/row-cache.ts'
import type { StateStore } from '../src/state/store.ts'
import { distinctEvents } from './events.ts'

/** One of two that are measured in turns. */
export interface Side {
  readonly name: string
  /** Of one `run`. */
  readonly operations: number
  run(): void | Promise<void>
}

export interface Piece {
  readonly name: string
  open(): Opened | Promise<Opened>
}

interface Opened {
  readonly own: Side
  readonly limit: Side
  close?(): Promise<void>
}

const RECORDS = 1_000
const STORE_ROWS = 100_000
const events = distinctEvents('events', RECORDS)
const texts = events.map(({ value }) => value.toString())
const values = texts.map((text) => JSON.parse(text) as unknown)
const keys = events.map(({ key }) => key)
const keyTexts = keys.map(keyText)
const rows = events.map(({ value }) => encodeRegister(false, 1, value))
const frames = events.map(({ key, value, timestamp }) =>
  Buffer.from(writeFrame(Buffer.alloc(value.length + key.length + 64), key, value, timestamp)),
)
const asJson = json<unknown>()
const asText = string()
const world = systemWorld()

let seen: unknown = null
/** Keeps what is reckoned from being left out. */
export const looked = (): unknown => seen

const each = (name: string, of: (i: number) => unknown): Side => ({
  name,
  operations: RECORDS,
  run() {
    for (let i = 0; i < RECORDS; i++) seen = of(i)
  },
})
const once = (name: string, of: () => unknown): Side => ({
  name,
  operations: RECORDS,
  run() {
    seen = of()
  },
})
const pair = (name: string, own: Side, limit: Side): Piece => ({ name, open: () => ({ own, limit }) })

function batchOf(builder: BatchBuilder): Buffer {
  builder.reset()
  for (const { timestamp, key, value } of events) builder.append(timestamp, key, value, NO_HEADERS)
  return builder.finish(7n, 0, 0, true, 'none')
}
const builder = new BatchBuilder(1024 * 1024)
const batch = Buffer.from(batchOf(new BatchBuilder()))
const target = Buffer.alloc(batch.length)
const copied = once('copy of the same bytes', () => batch.copy(target))
const spot = Buffer.alloc(4096)

const copyOfRow = each('copy of the same bytes', (i) => (rows[i] as Buffer).copy(spot))

export const pieces: readonly Piece[] = [
  pair(
    'record batch: decode',
    once('', () => new RecordCursor(batch, 0, batch.length, 0, []).take(RECORDS)),
    copied,
  ),
  { name: 'record batch: decode, beside a socket', open: openSocket },
  pair(
    'record batch: encode',
    once('', () => batchOf(builder)),
    copied,
  ),
  pair(
    'record batch: checksum',
    once('', () => checksum(batch)),
    copied,
  ),
  pair(
    'key: decode',
    each('', (i) => asText.decode(keys[i] as Buffer)),
    each('latin1Slice', (i) => keyText(keys[i] as Buffer)),
  ),
  pair(
    'key: partition',
    each('', (i) => partitionOf(keys[i] as Buffer, 4)),
    each('its first byte', (i) => (keys[i] as Buffer)[0]),
  ),
  pair(
    'json: decode',
    each('', (i) => asJson.decode(events[i]?.value as Buffer)),
    each('JSON.parse of the text', (i) => JSON.parse(texts[i] as string)),
  ),
  pair(
    'json: encode',
    each('', (i) => asJson.encode(values[i])),
    each('JSON.stringify', (i) => JSON.stringify(values[i])),
  ),
  pair(
    'row of lastWriteWins: encode',
    each('', (i) => encodeRegister(false, 2, events[i]?.value as Buffer)),
    copyOfRow,
  ),
  pair(
    'row of lastWriteWins: decode',
    each('', (i) => decodeRegister(rows[i] as Buffer)),
    each('readDoubleBE', (i) => (rows[i] as Buffer).readDoubleBE(2)),
  ),
  pair(
    'row: frame and checksum',
    each('', (i) => writeFrame(spot, keys[i] as Buffer, rows[i] as Buffer, 1)),
    each('crc32 of the same bytes', (i) => crc32(rows[i] as Buffer)),
  ),
  pair(
    'row: check and unframe',
    each('', (i) => readFrame(keys[i] as Buffer, frames[i] as Buffer)),
    each('crc32 of the same bytes', (i) => crc32(frames[i] as Buffer)),
  ),
  { name: 'overlay: put', open: () => openOverlay('put') },
  { name: 'overlay: get of a cached row', open: () => openOverlay('get') },
  { name: 'overlay: prefetch of cached rows', open: () => openOverlay('prefetch') },
  { name: 'row cache: set', open: openCache },
  { name: 'LevelDB: apply', open: openApply },
  { name: 'LevelDB: getMany', open: () => openReads(false) },
  { name: 'LevelDB: getSync', open: () => openReads(true) },
]

/** What a thread of its own sends over the loopback, read and decoded; beside it reading alone. */
async function openSocket(): Promise<Opened> {
  const code = `const { parentPort, workerData } = require('node:worker_threads')
    const server = require('node:net').createServer((socket) => socket.on('data', (asked) => { for (const _ of asked) socket.write(workerData) }).on('error', () => {}))
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`
  const worker = new Worker(code, { eval: true, workerData: new Uint8Array(batch) })
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const socket = connect(port, '127.0.0.1').setNoDelay()
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  let got: Buffer[] = []
  let bytes = 0
  let whole = (): void => {}
  socket.on('data', (chunk: Buffer) => {
    got.push(chunk)
    bytes += chunk.length
    if (bytes === ASKED * batch.length) whole()
  })
  const read = async (): Promise<Buffer[]> => {
    got = []
    bytes = 0
    const done = new Promise<void>((resolve) => {
      whole = resolve
    })
    socket.write(Buffer.alloc(ASKED))
    await done
    return got
  }
  const ASKED = 16
  const decodeAll = async (): Promise<void> => {
    const answer = Buffer.concat(await read())
    seen = new RecordCursor(answer, 0, answer.length, 0, []).take(ASKED * RECORDS)
  }
  return {
    own: { name: '', operations: ASKED * RECORDS, run: decodeAll },
    limit: { name: 'read from the socket', operations: ASKED * RECORDS, run: async () => void (await read()) },
    async close() {
      socket.destroy()
      await worker.terminate()
    },
  }
}

async function openOverlay(what: 'put' | 'get' | 'prefetch'): Promise<Opened> {
  const { store } = await memoryProvider().open('0_0', 'rows', false)
  const overlay = new Overlay(store)
  const fill = (): void => {
    overlay.mark()
    for (let i = 0; i < RECORDS; i++) overlay.put(keys[i] as Buffer, rows[i] as Buffer, 1)
  }
  fill()
  overlay.seal()
  await overlay.apply({ changelogOffset: 1 })
  const map = new Map<string, object>(keyTexts.map((text) => [text, {}]))
  const found = each('Map.get by a ready string', (i) => map.get(keyTexts[i] as string))
  const stored = each('Map.set by a ready string', (i) => map.set(keyTexts[i] as string, {}))
  if (what === 'put') return { own: once('', fill), limit: stored }
  if (what === 'get') return { own: each('', (i) => overlay.get(keys[i] as Buffer)), limit: found }
  return { own: { name: '', operations: RECORDS, run: () => overlay.prefetch(keys) }, limit: found }
}

function openCache(): Opened {
  const cache = new RowCache(100_000, 32 * 1024 * 1024)
  return {
    own: each('', (i) => cache.set(keyTexts[i] as string, { value: rows[i] as Buffer, timestamp: 1 })),
    limit: copyOfRow,
  }
}

async function openLevel(): Promise<{ store: StateStore; raw: Level<Buffer, Buffer>; close(): Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const { store } = await levelProvider({ dir, world }).open('0_0', 'rows', true)
  const raw = new Level<Buffer, Buffer>(join(dir, 'raw'), LEVEL_OPTIONS)
  await raw.open()
  return {
    store,
    raw,
    async close() {
      await store.close()
      await raw.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function openApply(): Promise<Opened> {
  const { store, raw, close } = await openLevel()
  const writes = keys.map((key, i) => ({ key, value: rows[i] as Buffer, timestamp: 1 }))
  const plain = keys.map((key, i) => ({ type: 'put' as const, key, value: frames[i] as Buffer }))
  return {
    own: { name: '', operations: RECORDS, run: () => store.apply(writes, { changelogOffset: 1 }) },
    limit: { name: "the package's batch, ready bytes", operations: RECORDS, run: () => raw.batch(plain) },
    close,
  }
}

async function openReads(singly: boolean): Promise<Opened> {
  const { store, raw, close } = await openLevel()
  const all = distinctEvents('events', STORE_ROWS)
  await store.apply(
    all.map(({ key, value }) => ({ key, value, timestamp: 1 })),
    { changelogOffset: 1 },
  )
  await raw.batch(all.map(({ key, value }) => ({ type: 'put' as const, key, value })))
  let at = 0
  const wanted = (): Buffer[] =>
    Array.from({ length: RECORDS }, () => {
      at = (at + 7919) % STORE_ROWS
      return all[at]?.key as Buffer
    })
  const many = (name: string, get: (of: Buffer[]) => Promise<unknown>): Side => ({
    name,
    operations: RECORDS,
    run: async () => {
      seen = await get(wanted())
    },
  })
  const single = (name: string, get: (key: Buffer) => unknown): Side => ({
    name,
    operations: RECORDS,
    run() {
      for (const key of wanted()) seen = get(key)
    },
  })
  return singly
    ? { own: single('', (key) => store.getSync(key)), limit: single("the package's getSync", (key) => raw.getSync(key)), close }
    : { own: many('', (of) => store.getMany(of)), limit: many("the package's getMany", (of) => raw.getMany(of)), close }
}
