/* store/reports_write.c: what changes the conversations and events of reports.h: storing a report, and expiring. Owns
 * the statements of both, and the count of what is kept of each sandbox. */
#include "base/error.h"
#include "store/database.h"
#include "store/reports.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROOM_LEFT = 32 << 20,  /* bytes of the disk that reports leave to the sandboxes */
    EXPIRE_TURN = 1000,    /* rows of a table that one call looks at */
    EXPIRE_BYTES = 8 << 20 /* of JSON that one call deletes; one row goes however large it is */
};

/* ---- statements ------------------------------------------------------------------------------- */

static const char select_kept[] = "SELECT bytes FROM reporters WHERE sandbox_id = ?";
static const char put_kept[] = "INSERT OR REPLACE INTO reporters (sandbox_id, bytes) VALUES (?,?)";
static const char lessen_kept[] = "UPDATE reporters SET bytes = bytes - ?2 WHERE sandbox_id = ?1";
static const char drop_kept[] = "DELETE FROM reporters WHERE sandbox_id = ? AND bytes <= 0";

static const char select_conversation[] =
    "SELECT c.seq, t.json FROM conversations AS c LEFT JOIN conversation_texts AS t ON t.seq = c.seq "
    "WHERE c.sandbox_id = ? AND c.id = ?";
static const char insert_conversation[] =
    "INSERT INTO conversations (sandbox_id, id, owner, reported_us, last_event_us) VALUES (?,?,?,0,0) "
    "RETURNING seq";
static const char touch_conversation[] =
    "UPDATE conversations SET reported_us = ?2, last_event_us = max(last_event_us, ?3) WHERE seq = ?1";
static const char put_text[] = "INSERT OR REPLACE INTO conversation_texts (seq, json) VALUES (?,?)";
static const char select_event[] =
    "SELECT 1 FROM events WHERE id = ? AND conversation_id = ? AND sandbox_id = ?";
static const char insert_event[] =
    "INSERT INTO events (timestamp_us, arrived_us, sandbox_id, conversation_id, id, owner, kind, json) "
    "VALUES (?1,?2,?3,?4,?5,?6,?7,?8)";

static const char oldest_events[] =
    "SELECT seq, arrived_us, sandbox_id, length(json) FROM events ORDER BY seq LIMIT ?";
static const char delete_events[] = "DELETE FROM events WHERE seq <= ?";
static const char next_conversations[] =
    "SELECT c.seq, c.sandbox_id, length(t.json), c.reported_us < ?2 AND NOT EXISTS "
    "(SELECT 1 FROM sandboxes AS s WHERE s.id = c.sandbox_id) FROM conversations AS c "
    "LEFT JOIN conversation_texts AS t ON t.seq = c.seq WHERE c.seq > ?1 ORDER BY c.seq LIMIT ?3";
static const char delete_conversation[] = "DELETE FROM conversations WHERE seq = ?";
static const char delete_text[] = "DELETE FROM conversation_texts WHERE seq = ?";

/* Values stay where they are until the step: they are the asker's. */
static void bind_text(sqlite3_stmt *s, int index, const char *text)
{
    sqlite3_bind_text(s, index, text, -1, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *s, int index, const char *bytes, size_t len)
{
    sqlite3_bind_blob64(s, index, bytes, len, SQLITE_STATIC);
}

/* ---- a report --------------------------------------------------------------------------------- */

struct report_job {
    struct job job; /* first */
    struct store_report report;
    struct store_reported reported;
    store_report_done done;
    void (*release)(void *arg);
    void *arg;
};

static int read_kept(struct database *d, const char *sandbox_id, int64_t *bytes, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, select_kept, err);
    if (!s)
        return -1;
    bind_text(s, 1, sandbox_id);
    int row = database_step(d, s, err);
    *bytes = row > 0 ? sqlite3_column_int64(s, 0) : 0;
    if (row > 0)
        database_reset(s);
    return row < 0 ? -1 : 0;
}

static int write_kept(struct database *d, const char *sandbox_id, int64_t bytes, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, put_kept, err);
    if (!s)
        return -1;
    bind_text(s, 1, sandbox_id);
    sqlite3_bind_int64(s, 2, bytes);
    return database_step(d, s, err);
}

