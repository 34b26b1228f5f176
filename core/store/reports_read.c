/* store/reports_read.c: the questions of reports.h. Owns their statements. A statement walks along an index in the
 * order that is wanted, and what no index knows is compared here, so that the rows looked at can be counted. */
#include "base/error.h"
#include "store/database.h"
#include "store/reports.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXTS = REPORTS_BYTES + (16 << 20) }; /* of an answer: the last row may be one report large */

/* ---- statements ------------------------------------------------------------------------------- */

/* The texts are read only of what is in the answer. */
#define EVENT "seq, timestamp_us, sandbox_id, conversation_id, id, owner, kind"
/* Two statements merged, not (timestamp_us, seq) > (?1, ?2): SQLite would go from the first row of that time on, and one
 * sandbox may give all its events one time. */
#define WALK(index, where, range) "SELECT " EVENT " FROM events INDEXED BY " index " WHERE" where range
#define ASCENDING(index, where)                                                                              \
    WALK(index, where, " timestamp_us = ?1 AND seq > ?2 AND ?1 < ?3")                                        \
    " UNION ALL " WALK(index, where, " timestamp_us > ?1 AND timestamp_us < ?3") " ORDER BY timestamp_us, "  \
                                                                                 "seq"
#define DESCENDING(index, where)                                                                             \
    WALK(index, where, " timestamp_us = ?1 AND seq < ?2 AND ?1 >= ?3")                                       \
    " UNION ALL " WALK(index, where,                                                                         \
                       " timestamp_us < ?1 AND timestamp_us >= ?3") " ORDER BY timestamp_us DESC, seq DESC"
#define BOTH(index, where)                                                                                   \
    {                                                                                                        \
        ASCENDING(index, where), DESCENDING(index, where)                                                    \
    }

enum walk { WALK_ALL, WALK_OWNER, WALK_CONVERSATION, WALKS };
static const char *const walks[WALKS][2] = {
    [WALK_ALL] = BOTH("events_by_time", ),
    [WALK_OWNER] = BOTH("events_by_owner", " owner IS ?4 AND"),
    [WALK_CONVERSATION] = BOTH("events_by_conversation", " conversation_id = ?4 AND"),
};
static const char with_id[] =
    "SELECT " EVENT " FROM events WHERE id = ?1 ORDER BY conversation_id, sandbox_id";
static const char with_id_after[] =
    "SELECT " EVENT " FROM events WHERE id = ?1 AND (conversation_id, sandbox_id) > "
    "(SELECT conversation_id, sandbox_id FROM events WHERE seq = ?2) ORDER BY conversation_id, sandbox_id";
static const char stored_after[] = "SELECT " EVENT " FROM events WHERE seq > ? ORDER BY seq";
static const char event_text[] = "SELECT json FROM events WHERE seq = ?";

static const char last_seq[] = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
static const char last_time[] = "SELECT last_event_us FROM conversations WHERE sandbox_id = ? AND id = ?";

#define CONVERSATION                                                                                         \
    "SELECT c.seq, c.reported_us, c.sandbox_id, c.id, c.owner, t.json FROM conversations AS c "
#define TEXT_OF "LEFT JOIN conversation_texts AS t ON t.seq = c.seq "
static const char conversations[] = CONVERSATION TEXT_OF "WHERE c.seq < ?1 ORDER BY c.seq DESC";
static const char conversations_of[] =
    CONVERSATION TEXT_OF "WHERE c.owner IS ?2 AND c.seq < ?1 ORDER BY c.seq DESC";
static const char conversations_in[] =
    CONVERSATION TEXT_OF "WHERE c.sandbox_id = ?3 AND c.seq < ?1 ORDER BY c.seq DESC";
static const char conversations_of_in[] =
    CONVERSATION TEXT_OF "WHERE c.sandbox_id = ?3 AND c.owner IS ?2 AND c.seq < ?1 ORDER BY c.seq DESC";

/* ---- one question ----------------------------------------------------------------------------- */

enum question { SEARCH_EVENTS, COUNT_EVENTS, GET_EVENTS, EVENTS_AFTER, LAST_SEQ, LAST_TIME, CONVERSATIONS };

struct read_job {
    struct job job; /* first */
    enum question question;
    struct store_event_filter filter; /* its texts lie behind the job */
    const char *id, *sandbox_id;
    size_t limit;
    union {
        store_events_done events;
        store_number_done number;
        store_conversations_done conversations;
    } done;
    void *arg;

    /* The answer. Until it is told, the texts of a row are offsets into `texts`, from 1; 0 is NULL. */
    struct buffer texts;
    union {
        struct store_event *events;
        struct store_conversation *conversations;
        void *any;
    } rows; /* room for `limit` of them */
    size_t count;
    bool more;
    struct store_place place;
    int64_t number;
};

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *copy(char **at, const char *text)
{
    if (!text)
        return NULL;
    char *to = memcpy(*at, text, size_of(text));
    *at += size_of(text);
    return to;
}

