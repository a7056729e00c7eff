// A session store as a user's processor sees it: a value per key, start and end, both ends inclusive.
//
// Invariant: as in Kafka Streams the store's time is the greatest end written to it; a session whose end is not greater than that
// less the retention is over.
import type { SessionKey, SessionStore } from '../../topology/processor.ts'
import { type SegmentedRow, segmented } from './segmented.ts'
import { uint64 } from './segmented-rows.ts'
import { checkTime, lazily, type StoreSite } from './site.ts'
import { MillraceError } from '../../base/errors.ts'

export function sessionStore(site: StoreSite, retentionMs: number): SessionStore<unknown, unknown> {
  const { view, life } = site
  const rows = segmented(site, retentionMs)

  const check = ({ key, start, end }: SessionKey<unknown>): Buffer => {
    checkTime(view.name, 'start', start)
    checkTime(view.name, 'end', end)
    if (start > end)
      throw new MillraceError('STREAM_CALLBACK', `store ${view.name}: a session from ${start} to ${end} ends before it starts`)
    return site.key(key)
  }
  const put = (session: SessionKey<unknown>, value: unknown): void => {
    const bytes = check(session)
    site.write(() =>
      life.within('put', () => rows.put(bytes, session.end, uint64(session.start), value == null ? null : view.encodeValue(value))),
    )
  }
  const find = (key: unknown, earliestEnd: number, latestStart: number) =>
    lazily(
      life,
      'findSessions',
      () => rows.between(site.key(key), earliestEnd, Number.MAX_SAFE_INTEGER),
      ({ time, rest, row }: SegmentedRow) => {
        const start = Number(rest.readBigUInt64BE(0))
        return start > latestStart ? null : ([{ key, start, end: time }, view.decodeValue(row.value)] as const)
      },
    )

  return {
    name: view.name,
    get: (session) =>
      life.within('get', () => {
        const row = rows.get(check(session), session.end, uint64(session.start))
        return row === null ? null : view.decodeValue(row.value)
      }),
    findSessions: find,
    fetch: (key) => find(key, 0, Number.MAX_SAFE_INTEGER),
    put,
    delete: (session) => put(session, null),
  }
}
