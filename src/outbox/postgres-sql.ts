// What is asked of PostgreSQL. Ids are handed out before the commit, transaction ids at a transaction's first write: neither is the order of commits, and
// "id greater than the last" overlooks a row whose transaction ends late. So what is relayed is said by snapshots: the rows that one
// snapshot sees and an earlier one did not were committed between the two, whatever their ids.
//
// 1. Between two snapshots rows go by id. Two transactions that write rows of one key hold a lock of that key's when they insert, so the ids of a
//    key are in the order of its commits; and what was committed first is in every snapshot that has the second.
// 2. No transaction is held open meanwhile: a later snapshot sees all that an earlier one saw.
import type { TableName } from './table.ts'

export interface Queries {
  readonly snapshot: string
  /** The first rows between two snapshots. Bounds of xid say nothing new, but an index knows them: of a large table few rows are looked at. */
  readonly begun: string
  /** Those behind them, where there are many: by the index of the ids, so that each portion does not look at all that are left. */
  readonly onward: string
}

/** Sees nothing. */
export const NO_SNAPSHOT = '1:1:'

/** Behind it are all ids, also those of people who count from below 0. */
export const NO_ID = '-9223372036854775808'

/** The type of a column by its name. */
export type Types = ReadonlyMap<string, string>

/** `$1` is the table's quoted name. One row a column; `once` says whether no value comes twice. */
export const COLUMNS = `
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AS filled,
  a.attidentity <> '' OR EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
  ) AS once
FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

/** How many ids a connection takes at once from what gives them; no row: nothing does. */
export const CACHED = `SELECT seqcache::int AS ids FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence($1, 'id')::regclass`

/** Whose transaction ids these are, and whether they can be asked for here. */
export const SERVER = `
SELECT pg_is_in_recovery() AS standby, current_setting('server_version_num')::int AS version, to_regclass($1)::oid::text AS "table",
  row_security_active(to_regclass($1)::oid) AS hides`

export const IDENTITY = `
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system, current_database() AS database,
  (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)) AS "table"`

export function queriesOf(table: TableName, types: Types, hasTopic: boolean): Queries {
  const text = (name: string): string => (types.get(name) === 'bytea' ? `"${name}"` : `"${name}"::text`)
  const time = types.get('timestamp')
  // Infinity is a time of PostgreSQL's, and no number: the row is refused by its id.
  const ms = time?.startsWith('timestamp')
    ? `CASE WHEN isfinite("timestamp") THEN floor(extract(epoch FROM "timestamp") * 1000)::bigint::text ELSE "timestamp"::text END`
    : `"timestamp"::text`
  const columns = [
    '"id" AS place',
    '"id"::text AS id',
    `${text('key')} AS key`,
    `${text('value')} AS value`,
    ...(hasTopic ? ['"topic"::text AS topic'] : []),
    ...(types.has('headers') ? ['"headers"::text AS headers'] : []),
    ...(time === undefined ? [] : [`${ms} AS timestamp`]),
    `coalesce(octet_length(${text('key')}), 0) + coalesce(octet_length(${text('value')}), 0) AS size`,
  ]
  // $1 and $2: the snapshots, $3: the id behind which, $4: rows at most, $5: bytes at most. In the order of place, the number: what is called id
  // among what is selected is a text.
  const rows = (bounds: string): string => `
SELECT * FROM (
  SELECT *, count(*) OVER () AS found, sum(size) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) - size AS before FROM (
    SELECT ${columns.join(', ')} FROM ${table.quoted}
    WHERE ${bounds} pg_visible_in_snapshot("xid", $2::pg_snapshot) AND NOT pg_visible_in_snapshot("xid", $1::pg_snapshot) AND "id" > $3::bigint
    ORDER BY place LIMIT $4::int
  ) AS portion
) AS measured WHERE before < $5::bigint ORDER BY place`
  return {
    // A row of a transaction that is yet to come would never lie between two snapshots.
    snapshot: `
SELECT pg_current_snapshot()::text AS now,
  (SELECT "id"::text FROM ${table.quoted} WHERE "xid" >= pg_snapshot_xmax(pg_current_snapshot()) ORDER BY "xid" LIMIT 1) AS ahead`,
    // What the first does not see is what began behind it and what was open in it. Said so an index finds it, also while a transaction stays open for hours.
    begun: rows(
      `("xid" >= pg_snapshot_xmax($1::pg_snapshot) OR "xid" = ANY(ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot)))) AND "xid" < pg_snapshot_xmax($2::pg_snapshot) AND`,
    ),
    onward: rows(''),
  }
}