static void *room_for(size_t count, size_t size)
{
    void *rows = calloc(count ? count : 1, size);
    if (!rows)
        abort();
    return rows;
}

/* ---- on the thread ---------------------------------------------------------------------------- */

/* An offset in the shape of a pointer. */
static const char *keep(struct read_job *job, const void *bytes, int len)
{
    if (!bytes && len == 0)
        return NULL;
    size_t at = job->texts.len + 1;
    buffer_add(&job->texts, bytes, (size_t)len);
    buffer_add(&job->texts, "", 1);
    return (const char *)(uintptr_t)at;
}

static const char *keep_column(struct read_job *job, sqlite3_stmt *s, int column)
{
    const void *text = sqlite3_column_text(s, column);
    return keep(job, text, sqlite3_column_bytes(s, column));
}

static bool same(sqlite3_stmt *s, int column, const char *wanted)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text && wanted ? strcmp(text, wanted) == 0 : !text && !wanted;
}

static bool wanted(const struct read_job *job, sqlite3_stmt *s)
{
    const struct store_event_filter *filter = &job->filter;
    return (filter->all_owners || same(s, 5, filter->owner)) && (!filter->kind || same(s, 6, filter->kind)) &&
           (!filter->conversation_id || same(s, 3, filter->conversation_id)) &&
           (!job->sandbox_id || same(s, 2, job->sandbox_id));
}

static int keep_text(struct read_job *job, struct store_event *event, struct database *d,
                     struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, event_text, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, event->seq);
    int row = database_step(d, s, err);
    if (row <= 0)
        return row;
    event->json_len = (size_t)sqlite3_column_bytes(s, 0);
    event->json = keep(job, sqlite3_column_blob(s, 0), (int)event->json_len);
    database_reset(s);
    return 0;
}

static int keep_event(struct read_job *job, sqlite3_stmt *s, struct database *d, struct sbx_error *err)
{
    struct store_event *event = &job->rows.events[job->count++];
    *event = (struct store_event){.seq = sqlite3_column_int64(s, 0),
                                  .timestamp_us = sqlite3_column_int64(s, 1),
                                  .sandbox_id = keep_column(job, s, 2),
                                  .conversation_id = keep_column(job, s, 3),
                                  .id = keep_column(job, s, 4),
                                  .owner = keep_column(job, s, 5),
                                  .kind = keep_column(job, s, 6)};
    return keep_text(job, event, d, err);
}

/* Where to begin, as the statement's first three values have it. */
static void bind_range(sqlite3_stmt *s, const struct store_event_filter *filter)
{
    struct store_place from = {filter->from_us, INT64_MIN};
    int64_t end = filter->until_us;
    if (filter->newest_first) {
        from.timestamp_us = filter->until_us;
        end = filter->from_us;
    }
    bool behind = filter->newest_first ? filter->place.timestamp_us < from.timestamp_us
                                       : filter->place.timestamp_us >= from.timestamp_us;
    if (filter->after && behind)
        from = filter->place;
    sqlite3_bind_int64(s, 1, from.timestamp_us);
    sqlite3_bind_int64(s, 2, from.seq);
    sqlite3_bind_int64(s, 3, end);
}

static sqlite3_stmt *bind_question(const struct read_job *job, struct database *d, struct sbx_error *err)
{
    const struct store_event_filter *filter = &job->filter;
    enum walk walk = filter->conversation_id ? WALK_CONVERSATION : filter->all_owners ? WALK_ALL : WALK_OWNER;
    const char *sql = job->question == GET_EVENTS     ? filter->after ? with_id_after : with_id
                      : job->question == EVENTS_AFTER ? stored_after
                                                      : walks[walk][filter->newest_first];
    sqlite3_stmt *s = database_statement(d, sql, err);
    if (!s)
        return NULL;
    if (job->question == GET_EVENTS) {
        sqlite3_bind_text(s, 1, job->id, -1, SQLITE_STATIC);
        if (filter->after)
            sqlite3_bind_int64(s, 2, filter->place.seq);
    } else if (job->question == EVENTS_AFTER) {
        sqlite3_bind_int64(s, 1, filter->place.seq);
    } else {
        bind_range(s, filter);
        if (walk != WALK_ALL)
            sqlite3_bind_text(s, 4, walk == WALK_OWNER ? filter->owner : filter->conversation_id, -1,
                              SQLITE_STATIC);
    }
    return s;
}

