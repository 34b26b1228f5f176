/* store/schema.c: see schema.h. Owns the schema and the steps that lead to it. A step that was released never
 * changes; a new version is one more entry at the end. */
#include "store/schema.h"

#include "base/error.h"
#include "store/store.h"

#include <stdio.h>

/* "SBXD": in the file's header it tells a store from any other SQLite file. */
enum { APPLICATION_ID = 0x53425844 };

/* The step at [n] leads from version n to n + 1. */
static const char *const migrations[] = {
    "CREATE TABLE sandboxes ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  backend TEXT NOT NULL,"
    "  owner TEXT,"
    "  spec_id TEXT,"
    "  session_key TEXT,"
    "  created_at_us INTEGER NOT NULL,"
    "  begun INTEGER NOT NULL,"
    "  deleting INTEGER NOT NULL,"
    "  error_json TEXT"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE records ("
    "  space TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  value BLOB NOT NULL,"
    "  PRIMARY KEY (space, key)"
    ") STRICT, WITHOUT ROWID;",
    "ALTER TABLE sandboxes ADD COLUMN session_id TEXT;"
    "ALTER TABLE sandboxes ADD COLUMN spec_json TEXT;",
    /* A conversation's text is a table of its own: each report of an event changes the row beside it. The first
     * column of the unique index of events is the one that GET /events?id= looks for. */
    "CREATE TABLE conversations ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  sandbox_id TEXT NOT NULL,"
    "  id TEXT NOT NULL,"
    "  owner TEXT,"
    "  reported_us INTEGER NOT NULL,"
    "  last_event_us INTEGER NOT NULL,"
    "  UNIQUE (sandbox_id, id)"
    ") STRICT;"
    "CREATE INDEX conversations_by_owner ON conversations (owner);"
    "CREATE TABLE conversation_texts ("
    "  seq INTEGER PRIMARY KEY,"
    "  json BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE events ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  timestamp_us INTEGER NOT NULL,"
    "  arrived_us INTEGER NOT NULL,"
    "  sandbox_id TEXT NOT NULL,"
    "  conversation_id TEXT NOT NULL,"
    "  id TEXT NOT NULL,"
    "  owner TEXT,"
    "  kind TEXT,"
    "  json BLOB NOT NULL,"
    "  UNIQUE (id, conversation_id, sandbox_id)"
    ") STRICT;"
    "CREATE INDEX events_by_time ON events (timestamp_us);"
    "CREATE INDEX events_by_owner ON events (owner, timestamp_us);"
    "CREATE INDEX events_by_conversation ON events (conversation_id, timestamp_us);"
    "CREATE TABLE reporters ("
    "  sandbox_id TEXT NOT NULL PRIMARY KEY,"
    "  bytes INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    /* The clock may have been set back: from now on the order is kept, and not the time. */
    "ALTER TABLE sandboxes ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sandboxes ADD COLUMN pause_reason TEXT;"
    "UPDATE sandboxes SET sequence = ranked.place"
    "  FROM (SELECT id, row_number() OVER (ORDER BY created_at_us, id) AS place FROM sandboxes) AS ranked"
    "  WHERE sandboxes.id = ranked.id;",
};

_Static_assert(sizeof migrations / sizeof migrations[0] == STORE_SCHEMA_VERSION, "a step for each version");

int schema_number(sqlite3 *db, const char *sql, sqlite3_int64 *number)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

int schema_check(sqlite3 *db, const char *path, struct sbx_error *err)
{
    sqlite3_int64 version = 0, application = 0, tables = 0;
    int rc = schema_number(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK)
        rc = schema_number(db, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = schema_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return rc;
    if (application != APPLICATION_ID && (version != 0 || application != 0 || tables != 0)) {
        error_set(err, SBX_ERR_UNAVAILABLE, STORE_FAILED,
                  "%s is the database of another program: move it away, or set another state_dir", path);
        return -1;
    }
    if (version < 0 || version > STORE_SCHEMA_VERSION) {
        error_set(err, SBX_ERR_UNSUPPORTED, STORE_FAILED,
                  "%s was written by a newer sandboxd (version %lld of its tables, this one knows %d): start "
                  "that one, "
                  "or set another state_dir",
                  path, version, STORE_SCHEMA_VERSION);
        return -1;
    }
    return SQLITE_OK;
}

int schema_migrate(sqlite3 *db)
{
    sqlite3_int64 version = 0;
    char numbers[96];
    int rc = schema_number(db, "PRAGMA user_version", &version);
    if (rc != SQLITE_OK || version == STORE_SCHEMA_VERSION)
        return rc;
    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (sqlite3_int64 v = version; rc == SQLITE_OK && v < STORE_SCHEMA_VERSION; v++)
        rc = sqlite3_exec(db, migrations[v], NULL, NULL, NULL);
    snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, STORE_SCHEMA_VERSION);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, numbers, NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
