/* store/schema.h: what the tables look like, version by version. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sandboxd/error.h>
#include <sqlite3.h>

/* Refuses what is not a store of sandboxd, or one of a newer version. Changes nothing. `path` is for the
 * sentence. */
int schema_check(sqlite3 *db, const char *path, struct sbx_error *err);
/* Brings a checked one to STORE_SCHEMA_VERSION, in one transaction. Returns SQLite's result. */
int schema_migrate(sqlite3 *db);

/* Reads one number: "PRAGMA user_version". Returns SQLite's result. */
int schema_number(sqlite3 *db, const char *sql, sqlite3_int64 *number);

#endif