static int run_events(struct read_job *job, struct database *d, struct sbx_error *err)
{
    sqlite3_stmt *s = bind_question(job, d, err);
    if (!s)
        return -1;
    int row = 0, looked_at = 0;
    while (looked_at < REPORTS_TURN && job->count < job->limit && job->texts.len < REPORTS_BYTES) {
        row = database_step(d, s, err);
        if (row <= 0)
            return row;
        looked_at++;
        job->place = (struct store_place){sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 0)};
        if (!wanted(job, s))
            continue;
        if (job->question == COUNT_EVENTS)
            job->count++;
        else if (keep_event(job, s, d, err)) {
            database_reset(s);
            return -1;
        }
    }
    row = database_step(d, s, err); /* is there another? */
    job->more = row > 0;
    if (row > 0)
        database_reset(s);
    return row < 0 ? -1 : 0;
}

static int run_conversations(struct read_job *job, struct database *d, struct sbx_error *err)
{
    const struct store_event_filter *filter = &job->filter;
    const char *of_all = job->sandbox_id ? conversations_in : conversations;
    const char *of_owner = job->sandbox_id ? conversations_of_in : conversations_of;
    sqlite3_stmt *s = database_statement(d, filter->all_owners ? of_all : of_owner, err);
    if (!s)
        return -1;
    sqlite3_bind_int64(s, 1, filter->place.seq ? filter->place.seq : INT64_MAX);
    if (!filter->all_owners)
        sqlite3_bind_text(s, 2, filter->owner, -1, SQLITE_STATIC);
    if (job->sandbox_id)
        sqlite3_bind_text(s, 3, job->sandbox_id, -1, SQLITE_STATIC);
    int row, looked_at = 0;
    while (looked_at < REPORTS_TURN && job->count < job->limit && job->texts.len < REPORTS_BYTES) {
        row = database_step(d, s, err);
        if (row <= 0)
            return row;
        looked_at++;
        job->place.seq = sqlite3_column_int64(s, 0);
        if (sqlite3_column_type(s, 5) == SQLITE_NULL)
            continue;
        struct store_conversation *conversation = &job->rows.conversations[job->count++];
        *conversation = (struct store_conversation){.seq = job->place.seq,
                                                    .reported_us = sqlite3_column_int64(s, 1),
                                                    .sandbox_id = keep_column(job, s, 2),
                                                    .id = keep_column(job, s, 3),
                                                    .owner = keep_column(job, s, 4),
                                                    .json = keep_column(job, s, 5)};
        conversation->json_len = (size_t)sqlite3_column_bytes(s, 5);
    }
    row = database_step(d, s, err);
    job->more = row > 0;
    if (row > 0)
        database_reset(s);
    return row < 0 ? -1 : 0;
}

static int run_number(struct read_job *job, struct database *d, struct sbx_error *err)
{
    sqlite3_stmt *s = database_statement(d, job->question == LAST_SEQ ? last_seq : last_time, err);
    if (!s)
        return -1;
    if (job->question == LAST_TIME) {
        sqlite3_bind_text(s, 1, job->sandbox_id, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, job->id, -1, SQLITE_STATIC);
    }
    int row = database_step(d, s, err);
    if (row <= 0)
        return row;
    job->number = sqlite3_column_int64(s, 0);
    database_reset(s);
    return 0;
}

static int run_read(struct job *base, struct database *d, struct sbx_error *err)
{
    struct read_job *job = (struct read_job *)base;
    buffer_clear(&job->texts);
    job->count = 0;
    job->number = 0;
    job->more = false;
    job->place = job->filter.place;
    if (job->question == LAST_SEQ || job->question == LAST_TIME)
        return run_number(job, d, err);
    int result = job->question == CONVERSATIONS ? run_conversations(job, d, err) : run_events(job, d, err);
    if (result == 0 && job->texts.failed)
        return error_set(err, SBX_ERR_UNAVAILABLE, STORE_FAILED, "no memory is left for what was asked for");
    return result;
}

/* ---- on the loop ------------------------------------------------------------------------------ */

static void find(const struct read_job *job, const char **text)
{
    uintptr_t offset = (uintptr_t)*text;
    *text = offset ? job->texts.data + (offset - 1) : NULL;
}

static void tell_events(struct read_job *job, const struct sbx_error *err)
{
    for (size_t i = 0; !err && job->rows.events && i < job->count; i++) {
        struct store_event *event = &job->rows.events[i];
        find(job, &event->sandbox_id);
        find(job, &event->conversation_id);
        find(job, &event->id);
        find(job, &event->owner);
        find(job, &event->kind);
        find(job, &event->json);
    }
    struct store_events events = {job->rows.events, job->count, job->more, job->place};
    job->done.events(job->arg, err, err ? NULL : &events);
}

