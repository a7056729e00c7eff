// What lies in the database of an embedded log, damaged at random: each time it is found by name, or nothing is different. The entries
// are those of a real log; only the database below is played, so that there can be many thousands of cases.
import { describe, expect, it } from 'vitest'
import { DurableCommits } from '../../src/log/embedded/durable.ts'
import { recover } from '../../src/log/embedded/recover.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { type Database, openDatabase } from '../../src/log/embedded/database.ts'
import type { Mark } from '../../src/log/embedded/mark.ts'
import { thisProcess } from '../../src/log/embedded/owner.ts'
import { commit, freshWriter, position } from '../contract/log/steps.ts'
import { seeded } from '../support/seeded.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'
import { withDirectory, withLog } from './directories.ts'

const CASES = runsOf(5_000, 50_000)
const COMMITS = 12
const PARTITIONS = 2

type Entry = readonly [key: Buffer, value: Buffer]

/** The part of a database that opening and reading need, over entries in order. */
function played(entries: readonly Entry[]): Database {
  const within = ({ gte, lt, lte }: { gte?: Buffer; lt?: Buffer; lte?: Buffer }): readonly Entry[] =>
    entries.filter(
      ([key]) =>
        (gte === undefined || key.compare(gte) >= 0) &&
        (lt === undefined || key.compare(lt) < 0) &&
        (lte === undefined || key.compare(lte) <= 0),
    )
  const get = (key: Buffer): Buffer | undefined => entries.find(([at]) => at.equals(key))?.[1]
  return {
    get: async (key: Buffer) => get(key),
    getMany: async (keys: readonly Buffer[]) => keys.map(get),
    keys: ({ reverse = false, limit = Number.POSITIVE_INFINITY, ...range }) => {
      const keys = within(range).map(([key]) => key)
      return { all: async () => (reverse ? keys.toReversed() : keys).slice(0, limit) }
    },
    iterator: (range: { gte?: Buffer; lt?: Buffer }) => {
      const left = [...within(range)]
      return {
        nextv: async (count: number) => left.splice(0, count),
        close: async () => {},
        async *[Symbol.asyncIterator]() {
          yield* left
        },
      }
    },
  } as unknown as Database
}

/** Everything that a reader of this log gets, or what refuses it. */
async function everything(entries: readonly Entry[], mark: number): Promise<unknown> {
  const database = played(entries)
  try {
    const recovered = await recover(database, 'dir', mark)
    const topics = new DurableCommits(database, 'dir', {} as Mark, recovered, 0).open(recovered)
    const records: string[] = []
    for (const { end, load, name } of topics.flatMap(({ partitions }) => partitions)) {
      for (let at = 0; at < end; ) {
        const slice = await load?.(at, 1_000)
        for (const { offset, timestamp, key, value } of slice?.records ?? []) records.push([name, offset, timestamp, key, value].join(' '))
        at = slice?.position ?? end
      }
    }
    return { records, topics: recovered.catalog.topics, offsets: recovered.offsets.map(({ groupId, offset }) => ({ groupId, ...offset })) }
  } catch (error) {
    return error instanceof MillraceError ? error.code : `${error}`
  }
}

async function realEntries(): Promise<Entry[]> {
  return withDirectory(async (dir) => {
    await withLog(dir, async (log) => {
      await log.createTopics(['in', 'out'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' as const })))
      const writer = await freshWriter(log)
      for (let n = 0; n < COMMITS; n++) {
        for (let i = 0; i < 6; i++)
          writer.append('out', i % PARTITIONS, n, Buffer.from(`${n}:${i}`), Buffer.from(`${n}`.repeat(9)), NO_HEADERS)
        writer.append('out', 0, n, null, null, [['from', Buffer.from('here')]])
        await commit(writer, { groupId: 'g', offsets: [position('in', n % PARTITIONS, n)] })
      }
      await writer.close()
    })
    const database = await openDatabase(dir, thisProcess())
    const entries: Entry[] = await database.iterator().all()
    await database.close()
    return entries.map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const)
  })
}

const flipped = (bytes: Buffer, bit: number): Buffer => {
  const other = Buffer.from(bytes)
  other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7))
  return other
}

describe('entries of an embedded log', () => {
  it(`${CASES} of them flipped, cut, grown, lost, exchanged or under another key: found by name, or harmless`, {
    timeout: runsOf(60_000, 300_000),
  }, async () => {
    const entries = await realEntries()
    const mark = COMMITS + 1
    const whole = await everything(entries, mark)
    expect((whole as { records: string[] }).records).toHaveLength(COMMITS * 7)
    const random = seeded(11)
    const at = (length: number): number => random.below(length)
    /** What becomes of the entries, of which this is one. */
    const damages: Readonly<Record<string, (entry: Entry) => readonly Entry[]>> = {
      'a flipped bit': ([key, value]) => [[key, flipped(value, at(value.length * 8))]],
      'bytes written over': ([key, value]) => {
        const from = at(value.length)
        return [[key, value.map((byte, i) => (i >= from && i <= from + 16 ? at(256) : byte)) as Buffer]]
      },
      'a value cut short': ([key, value]) => [[key, value.subarray(0, at(value.length))]],
      'a value that has grown': ([key, value]) => [[key, Buffer.concat([value, Buffer.alloc(1 + at(9), at(256))])]],
      'an entry lost': () => [],
      'another value': ([key]) => [[key, random.pick(entries)[1]]],
      'another key': ([key, value]) => [[flipped(key, at(key.length * 8)), value]],
    }
    const names = Object.keys(damages)
    const tally = { found: 0, harmless: 0 }
    for (let n = 0; n < CASES; n++) {
      const name = names[n % names.length] as string
      const i = at(entries.length)
      const struck = damages[name]?.(entries[i] as Entry) ?? []
      const damaged = entries.toSpliced(i, 1, ...struck).sort(([a], [b]) => a.compare(b))
      const found = await everything(damaged, mark)
      if (found === 'STREAM_LOG_DAMAGED') tally.found++
      else {
        expect(found, `case ${n}: ${name} of entry ${i}`).toEqual(whole)
        tally.harmless++
      }
    }
    console.info(`${CASES} damages: ${JSON.stringify(tally)}`)
    expect(tally.found).toBeGreaterThan(CASES * 0.8)
    ran('15', tally.found + tally.harmless)
  })
})
