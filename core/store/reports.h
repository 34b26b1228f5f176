/* store/reports.h: the conversations and events that agents reported, beside the rest of what store.h keeps.
 *
 * Everything is keyed by the sandbox that reported it: UNIQUE (sandbox, conversation, event), so that no sandbox
 * reaches the rows of another. An event is stored once, however often it is reported, and stays as it came first;
 * of a conversation the newest report counts. Rows outlive their sandbox, until they are expired.
 *
 * Each call is answered on the loop, in the order of all calls of the store. Those that read look at a bounded
 * number of rows (REPORTS_TURN) and of bytes (REPORTS_BYTES) and then say that there is `more`, so that none
 * holds up the writes behind it: the caller asks again from where the answer ended. What is asked is copied, but
 * for the rows of store_report(). Texts in an answer are valid during the callback. Failures are as in store.h.
 * Loop thread only.
 */
#ifndef STORE_REPORTS_H
#define STORE_REPORTS_H

#include "store/store.h"

enum {
    REPORTS_TURN = 5000,     /* rows that one call looks at */
    REPORTS_BYTES = 4 << 20, /* of JSON in one answer; one row is there however large it is */
    REPORTS_ROW_COST = 256,  /* what a row counts beside its JSON, against max_bytes */
    REPORTS_ID_SIZE = 128    /* the longest id of an event, its kind too, and the zero byte */
};

/* ---- writing ---------------------------------------------------------------------------------- */

struct store_new_event {
    const char *id;
    const char *kind;     /* NULL: none */
    int64_t timestamp_us; /* since 1970, UTC */
    const char *json;     /* its text, as it came */
    size_t json_len;
};

/* What one sandbox reports of one of its conversations. */
struct store_report {
    const char *sandbox_id;
    const char *owner;           /* NULL: nobody */
    const char *conversation_id; /* 32 lowercase hexadecimal digits */
    int64_t arrived_us;
    uint64_t max_bytes;            /* what is kept of this sandbox in all, with this report */
    const char *conversation_json; /* NULL: events are reported only */
    size_t conversation_len;
    const struct store_new_event *events;
    size_t events_len;
};

struct store_reported {
    size_t stored; /* events that are new */
    size_t known;  /* events that were there already */
    bool full;     /* nothing was stored: what is kept of the sandbox would be more than max_bytes */
};
typedef void (*store_report_done)(void *arg, const struct sbx_error *err,
                                  const struct store_reported *reported);

/* All of it or nothing, on disk when `done` is called. The report and all it points to belong to the caller and
 * stay valid until `release` is called: after `done`, or by store_close() instead of it, when it may touch
 * nothing but what it frees. Less than 32 MiB of room left on the disk is a failure too: what there is remains for the
 * sandboxes. */
void store_report(struct store *store, const struct store_report *report, store_report_done done,
                  void (*release)(void *arg), void *arg);

/* ---- reading ---------------------------------------------------------------------------------- */

struct store_event {
    int64_t seq; /* one more for each new event, and never used again: the order in which they were stored */
    int64_t timestamp_us;
    const char *sandbox_id, *conversation_id, *id;
    const char *owner; /* NULL: nobody */
    const char *kind;  /* NULL: none */
    const char *json;
    size_t json_len;
};

/* A place in an order of events: behind the row that it names. */
struct store_place {
    int64_t timestamp_us, seq;
};

struct store_events {
    const struct store_event *rows; /* of store_events_count(): NULL */
    size_t count;
    bool more;                /* there may be more behind `place` */
    struct store_place place; /* where it ended; of store_events_after() the seq alone */
};
typedef void (*store_events_done)(void *arg, const struct sbx_error *err, const struct store_events *events);

struct store_event_filter {
    bool all_owners;
    const char *owner;           /* else whose; NULL: nobody's */
    const char *conversation_id; /* NULL: of all */
    const char *kind;            /* NULL: of all */
    int64_t from_us, until_us;   /* until_us itself does not count; INT64_MIN, INT64_MAX: no bound */
    bool newest_first;
    bool after; /* `place` counts */
    struct store_place place;
};
/* By time, and for equal times in the order in which they were stored. */
void store_events_search(struct store *store, const struct store_event_filter *filter, size_t limit,
                         store_events_done done, void *arg);
void store_events_count(struct store *store, const struct store_event_filter *filter, store_events_done done,
                        void *arg);
/* One event with this id that the filter lets through, whatever its time: where several sandboxes have reported it,
 * it is one of theirs. No row and no `more`: there is none. */
void store_events_get(struct store *store, const struct store_event_filter *filter, const char *id,
                      store_events_done done, void *arg);

/* For callbacks: those of a sandbox (NULL: of all) that were stored after `seq`, in that order; at most `limit`. */
void store_events_after(struct store *store, const char *sandbox_id, int64_t seq, size_t limit,
                        store_events_done done, void *arg);

/* What is the newest that was stored: a number that is 0 where there is nothing. Both remember what was expired
 * since: seq for good, a conversation's time as long as the conversation is there. */
typedef void (*store_number_done)(void *arg, const struct sbx_error *err, int64_t number);
void store_events_last_seq(struct store *store, store_number_done done, void *arg);
/* The largest timestamp_us of any event of a conversation. */
void store_events_last_time(struct store *store, const char *sandbox_id, const char *conversation_id,
                            store_number_done done, void *arg);

struct store_conversation {
    int64_t seq; /* in the order in which they were first heard of */
    int64_t reported_us;
    const char *sandbox_id, *id;
    const char *owner; /* NULL: nobody */
    const char *json;
    size_t json_len;
};
struct store_conversations {
    const struct store_conversation *rows;
    size_t count;
    bool more;
    int64_t place; /* where it ended: the seq of a row */
};
typedef void (*store_conversations_done)(void *arg, const struct sbx_error *err,
                                         const struct store_conversations *conversations);
/* Newest first, behind `place` (0: from the beginning); those of one sandbox, or of all (NULL). Those of which only events
 * are known have no row here. */
void store_conversations_search(struct store *store, bool all_owners, const char *owner,
                                const char *sandbox_id, int64_t place, size_t limit,
                                store_conversations_done done, void *arg);

/* ---- expiring --------------------------------------------------------------------------------- */

struct store_expired_event {
    int64_t seq;
    const char *sandbox_id;
};
struct store_expired {
    size_t events, conversations;           /* that were deleted */
    const struct store_expired_event *rows; /* `events` of them */
    int64_t through_seq;                    /* no event up to this one is left; 0: none was deleted */
    int64_t place;                          /* where it ended: the conversation that was looked at last */
    bool more; /* a call looks at few rows, and deletes few bytes: there may be others */
};
typedef void (*store_expired_done)(void *arg, const struct sbx_error *err,
                                   const struct store_expired *expired);
/* Deletes what arrived before: events, oldest first; then, behind `place` (0: from the beginning), conversations that
 * have none left, were not reported since, and whose sandbox is gone. */
void store_reports_expire(struct store *store, int64_t before_us, int64_t place, store_expired_done done,
                          void *arg);

#endif