static void tell_conversations(struct read_job *job, const struct sbx_error *err)
{
    for (size_t i = 0; !err && i < job->count; i++) {
        struct store_conversation *conversation = &job->rows.conversations[i];
        find(job, &conversation->sandbox_id);
        find(job, &conversation->id);
        find(job, &conversation->owner);
        find(job, &conversation->json);
    }
    struct store_conversations found = {job->rows.conversations, job->count, job->more, job->place.seq};
    job->done.conversations(job->arg, err, err ? NULL : &found);
}

static void tell_read(struct job *base, const struct sbx_error *err)
{
    struct read_job *job = (struct read_job *)base;
    if (job->question == LAST_SEQ || job->question == LAST_TIME)
        job->done.number(job->arg, err, job->number);
    else if (job->question == CONVERSATIONS)
        tell_conversations(job, err);
    else
        tell_events(job, err);
}

static void release_read(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    buffer_finish(&job->texts);
    free(job->rows.any);
    free(job);
}

static struct read_job *new_job(enum question question, const struct store_event_filter *filter,
                                const char *sandbox_id, const char *id, void *arg)
{
    size_t texts = size_of(filter->owner) + size_of(filter->conversation_id) + size_of(filter->kind) +
                   size_of(sandbox_id) + size_of(id);
    struct read_job *job = calloc(1, sizeof *job + texts);
    if (!job)
        abort();
    char *at = (char *)(job + 1);
    job->job = (struct job){false, run_read, tell_read, release_read};
    job->question = question;
    job->filter = *filter;
    job->filter.owner = copy(&at, filter->owner);
    job->filter.conversation_id = copy(&at, filter->conversation_id);
    job->filter.kind = copy(&at, filter->kind);
    job->sandbox_id = copy(&at, sandbox_id);
    job->id = copy(&at, id);
    job->arg = arg;
    job->texts = buffer_init(MAX_TEXTS);
    return job;
}

static void submit(struct store *store, struct read_job *job)
{
    store_submit(store, operation_new_job(&job->job, sizeof *job));
}

static void ask_events(struct store *store, enum question question, const struct store_event_filter *filter,
                       const char *sandbox_id, const char *id, size_t limit, store_events_done done,
                       void *arg)
{
    struct read_job *job = new_job(question, filter, sandbox_id, id, arg);
    job->done.events = done;
    job->limit = limit;
    if (question != COUNT_EVENTS)
        job->rows.events = room_for(limit, sizeof *job->rows.events);
    submit(store, job);
}

static size_t at_most_a_turn(size_t limit)
{
    return limit < REPORTS_TURN ? limit : REPORTS_TURN;
}

void store_events_search(struct store *store, const struct store_event_filter *filter, size_t limit,
                         store_events_done done, void *arg)
{
    ask_events(store, SEARCH_EVENTS, filter, NULL, NULL, at_most_a_turn(limit), done, arg);
}

void store_events_count(struct store *store, const struct store_event_filter *filter, store_events_done done,
                        void *arg)
{
    ask_events(store, COUNT_EVENTS, filter, NULL, NULL, SIZE_MAX, done, arg);
}

void store_events_get(struct store *store, const struct store_event_filter *filter, const char *id,
                      store_events_done done, void *arg)
{
    ask_events(store, GET_EVENTS, filter, NULL, id, 1, done, arg);
}

void store_events_after(struct store *store, const char *sandbox_id, int64_t seq, size_t limit,
                        store_events_done done, void *arg)
{
    struct store_event_filter filter = {.all_owners = true, .place.seq = seq};
    ask_events(store, EVENTS_AFTER, &filter, sandbox_id, NULL, at_most_a_turn(limit), done, arg);
}

void store_events_last_seq(struct store *store, store_number_done done, void *arg)
{
    struct read_job *job = new_job(LAST_SEQ, &(struct store_event_filter){0}, NULL, NULL, arg);
    job->done.number = done;
    submit(store, job);
}

void store_events_last_time(struct store *store, const char *sandbox_id, const char *conversation_id,
                            store_number_done done, void *arg)
{
    struct read_job *job =
        new_job(LAST_TIME, &(struct store_event_filter){0}, sandbox_id, conversation_id, arg);
    job->done.number = done;
    submit(store, job);
}

void store_conversations_search(struct store *store, bool all_owners, const char *owner,
                                const char *sandbox_id, int64_t place, size_t limit,
                                store_conversations_done done, void *arg)
{
    struct store_event_filter filter = {.all_owners = all_owners, .owner = owner, .place.seq = place};
    struct read_job *job = new_job(CONVERSATIONS, &filter, sandbox_id, NULL, arg);
    job->done.conversations = done;
    job->limit = at_most_a_turn(limit);
    job->rows.conversations = room_for(job->limit, sizeof *job->rows.conversations);
    submit(store, job);
}
