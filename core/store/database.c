/* store/database.c: see database.h. Owns the connection, its settings and the prepared statements, and turns
 * SQLite's results into sentences. */
#include "store/database.h"

#include "base/error.h"
#include "base/log.h"
#include "store/directory.h"
#include "store/schema.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    QUICK_CHECK_PAGES =
        2048, /* a larger file is not read through at the start: damage is found when it is used */
    CHECKPOINT_PAGES = 1000, /* 4 MiB of log */
    OF_JOBS = 40             /* statements of jobs there may be */
};

/* EXCLUSIVE: no reader of another process can hold up the checkpoints, and the index of the log is in
 * memory instead of a third file. Set before the file is first read. */
static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA cache_size = -512;" /* KiB */
                               "PRAGMA mmap_size = 0;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON";
static const char log_settings[] = "PRAGMA synchronous = FULL;"
                                   "PRAGMA journal_size_limit = 8388608";

#define COLUMNS                                                                                              \
    "id, backend, owner, spec_id, session_key, created_at_us, begun, deleting, error_json, session_id, "     \
    "spec_json, sequence, pause_reason"

enum { BEGIN = OPERATION_KINDS, COMMIT, SAVEPOINT, RELEASE, ROLLBACK_TO, SANDBOX_IDS, SANDBOX, STATEMENTS };

static const char *const statement_texts[STATEMENTS] = {
    [PUT_SANDBOX] = "INSERT OR REPLACE INTO sandboxes (" COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [DELETE_SANDBOX] = "DELETE FROM sandboxes WHERE id = ?",
    [PUT] = "INSERT OR REPLACE INTO records (space, key, value) VALUES (?,?,?)",
    [DELETE] = "DELETE FROM records WHERE space = ? AND key = ?",
    [GET] = "SELECT value FROM records WHERE space = ? AND key = ?",
    [LIST] = "SELECT key FROM records WHERE space = ? AND key >= ? ORDER BY key",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [SAVEPOINT] = "SAVEPOINT job",
    [RELEASE] = "RELEASE job",
    [ROLLBACK_TO] = "ROLLBACK TO job",
    /* The ids are sorted alone: sorting whole rows would take as much memory as the table. */
    [SANDBOX_IDS] = "SELECT id FROM sandboxes ORDER BY sequence, id",
    [SANDBOX] = "SELECT " COLUMNS " FROM sandboxes WHERE id = ?",
};

struct database {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    struct {
        const char *sql; /* NULL: free */
        sqlite3_stmt *statement;
    } of_jobs[OF_JOBS]; /* prepared when they are first used: who has no events needs no memory for them */
    int log_pages;      /* in the log since the last checkpoint */
    bool checkpoint_failed;
};

/* ---- failures ------------------------------------------------------------------------------- */

/* The errno is that of the last call that failed, which may be an old one: it counts where SQLite blames the system. */
static bool is_full(int code, int number)
{
    int primary = code & 0xff;
    return primary == SQLITE_FULL ||
           ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && directory_is_full(number));
}

/* SQLite's reason, with the system's where there is one. */
static int run_failed(struct database *d, struct sbx_error *err)
{
    int number = sqlite3_system_errno(d->db), code = sqlite3_errcode(d->db);
    const char *text = number && code != SQLITE_OK ? strerrordesc_np(number) : NULL;
    bool full = is_full(code, number);
    return error_set(err, SBX_ERR_UNAVAILABLE, full ? STORE_NO_SPACE : STORE_FAILED,
                     "the store failed: %s%s%s%s%s%s", sqlite3_errmsg(d->db), text ? " (" : "",
                     text ? text : "", text ? ")" : "", full ? ": free some space on the disk of " : "",
                     full ? sqlite3_db_filename(d->db, "main") : "");
}