struct kept_conversation {
    int64_t seq;
    int64_t text_len; /* -1: it has no text yet */
    bool same;        /* its text is the reported one */
};

/* Its row, made where there is none. */
static int find_conversation(struct database *d, const struct store_report *report,
                             struct kept_conversation *kept, int64_t *bytes, struct sbx_error *err)
{
    *kept = (struct kept_conversation){.text_len = -1};
    sqlite3_stmt *s = database_statement(d, select_conversation, err);
    if (!s)
        return -1;
    bind_text(s, 1, report->sandbox_id);
    bind_text(s, 2, report->conversation_id);
    int row = database_step(d, s, err);
    if (row < 0)
        return -1;
    if (row > 0) {
        kept->seq = sqlite3_column_int64(s, 0);
        if (report->conversation_json && sqlite3_column_type(s, 1) != SQLITE_NULL) {
            const void *text = sqlite3_column_blob(s, 1);
            kept->text_len = sqlite3_column_bytes(s, 1);
            kept->same = (size_t)kept->text_len == report->conversation_len &&
                         memcmp(text, report->conversation_json, report->conversation_len) == 0;
        }
        database_reset(s);
        return 0;
    }
    s = database_statement(d, insert_conversation, err);
    if (!s)
        return -1;
    bind_text(s, 1, report->sandbox_id);
    bind_text(s, 2, report->conversation_id);
    bind_text(s, 3, report->owner);
    row = database_step(d, s, err);
    if (row > 0) {
        kept->seq = sqlite3_column_int64(s, 0);
        row = database_step(d, s, err); /* to its end: a row changed counts then */
    }
    *bytes += REPORTS_ROW_COST;
    return row;
}

static int write_text(struct database *d, int64_t seq, const struct store_report *report,
                      struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, put_text, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, seq);
    bind_blob(s, 2, report->conversation_json, report->conversation_len);
    return database_step(d, s, err);
}

static int touch(struct database *d, int64_t seq, const struct store_report *report, int64_t last_event_us,
                 struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, touch_conversation, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, seq);
    sqlite3_bind_int64(s, 2, report->arrived_us);
    sqlite3_bind_int64(s, 3, last_event_us);
    return database_step(d, s, err);
}

/* More is kept than before, and than may be. */
static bool over(const struct store_report *report, int64_t kept, int64_t bytes)
{
    return bytes > kept && (uint64_t)bytes > report->max_bytes;
}

/* Looked for, instead of an insert that is ignored: that would use up a seq. 1: it is there already. */
static int is_known(struct database *d, const struct store_report *report, const char *id,
                    struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, select_event, err);
    if (!s)
        return -1;
    bind_text(s, 1, id);
    bind_text(s, 2, report->conversation_id);
    bind_text(s, 3, report->sandbox_id);
    int row = database_step(d, s, err);
    if (row > 0)
        database_reset(s);
    return row;
}

static int write_event(struct database *d, const struct store_report *report,
                       const struct store_new_event *event, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, insert_event, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, event->timestamp_us);
    sqlite3_bind_int64(s, 2, report->arrived_us);
    bind_text(s, 3, report->sandbox_id);
    bind_text(s, 4, report->conversation_id);
    bind_text(s, 5, event->id);
    bind_text(s, 6, report->owner);
    bind_text(s, 7, event->kind);
    bind_blob(s, 8, event->json, event->json_len);
    return database_step(d, s, err);
}

/* Stops once it is over: it is undone then. */
static int write_events(struct database *d, struct report_job *job, int64_t kept, int64_t *bytes,
                        int64_t *last_us, struct sbx_error *err)
{
    const struct store_report *report = &job->report;
    for (size_t i = 0; i < report->events_len && !over(report, kept, *bytes); i++) {
        const struct store_new_event *event = &report->events[i];
        int known = is_known(d, report, event->id, err);
        if (known < 0 || (!known && write_event(d, report, event, err)))
            return -1;
        if (known) {
            job->reported.known++;
            continue;
        }
        job->reported.stored++;
        *bytes += (int64_t)event->json_len + REPORTS_ROW_COST;
        if (event->timestamp_us > *last_us)
            *last_us = event->timestamp_us;
    }
    return 0;
}

