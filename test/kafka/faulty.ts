// Loaded into a `millrace run` before its command: shortens limits as FAULTY_LIMITS says (JSON), and lets the process stop itself
// (SIGSTOP) at the next place named FAULTY_STOP_AT once it got SIGUSR2, so that a zombie is made in the middle of a commit and not
// somewhere near it. It says so on stderr with its last breath. With restored.ts it says how many records its start restored; with
// FAULTY_SLOW_RESTORE a restore takes its time, and says that it has begun; with FAULTY_HOLD_RESTORE it waits for as long as that file is there.
// Changes nothing else.
import { existsSync, writeSync } from 'node:fs'
import { LIMITS } from '../../src/base/limits.ts'
import { KafkaReader } from '../../src/log/kafka/reader.ts'
import { Transaction } from '../../src/log/kafka/transaction.ts'
import { KafkaWriter } from '../../src/log/kafka/writer.ts'
import '../support/restored.ts'

/** open: records of an open epoch are on their way. sealed: everything is flushed, the offsets not yet sent. offsets: they are taken,
 *  the end not yet sent. ended: it is answered, nothing is applied to the stores. */
export type StopPlace = 'open' | 'sealed' | 'offsets' | 'ended'

Object.assign(LIMITS, JSON.parse(process.env.FAULTY_LIMITS ?? '{}'))

const at = process.env.FAULTY_STOP_AT
let armed = false
if (at !== undefined)
  process.on('SIGUSR2', () => {
    armed = true
  })

function pass(place: StopPlace): void {
  if (!armed || at !== place) return
  armed = false
  writeSync(2, `${JSON.stringify({ stoppedAt: place })}\n`)
  process.kill(process.pid, 'SIGSTOP')
}

const { addOffsets, end } = Transaction.prototype
Transaction.prototype.addOffsets = function (...words) {
  pass('sealed')
  return addOffsets.apply(this, words)
}
Transaction.prototype.end = async function (commit) {
  if (commit) pass('offsets')
  await end.call(this, commit)
  if (commit) pass('ended')
}
const { drain } = KafkaWriter.prototype
KafkaWriter.prototype.drain = async function () {
  const before = this.bufferedBytes
  await drain.call(this)
  if (armed && at === 'open' && before > 0) {
    await new Promise((resolve) => setTimeout(resolve, 20)) // what was sent reaches the broker
    pass('open')
  }
}

const hold = process.env.FAULTY_HOLD_RESTORE
if (process.env.FAULTY_SLOW_RESTORE === '1' || hold !== undefined) {
  const slow = new WeakSet<KafkaReader>()
  const { assign, poll, pollColumns } = KafkaReader.prototype
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  KafkaReader.prototype.assign = function (partitions) {
    if (partitions.some(({ topic }) => topic.endsWith('-changelog'))) slow.add(this)
    assign.call(this, partitions)
  }
  const wait = async (reader: KafkaReader): Promise<void> => {
    if (!slow.has(reader)) return
    writeSync(2, `${JSON.stringify({ restoring: true })}\n`)
    if (hold === undefined) await sleep(1_000)
    else while (existsSync(hold)) await sleep(20)
  }
  KafkaReader.prototype.poll = async function (waitMs) {
    await wait(this)
    return poll.call(this, waitMs)
  }
  KafkaReader.prototype.pollColumns = async function (waitMs) {
    await wait(this)
    return pollColumns.call(this, waitMs)
  }
}