static int open_failed(sqlite3 *db, int rc, const char *path, struct sbx_error *err)
{
    int number = db ? sqlite3_system_errno(db) : 0;
    /* SQLite looks for a file that it could not make, and tells of that. */
    if ((rc & 0xff) == SQLITE_CANTOPEN && number == ENOENT && directory_takes_no_file(path))
        number = ENOSPC;
    const char *says = "can't be opened", *advice = "see the reason";
    switch (rc & 0xff) {
    case SQLITE_NOTADB:
        says = "is not a store of sandboxd";
        advice = "move it away, or set another state_dir";
        break;
    case SQLITE_CORRUPT:
        says = "is damaged";
        advice = "put back a copy of it, or move it away to begin with an empty one";
        break;
    case SQLITE_FULL:
        says = "can't grow: the disk is full";
        advice = "free some space, then start again";
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        says = "can't be written to";
        advice = "let the user that sandboxd runs as write to it and its directory";
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        says = "is open in another program";
        advice = "close it there";
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (directory_is_full(number)) {
            says = "can't be made: the disk is full";
            advice = "free some space, then start again";
        }
        break;
    default: break;
    }
    const char *system = number ? strerrordesc_np(number) : NULL;
    return error_set(err, SBX_ERR_UNAVAILABLE, is_full(rc, number) ? STORE_NO_SPACE : STORE_FAILED,
                     "%s %s (%s%s%s): %s", path, says, sqlite3_errstr(rc), system ? ", " : "",
                     system ? system : "", advice);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int quick_check(sqlite3 *db)
{
    sqlite3_int64 pages = 0;
    int rc = schema_number(db, "PRAGMA page_count", &pages);
    if (rc != SQLITE_OK || pages > QUICK_CHECK_PAGES)
        return rc;
    sqlite3_stmt *statement;
    rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        rc = text && strcmp(text, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    return rc;
}

/* A file system that can't do it answers with the mode that stays. */
static int use_log(sqlite3 *db)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        rc = mode && strcmp(mode, "wal") == 0 ? SQLITE_OK : SQLITE_CANTOPEN;
    }
    sqlite3_finalize(statement);
    return rc;
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct database *d = arg;
    d->log_pages = pages;
    return SQLITE_OK;
}