static int write_report(struct database *d, struct report_job *job, int64_t kept, int64_t *bytes,
                        struct sbx_error *err)
{
    const struct store_report *report = &job->report;
    struct kept_conversation conversation;
    int64_t last_us = 0;
    *bytes = kept;
    if (find_conversation(d, report, &conversation, bytes, err))
        return -1;
    bool text = report->conversation_json && !conversation.same;
    if (text) {
        *bytes += (int64_t)report->conversation_len - (conversation.text_len < 0 ? 0 : conversation.text_len);
        if (write_text(d, conversation.seq, report, err))
            return -1;
    }
    if (write_events(d, job, kept, bytes, &last_us, err))
        return -1;
    /* What brings nothing new, as each turn of polling does, changes nothing. */
    if (!text && job->reported.stored == 0 && *bytes == kept)
        return 0;
    if (touch(d, conversation.seq, report, last_us, err))
        return -1;
    return *bytes != kept ? write_kept(d, report->sandbox_id, *bytes, err) : 0;
}

static int run_report(struct job *base, struct database *d, struct sbx_error *err)
{
    struct report_job *job = (struct report_job *)base;
    job->reported = (struct store_reported){0};
    if (database_room(d) < ROOM_LEFT)
        return error_set(err, SBX_ERR_UNAVAILABLE, STORE_FAILED,
                         "there is less than 32 MiB of room on the disk of state_dir: what agents report is "
                         "not stored until there is more");
    int64_t kept, bytes;
    if (read_kept(d, job->report.sandbox_id, &kept, err) || write_report(d, job, kept, &bytes, err))
        return -1;
    if (!over(&job->report, kept, bytes))
        return 0;
    job->reported = (struct store_reported){.full = true};
    return JOB_UNDO;
}

static void tell_report(struct job *base, const struct sbx_error *err)
{
    struct report_job *job = (struct report_job *)base;
    job->done(job->arg, err, &job->reported);
}

static void release_report(struct job *base)
{
    struct report_job *job = (struct report_job *)base;
    job->release(job->arg);
    free(job);
}

void store_report(struct store *store, const struct store_report *report, store_report_done done,
                  void (*release)(void *arg), void *arg)
{
    struct report_job *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    *job = (struct report_job){.job = {true, run_report, tell_report, release_report},
                               .report = *report,
                               .done = done,
                               .release = release,
                               .arg = arg};
    size_t size = sizeof *job + report->conversation_len + report->events_len * sizeof *report->events;
    for (size_t i = 0; i < report->events_len; i++)
        size += report->events[i].json_len;
    store_submit(store, operation_new_job(&job->job, size));
}

/* ---- expiring --------------------------------------------------------------------------------- */

struct expire_job {
    struct job job; /* first */
    int64_t before_us, place;
    struct store_expired expired;
    struct store_expired_event *rows; /* room for EXPIRE_TURN of them; `events` have an id, which is owned */
    int64_t bytes;                    /* of JSON, so far */
    store_expired_done done;
    void *arg;
};

/* So much less is kept of the sandbox. */
static int lessen(struct database *d, const char *sandbox_id, int64_t bytes, struct sbx_error *err)
{
    static const char *const steps[] = {lessen_kept, drop_kept};
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *s = database_statement(d, steps[i], err);
        if (!s)
            return -1;
        bind_text(s, 1, sandbox_id);
        if (i == 0)
            sqlite3_bind_int64(s, 2, bytes);
        if (database_step(d, s, err))
            return -1;
    }
    return 0;
}

static int delete_row(struct database *d, const char *sql, int64_t seq, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, sql, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, seq);
    return database_step(d, s, err);
}

static void forget_rows(struct expire_job *job)
{
    for (size_t i = 0; i < job->expired.events; i++)
        free((char *)job->rows[i].sandbox_id);
    job->expired.events = 0;
}

static const char *add_row(struct expire_job *job, int64_t seq, const char *sandbox_id)
{
    char *id = strdup(sandbox_id);
    if (!id)
        abort();
    job->rows[job->expired.events++] = (struct store_expired_event){seq, id};
    return id;
}

