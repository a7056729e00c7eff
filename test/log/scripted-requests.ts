// The requests that the scripted broker knows: what they say, what they do, and the answer, with an error code in the place where a broker
// puts it.
import { protocolErrorsCodesById, type Reader, Writer } from '@platformatic/kafka'

export const APIS = {
  0: ['Produce', 12],
  1: ['Fetch', 17],
  2: ['ListOffsets', 9],
  3: ['Metadata', 12],
  8: ['OffsetCommit', 9],
  9: ['OffsetFetch', 9],
  10: ['FindCoordinator', 6],
  11: ['JoinGroup', 9],
  12: ['Heartbeat', 4],
  13: ['LeaveGroup', 5],
  14: ['SyncGroup', 5],
  18: ['ApiVersions', 4],
  19: ['CreateTopics', 7],
  20: ['DeleteTopics', 6],
  22: ['InitProducerId', 5],
  24: ['AddPartitionsToTxn', 3],
  25: ['AddOffsetsToTxn', 4],
  26: ['EndTxn', 5],
  28: ['TxnOffsetCommit', 5],
  32: ['DescribeConfigs', 4],
} as const
export type Api = (typeof APIS)[keyof typeof APIS][0]

const NAMES: ReadonlyMap<string, number> = new Map(
  Object.entries(protocolErrorsCodesById as Readonly<Record<string, string>>).map(([code, name]) => [name, Number(code)]),
)

export function codeOf(name: string): number {
  const code = NAMES.get(name)
  if (code === undefined) throw new Error(`no broker has an error ${name}`)
  return code
}

export const TOPIC = 't'
const TOPIC_ID = '00000000-0000-4000-8000-000000000001'
const PARTITIONS = 2
const EMPTY_FETCH_MS = 10

/** What a test wants to know of a request. */
export interface Seen {
  readonly producerId?: bigint
  readonly epoch?: number
  readonly commit?: boolean
  readonly generation?: number
  readonly memberId?: string
}

export interface Handler {
  readonly seen?: Seen
  readonly apply?: () => void
  readonly delayMs?: number
  answer(code: number): Writer
}

/** What a broker remembers. */
export interface State {
  port: number
  epoch: number
  generation: number
  members: number
  base: number
  readonly offsets: Map<string, number>
  readonly pending: Map<string, number>
  readonly topics: Set<string>
}

export type Handlers<A extends Api> = Readonly<Record<A, (r: Reader, version: number) => Handler>>

const simple = (code: number): Writer => Writer.create().appendInt32(0).appendInt16(code)
const end = (writer: Writer): Writer => writer.appendTaggedFields()
const rows = (names: readonly Named[], each: (w: Writer, partition: number) => void): Writer =>
  end(
    Writer.create()
      .appendInt32(0)
      .appendArray([...names], (w, of) => void w.appendString(of.name).appendArray([...of.partitions], each)),
  )
const take = (of: readonly (Named & { readonly offsets: readonly number[] })[], into: Map<string, number>): void => {
  for (const { name, partitions, offsets: at } of of) partitions.forEach((p, i) => void into.set(`${name}-${p}`, at[i] as number))
}

type EpochApi =
  | 'InitProducerId'
  | 'AddPartitionsToTxn'
  | 'AddOffsetsToTxn'
  | 'Produce'
  | 'TxnOffsetCommit'
  | 'EndTxn'
  | 'OffsetCommit'
  | 'OffsetFetch'

