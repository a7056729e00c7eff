// What an outbox table is, as SQL to be run once. Printed by `millrace outbox --ddl`; nothing here is ever run by millrace itself.
import { tableName } from './table.ts'

export const DATABASES = ['postgres', 'sqlite'] as const
export type DatabaseKind = (typeof DATABASES)[number]

/** What the trigger of PostgreSQL tells, and the relay listens to. */
export const CHANNEL = 'millrace_outbox'

export function outboxDdl(kind: DatabaseKind, table: string): string {
  return kind === 'postgres' ? postgresDdl(table) : sqliteDdl(table)
}

function sqliteDdl(said: string): string {
  const { quoted } = tableName(said)
  return `-- An outbox: write to it in the transaction of what its rows tell of.
CREATE TABLE ${quoted} (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- AUTOINCREMENT: an id is never used twice, so deleted rows may be deleted for good
  topic TEXT NOT NULL,
  key, -- text or bytes; null: no key
  value, -- text or bytes; null: a tombstone
  headers TEXT, -- null, or a JSON object of texts
  timestamp INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)) -- ms since 1970
);
`
}

function postgresDdl(said: string): string {
  const { quoted, bare, said: name } = tableName(said)
  const notify = `${quoted.slice(0, -1)}_notify"`
  return `-- An outbox (PostgreSQL 13 or newer): write to it in the transaction of what its rows tell of, after the row that they are about was
-- written or locked: then the ids of a key are in the order of its commits.
CREATE TABLE ${quoted} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- which transaction wrote it: never set by hand
  topic text NOT NULL,
  key text, -- or bytea, uuid; null: no key
  value jsonb, -- or text, json, bytea; null: a tombstone
  headers jsonb, -- null, or an object of texts
  timestamp timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX "${bare}_xid" ON ${quoted} (xid);

-- Tells the relay at once; without it the relay looks every 500 ms. Leave it out where very many transactions commit at the same time.
CREATE FUNCTION ${notify}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('${CHANNEL}', '${name}'); RETURN NULL; END $$;
CREATE TRIGGER "${bare}_notify" AFTER INSERT ON ${quoted} FOR EACH STATEMENT EXECUTE FUNCTION ${notify}();
`
}
