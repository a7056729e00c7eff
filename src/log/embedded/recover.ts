// Reads back at open what is not records: topics, ends, committed offsets, the commit number; and checks that it is all there.
//
// Invariants
// 1. Nothing that was committed is missing: the catalog and the commit number are there, each partition has its end, the offset
//    entries are as many as were counted, and the commit number is not behind the mark.
import { keyText } from '../../base/bytes.ts'
import type { CommittedOffset } from '../log.ts'
import type { Database } from './database.ts'
import { CATALOG_KEY, type Catalog, COMMITS_KEY, type Commits, content, damaged, endKey, jsonValue, offsetOf } from './entries.ts'

export interface Recovered {
  readonly catalog: Catalog
  readonly commits: Commits
  /** By topic id, then partition. */
  readonly ends: ReadonlyMap<number, readonly number[]>
  readonly offsets: readonly { readonly groupId: string; readonly offset: CommittedOffset; readonly entry: string }[]
}

export async function recover(database: Database, dir: string, mark: number): Promise<Recovered> {
  try {
    return await read(database, dir, mark)
  } catch (error) {
    throw error instanceof Error && (error as { code?: unknown }).code === 'STREAM_LOG_DAMAGED'
      ? error
      : damaged(dir, 'it cannot be read', error)
  }
}

async function read(database: Database, dir: string, mark: number): Promise<Recovered> {
  const catalogBytes = await database.get(CATALOG_KEY)
  const commitBytes = await database.get(COMMITS_KEY)
  if (catalogBytes === undefined && commitBytes === undefined && mark < 0 && (await database.keys({ limit: 1 }).all()).length === 0) {
    return create(database)
  }
  const catalog = parsed<Catalog>(dir, 'catalog of topics', CATALOG_KEY, catalogBytes)
  const commits = parsed<Commits>(dir, 'commit number', COMMITS_KEY, commitBytes)
  if (catalog.format !== 1) throw damaged(dir, `its format ${String(catalog.format)} is not known to this version`)
  if (commits.commit < mark) throw damaged(dir, `it ends at commit ${commits.commit}, but ${mark} were acknowledged`)

  const ends = new Map<number, number[]>()
  for (const { id, name, partitions } of catalog.topics) {
    const keys = Array.from({ length: partitions }, (_, partition) => endKey(id, partition))
    const values = await database.getMany(keys)
    ends.set(
      id,
      keys.map((key, partition) => checked(dir, `end of ${name}-${partition}`, key, values[partition]).readDoubleLE(0)),
    )
  }
  const offsets = []
  for await (const [key, value] of database.iterator({ gte: Buffer.from('o'), lt: Buffer.from('p') })) {
    const bytes = checked(dir, `committed offset ${key.toString('utf8', 1).replaceAll('\0', ' ')}`, key, value)
    offsets.push({ ...offsetOf(key, bytes), entry: keyText(key) })
  }
  if (offsets.length !== commits.offsetEntries) {
    throw damaged(dir, `it has ${offsets.length} committed offsets, but ${commits.offsetEntries} were written`)
  }
  return { catalog, commits, ends, offsets }
}

async function create(database: Database): Promise<Recovered> {
  const catalog: Catalog = { format: 1, nextId: 1, topics: [], clearing: [] }
  const commits: Commits = { commit: 0, offsetEntries: 0 }
  const put = (key: Buffer, json: object) => ({ type: 'put' as const, key, value: jsonValue(key, json) })
  await database.batch([put(CATALOG_KEY, catalog), put(COMMITS_KEY, commits)], { sync: true })
  return { catalog, commits, ends: new Map(), offsets: [] }
}

function checked(dir: string, what: string, key: Buffer, value: Buffer | undefined): Buffer {
  if (value === undefined) throw damaged(dir, `the ${what} is missing`)
  const bytes = content(key, value)
  if (bytes === null) throw damaged(dir, `the ${what} does not match its checksum`)
  return bytes
}

function parsed<T>(dir: string, what: string, key: Buffer, value: Buffer | undefined): T {
  return JSON.parse(checked(dir, what, key, value).toString()) as T
}