export const epochHandlers = (state: State): Handlers<EpochApi> => ({
  InitProducerId: (r) => {
    r.readString()
    r.readInt32()
    const seen = { producerId: r.readInt64(), epoch: r.readInt16() }
    const apply = (): void => {
      state.epoch++
      state.pending.clear()
    }
    return {
      seen,
      apply,
      answer: (code) =>
        end(
          simple(code)
            .appendInt64(7n)
            .appendInt16(code === 0 ? state.epoch : -1),
        ),
    }
  },
  AddPartitionsToTxn: (r) => {
    r.readString()
    const seen = { producerId: r.readInt64(), epoch: r.readInt16() }
    const names = r.readArray(() => ({ name: r.readString(), partitions: r.readArray(() => r.readInt32(), true, false) }))
    return { seen, answer: (code) => rows(names, (w, partition) => void w.appendInt32(partition).appendInt16(code)) }
  },
  AddOffsetsToTxn: (r) => {
    r.readString()
    return { seen: { producerId: r.readInt64(), epoch: r.readInt16() }, answer: (code) => end(simple(code)) }
  },
  Produce: (r) => {
    r.readNullableString()
    r.readInt16()
    r.readInt32()
    const names = r.readArray(() => ({
      name: r.readString(),
      partitions: r.readArray(() => {
        const partition = r.readInt32()
        r.readBytes()
        return partition
      }),
    }))
    return {
      answer: (code) =>
        end(
          Writer.create()
            .appendArray(names, (w, of) => {
              w.appendString(of.name).appendArray(of.partitions, (p, partition) => {
                p.appendInt32(partition)
                  .appendInt16(code)
                  .appendInt64(BigInt(code === 0 ? state.base++ : -1))
                  .appendInt64(-1n)
                  .appendInt64(0n)
                p.appendArray([], () => {}).appendString(null)
              })
            })
            .appendInt32(0),
        ),
    }
  },
  TxnOffsetCommit: (r) => {
    r.readString()
    r.readString()
    const seen = { producerId: r.readInt64(), epoch: r.readInt16(), generation: r.readInt32(), memberId: r.readString() }
    r.readNullableString()
    const names = offsetsIn(r)
    return {
      seen,
      apply: () => take(names, state.pending),
      answer: (code) => rows(names, (w, partition) => void w.appendInt32(partition).appendInt16(code)),
    }
  },
  EndTxn: (r, version) => {
    r.readString()
    const seen = { producerId: r.readInt64(), epoch: r.readInt16(), commit: r.readBoolean() }
    const apply = (): void => {
      if (seen.commit) for (const [name, offset] of state.pending) state.offsets.set(name, offset)
      state.pending.clear()
      if (version === 5) state.epoch++
    }
    const answer = (code: number): Writer => {
      const writer = simple(code)
      if (version === 5) writer.appendInt64(code === 0 ? 7n : -1n).appendInt16(code === 0 ? state.epoch : -1)
      return end(writer)
    }
    return { seen, apply, answer }
  },
  OffsetCommit: (r) => {
    r.readString()
    const seen = { generation: r.readInt32(), memberId: r.readString() }
    r.readNullableString()
    const names = offsetsIn(r)
    return {
      seen,
      apply: () => take(names, state.offsets),
      answer: (code) => rows(names, (w, partition) => void w.appendInt32(partition).appendInt16(code)),
    }
  },
  OffsetFetch: (r) => {
    const groups = r.readArray(() => {
      const groupId = r.readString()
      r.readNullableString()
      r.readInt32()
      return { groupId, names: r.readArray(() => ({ name: r.readString(), partitions: r.readArray(() => r.readInt32(), true, false) })) }
    })
    const place = (w: Writer, name: string, partition: number, code: number): void => {
      w.appendInt32(partition)
        .appendInt64(BigInt(state.offsets.get(`${name}-${partition}`) ?? -1))
        .appendInt32(-1)
        .appendString('')
      w.appendInt16(code)
    }
    return {
      answer: (code) =>
        end(
          Writer.create()
            .appendInt32(0)
            .appendArray(groups, (w, { groupId, names }) => {
              w.appendString(groupId).appendArray(names, (of, { name, partitions }) => {
                of.appendString(name).appendArray(partitions, (p, partition) => place(p, name, partition, code))
              })
              w.appendInt16(0)
            }),
        ),
    }
  },
})