/* One row less of the sandbox is kept. */
static int let_go(struct database *d, struct expire_job *job, const char *sandbox_id, int64_t json_len,
                  struct sbx_error *err)
{
    job->bytes += json_len;
    return lessen(d, sandbox_id, json_len + REPORTS_ROW_COST, err);
}

/* They are in the order of their arrival, but for what a clock that was set back does: then some stay longer. */
static int expire_events(struct database *d, struct expire_job *job, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, oldest_events, err);
    if (!s)
        return -1;
    sqlite3_bind_int(s, 1, EXPIRE_TURN);
    int row = 0;
    while (job->bytes < EXPIRE_BYTES && (row = database_step(d, s, err)) > 0 &&
           sqlite3_column_int64(s, 1) < job->before_us) {
        job->expired.through_seq = sqlite3_column_int64(s, 0);
        const char *sandbox_id =
            add_row(job, job->expired.through_seq, (const char *)sqlite3_column_text(s, 2));
        if (let_go(d, job, sandbox_id, sqlite3_column_int64(s, 3), err)) {
            row = -1;
            break;
        }
    }
    database_reset(s);
    if (row < 0)
        return -1;
    job->expired.more = job->expired.events == EXPIRE_TURN || job->bytes >= EXPIRE_BYTES;
    return job->expired.events ? delete_row(d, delete_events, job->expired.through_seq, err) : 0;
}

static int expire_conversations(struct database *d, struct expire_job *job, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, next_conversations, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, job->expired.place);
    sqlite3_bind_int64(s, 2, job->before_us);
    sqlite3_bind_int(s, 3, EXPIRE_TURN);
    int64_t seqs[EXPIRE_TURN] = {0};
    int row = 0, looked_at = 0;
    while (job->bytes < EXPIRE_BYTES && (row = database_step(d, s, err)) > 0) {
        looked_at++;
        job->expired.place = sqlite3_column_int64(s, 0);
        if (!sqlite3_column_int(s, 3))
            continue;
        seqs[job->expired.conversations++] = job->expired.place;
        if (let_go(d, job, (const char *)sqlite3_column_text(s, 1), sqlite3_column_int64(s, 2), err)) {
            row = -1;
            break;
        }
    }
    database_reset(s);
    for (size_t i = 0; row >= 0 && i < job->expired.conversations; i++)
        row = delete_row(d, delete_text, seqs[i], err) || delete_row(d, delete_conversation, seqs[i], err)
                  ? -1
                  : 0;
    job->expired.more = looked_at == EXPIRE_TURN || job->bytes >= EXPIRE_BYTES;
    return row < 0 ? -1 : 0;
}

static int run_expire(struct job *base, struct database *d, struct sbx_error *err)
{
    struct expire_job *job = (struct expire_job *)base;
    forget_rows(job);
    job->expired = (struct store_expired){.place = job->place, .rows = job->rows};
    job->bytes = 0;
    if (expire_events(d, job, err))
        return -1;
    /* A conversation goes after its events. */
    return job->expired.more ? 0 : expire_conversations(d, job, err);
}

static void tell_expire(struct job *base, const struct sbx_error *err)
{
    struct expire_job *job = (struct expire_job *)base;
    job->done(job->arg, err, &job->expired);
}

static void release_expire(struct job *base)
{
    struct expire_job *job = (struct expire_job *)base;
    forget_rows(job);
    free(job->rows);
    free(job);
}

void store_reports_expire(struct store *store, int64_t before_us, int64_t place, store_expired_done done,
                          void *arg)
{
    struct expire_job *job = calloc(1, sizeof *job);
    struct store_expired_event *rows = calloc(EXPIRE_TURN, sizeof *rows);
    if (!job || !rows)
        abort();
    *job = (struct expire_job){.job = {true, run_expire, tell_expire, release_expire},
                               .before_us = before_us,
                               .place = place,
                               .rows = rows,
                               .done = done,
                               .arg = arg};
    store_submit(store, operation_new_job(&job->job, sizeof *job));
}