static int prepare_all(struct database *d)
{
    int rc = SQLITE_OK;
    for (int i = 0; i < STATEMENTS && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(d->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[i],
                                NULL);
    return rc;
}

/* Returns SQLite's result, or -1 when `err` is filled in already. */
static int set_up(struct database *d, const char *path, struct sbx_error *err)
{
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 512, 32);
    int rc = sqlite3_exec(d->db, settings, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = schema_check(d->db, path, err);
    if (rc == SQLITE_OK && sqlite3_db_readonly(d->db, "main"))
        rc = SQLITE_READONLY;
    if (rc == SQLITE_OK)
        rc = use_log(d->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(d->db, log_settings, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = quick_check(d->db);
    sqlite3_wal_hook(d->db, on_commit, d); /* instead of SQLite's own checkpoints, which a commit waits for */
    if (rc == SQLITE_OK)
        rc = schema_migrate(d->db);
    return rc == SQLITE_OK ? prepare_all(d) : rc;
}

struct database *database_open(const char *path, struct sbx_error *err)
{
    struct database *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* has no effect, and does no harm, on a second store */
    int rc = sqlite3_open_v2(path, &d->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(d, path, err);
    if (rc == SQLITE_OK)
        return d;
    if (rc != -1)
        open_failed(d->db, rc, path, err);
    database_close(d);
    return NULL;
}

void database_close(struct database *d)
{
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(d->statements[i]);
    for (int i = 0; i < OF_JOBS; i++)
        sqlite3_finalize(d->of_jobs[i].statement);
    sqlite3_close(d->db); /* moves the log into the file and removes it */
    free(d);
}

/* ---- running -------------------------------------------------------------------------------- */

static int run_plain(struct database *d, int statement, struct sbx_error *err)
{
    int rc = sqlite3_step(d->statements[statement]);
    int result = rc == SQLITE_DONE ? 0 : run_failed(d, err);
    sqlite3_reset(d->statements[statement]);
    return result;
}

int database_begin(struct database *d, struct sbx_error *err)
{
    return run_plain(d, BEGIN, err);
}

int database_commit(struct database *d, struct sbx_error *err)
{
    if (run_plain(d, COMMIT, err) == 0)
        return 0;
    database_rollback(d);
    return -1;
}

void database_rollback(struct database *d)
{
    if (database_in_transaction(d))
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
}

bool database_in_transaction(const struct database *d)
{
    return !sqlite3_get_autocommit(d->db);
}

static void bind_sandbox(sqlite3_stmt *s, const struct store_sandbox *sandbox)
{
    sqlite3_bind_text(s, 1, sandbox->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, sandbox->backend, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, sandbox->owner, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 4, sandbox->spec_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 5, sandbox->session_key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 6, sandbox->created_at_us);
    sqlite3_bind_int(s, 7, sandbox->begun);
    sqlite3_bind_int(s, 8, sandbox->deleting);
    sqlite3_bind_text(s, 9, sandbox->error_json, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 10, sandbox->session_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 11, sandbox->spec_json, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 12, sandbox->sequence);
    sqlite3_bind_text(s, 13, sandbox->pause_reason, -1, SQLITE_STATIC);
}

static void bind_operation(sqlite3_stmt *s, const struct operation *op)
{
    if (op->kind == PUT_SANDBOX) {
        bind_sandbox(s, &op->sandbox);
    } else if (op->kind == DELETE_SANDBOX) {
        sqlite3_bind_text(s, 1, op->sandbox.id, -1, SQLITE_STATIC);
    } else {
        sqlite3_bind_text(s, 1, op->space, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, op->key, -1, SQLITE_STATIC);
        if (op->kind == PUT)
            sqlite3_bind_blob64(s, 3, op->value, op->value_len, SQLITE_STATIC);
    }
}

/* Takes one row. Returns false when no more are wanted. */
static bool take_row(sqlite3_stmt *s, struct operation *op)
{
    if (op->kind == GET) {
        op->found = true;
        buffer_add(&op->result, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
        return false;
    }
    const char *key = (const char *)sqlite3_column_text(s, 0);
    if (!key || strncmp(key, op->key, strlen(op->key)) != 0)
        return false;
    return buffer_add(&op->result, key, strlen(key) + 1) == 0;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

sqlite3_stmt *database_statement(struct database *d, const char *sql, struct sbx_error *err)
{
    int i = 0;
    while (d->of_jobs[i].sql && d->of_jobs[i].sql != sql)
        if (++i == OF_JOBS)
            abort(); /* one more than the code has */
    if (!d->of_jobs[i].sql) {
        if (sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->of_jobs[i].statement, NULL) !=
            SQLITE_OK) {
            run_failed(d, err);
            return NULL;
        }
        d->of_jobs[i].sql = sql;
    }
    return d->of_jobs[i].statement;
}

void database_reset(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

int database_step(struct database *d, sqlite3_stmt *statement, struct sbx_error *err)
{
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        return 1;
    int result = rc == SQLITE_DONE ? 0 : run_failed(d, err);
    database_reset(statement);
    return result;
}

uint64_t database_room(const struct database *d)
{
    struct statvfs disk;
    if (statvfs(sqlite3_db_filename(d->db, "main"), &disk))
        return UINT64_MAX;
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* A transaction of its own, or a part of one that can be undone alone. */
static int run_undoably(struct database *d, struct job *job, struct sbx_error *err)
{
    bool alone = !database_in_transaction(d);
    if (run_plain(d, alone ? BEGIN : SAVEPOINT, err))
        return -1;
    int result = job->run(job, d, err);
    if (alone && result == 0)
        return database_commit(d, err);
    if (alone)
        database_rollback(d);
    else if (database_in_transaction(d)) { /* a failure may have ended it as a whole */
        if (result != 0)
            run_plain(d, ROLLBACK_TO, NULL);
        run_plain(d, RELEASE, NULL);
    }
    return result;
}

static void run_job(struct database *d, struct operation *op)
{
    struct sbx_error err;
    int result = op->job->writes ? run_undoably(d, op->job, &err) : op->job->run(op->job, d, &err);
    if (result < 0)
        operation_fail(op, &err);
}

/* ---- operations of one statement ------------------------------------------------------------ */

void database_run(struct database *d, struct operation *op)
{
    if (op->kind == JOB) {
        run_job(d, op);
        return;
    }
    sqlite3_stmt *s = d->statements[op->kind];
    struct sbx_error err;
    bool failed = false;
    bind_operation(s, op);
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && take_row(s, op))
        continue;
    if (op->result.failed)
        failed = error_set(&err, SBX_ERR_LIMIT, STORE_FAILED, "the keys are more than 64 MiB") != 0;
    else if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        failed = run_failed(d, &err) != 0;
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    if (failed)
        operation_fail(op, &err);
}

bool database_move_log(struct database *d)
{
    int in_log = 0, moved = 0;
    d->log_pages = 0;
    return sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved) == SQLITE_OK &&
           moved == in_log;
}

bool database_cut_log(struct database *d)
{
    d->log_pages = 0;
    return sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
}

void database_checkpoint(struct database *d)
{
    if (d->log_pages < CHECKPOINT_PAGES)
        return;
    d->log_pages = 0; /* of the next commit */
    int rc = sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && !d->checkpoint_failed)
        log_error("the store's log can't be moved into its file, and grows: %s", sqlite3_errmsg(d->db));
    d->checkpoint_failed = rc != SQLITE_OK;
}

/* ---- loading -------------------------------------------------------------------------------- */

static void read_sandbox(sqlite3_stmt *s, struct store_sandbox *sandbox)
{
    *sandbox = (struct store_sandbox){
        .id = (const char *)sqlite3_column_text(s, 0),
        .backend = (const char *)sqlite3_column_text(s, 1),
        .owner = (const char *)sqlite3_column_text(s, 2),
        .spec_id = (const char *)sqlite3_column_text(s, 3),
        .session_key = (const char *)sqlite3_column_text(s, 4),
        .created_at_us = sqlite3_column_int64(s, 5),
        .begun = sqlite3_column_int(s, 6) != 0,
        .deleting = sqlite3_column_int(s, 7) != 0,
        .error_json = (const char *)sqlite3_column_text(s, 8),
        .session_id = (const char *)sqlite3_column_text(s, 9),
        .spec_json = (const char *)sqlite3_column_text(s, 10),
        .sequence = sqlite3_column_int64(s, 11),
        .pause_reason = (const char *)sqlite3_column_text(s, 12),
    };
}

int database_load(struct database *d, void (*each)(void *arg, const struct store_sandbox *sandbox), void *arg,
                  struct sbx_error *err)
{
    sqlite3_stmt *ids = d->statements[SANDBOX_IDS], *row = d->statements[SANDBOX];
    int rc, result = 0;
    while ((rc = sqlite3_step(ids)) == SQLITE_ROW) {
        sqlite3_bind_value(row, 1, sqlite3_column_value(ids, 0));
        rc = sqlite3_step(row);
        if (rc == SQLITE_ROW) {
            struct store_sandbox sandbox;
            read_sandbox(row, &sandbox);
            each(arg, &sandbox);
        }
        sqlite3_reset(row);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            break;
    }
    if (rc != SQLITE_DONE)
        result = run_failed(d, err);
    sqlite3_reset(ids);
    sqlite3_clear_bindings(row);
    return result;
}