export const otherHandlers = (state: State): Handlers<Exclude<Api, EpochApi>> => ({
  ApiVersions: () => ({
    answer: (code) =>
      end(
        Writer.create()
          .appendInt16(code)
          .appendArray(Object.entries(APIS), (w, [key, [, version]]) => void w.appendInt16(Number(key)).appendInt16(0).appendInt16(version))
          .appendInt32(0),
      ),
  }),
  Metadata: (r) => {
    const names = r.readNullableArray(() => {
      r.readUUID()
      return r.readString()
    })
    return {
      answer: (code) =>
        end(
          Writer.create()
            .appendInt32(0)
            .appendArray([1], (w, id) => void w.appendInt32(id).appendString('127.0.0.1').appendInt32(state.port).appendString(null))
            .appendString('cluster')
            .appendInt32(1)
            .appendArray(names ?? [...state.topics], (w, name) => {
              const known = state.topics.has(name) && code === 0
              w.appendInt16(code !== 0 || known ? code : codeOf('UNKNOWN_TOPIC_OR_PARTITION'))
                .appendString(name)
                .appendUUID(known ? TOPIC_ID : null)
                .appendBoolean(false)
                .appendArray(known ? [...Array(PARTITIONS).keys()] : [], (of, partition) => {
                  of.appendInt16(0).appendInt32(partition).appendInt32(1).appendInt32(0)
                  for (let i = 0; i < 3; i++) of.appendArray([1], (o, id) => void o.appendInt32(id), true, false)
                })
                .appendInt32(0)
            }),
        ),
    }
  },
  FindCoordinator: (r) => {
    r.readInt8()
    const keys = r.readArray(() => r.readString(), true, false)
    return {
      answer: (code) =>
        end(
          Writer.create()
            .appendInt32(0)
            .appendArray(keys, (w, key) => {
              w.appendString(key)
                .appendInt32(code === 0 ? 1 : -1)
                .appendString(code === 0 ? '127.0.0.1' : '')
              w.appendInt32(code === 0 ? state.port : -1)
                .appendInt16(code)
                .appendString(null)
            }),
        ),
    }
  },
  ListOffsets: (r) => {
    r.readInt32()
    r.readInt8()
    const names = r.readArray(() => ({
      name: r.readString(),
      partitions: r.readArray(() => {
        const partition = r.readInt32()
        r.readInt32()
        r.readInt64()
        return partition
      }),
    }))
    return {
      answer: (code) =>
        rows(names, (w, partition) => void w.appendInt32(partition).appendInt16(code).appendInt64(-1n).appendInt64(5n).appendInt32(0)),
    }
  },
  Fetch: (r) => {
    r.readInt32()
    r.readInt32()
    r.readInt32()
    r.readInt8()
    r.readInt32()
    r.readInt32()
    const wants = r.readArray(() => ({
      id: r.readUUID(),
      partitions: r.readArray(() => {
        const partition = r.readInt32()
        r.readInt32()
        r.readInt64()
        r.readInt32()
        r.readInt64()
        r.readInt32()
        return partition
      }),
    }))
    return {
      delayMs: EMPTY_FETCH_MS,
      answer: (code) =>
        end(
          Writer.create()
            .appendInt32(0)
            .appendInt16(0)
            .appendInt32(0)
            .appendArray(wants, (w, { id, partitions }) => {
              w.appendUUID(id).appendArray(partitions, (p, partition) => {
                p.appendInt32(partition).appendInt16(code).appendInt64(5n).appendInt64(5n).appendInt64(0n)
                p.appendArray(null, () => {})
                  .appendInt32(-1)
                  .appendBytes(null)
              })
            }),
        ),
    }
  },
  JoinGroup: (r) => {
    r.readString()
    r.readInt32()
    r.readInt32()
    const memberId = r.readString()
    r.readNullableString()
    r.readNullableString()
    const [metadata] = r.readArray(() => {
      r.readString()
      return r.readBytes()
    })
    const own = memberId === '' ? `member-${++state.members}` : memberId
    return {
      seen: { memberId },
      apply: () => void state.generation++,
      answer: (code) =>
        end(
          simple(code)
            .appendInt32(code === 0 ? state.generation : -1)
            .appendString('consumer')
            .appendString('millrace')
            .appendString(own)
            .appendBoolean(false)
            .appendString(own)
            .appendArray(
              [own],
              (w, id) =>
                void w
                  .appendString(id)
                  .appendString(null)
                  .appendBytes(metadata as Buffer),
            ),
        ),
    }
  },
  SyncGroup: (r) => {
    r.readString()
    const seen = { generation: r.readInt32(), memberId: r.readString() }
    r.readNullableString()
    r.readNullableString()
    r.readNullableString()
    const [plan] = r.readArray(() => {
      r.readString()
      return r.readBytes()
    })
    return {
      seen,
      answer: (code) =>
        end(
          simple(code)
            .appendString('consumer')
            .appendString('millrace')
            .appendBytes(code === 0 ? (plan as Buffer) : Buffer.alloc(0)),
        ),
    }
  },
  Heartbeat: (r) => {
    r.readString()
    return { seen: { generation: r.readInt32(), memberId: r.readString() }, answer: (code) => end(simple(code)) }
  },
  LeaveGroup: () => ({ answer: (code) => end(simple(code).appendArray([], () => {})) }),
  CreateTopics: (r) => {
    const names = r.readArray(() => {
      const name = r.readString()
      r.readInt32()
      r.readInt16()
      r.readArray(() => {})
      r.readArray(() => [r.readString(), r.readNullableString()])
      return name
    })
    const existed = names.filter((name) => state.topics.has(name))
    const own = (name: string): number => (existed.includes(name) ? codeOf('TOPIC_ALREADY_EXISTS') : 0)
    return {
      apply: () => names.forEach((name) => void state.topics.add(name)),
      answer: (code) =>
        end(
          Writer.create()
            .appendInt32(0)
            .appendArray(names, (w, name) => {
              w.appendString(name)
                .appendUUID(TOPIC_ID)
                .appendInt16(code === 0 ? own(name) : code)
                .appendString(null)
                .appendInt32(PARTITIONS)
                .appendInt16(1)
              w.appendArray([], () => {})
            }),
        ),
    }
  },
  DeleteTopics: (r) => {
    const names = r.readArray(() => {
      const name = r.readNullableString() as string
      r.readUUID()
      return name
    })
    const missing = names.filter((name) => !state.topics.has(name))
    const own = (name: string): number => (missing.includes(name) ? codeOf('UNKNOWN_TOPIC_OR_PARTITION') : 0)
    return {
      apply: () => names.forEach((name) => void state.topics.delete(name)),
      answer: (code) =>
        end(
          Writer.create()
            .appendInt32(0)
            .appendArray(
              names,
              (w, name) =>
                void w
                  .appendString(name)
                  .appendUUID(null)
                  .appendInt16(code === 0 ? own(name) : code)
                  .appendString(null),
            ),
        ),
    }
  },
  DescribeConfigs: () => ({
    answer: () =>
      end(
        Writer.create()
          .appendInt32(0)
          .appendArray([], () => {}),
      ),
  }),
})

interface Named {
  readonly name: string
  readonly partitions: readonly number[]
}

function offsetsIn(r: Reader): readonly (Named & { readonly offsets: readonly number[] })[] {
  return r
    .readArray(() => ({
      name: r.readString(),
      rows: r.readArray(() => {
        const row = [r.readInt32(), Number(r.readInt64())] as const
        r.readInt32()
        r.readNullableString()
        return row
      }),
    }))
    .map(({ name, rows }) => ({ name, partitions: rows.map(([p]) => p), offsets: rows.map(([, offset]) => offset) }))
}
