/* mirror/mirror.h: what agents report: their conversations and events, whichever way they come here.
 *
 * Agent servers report over the API's webhooks; where they can't reach this server, they are polled. Both ways
 * end in a report (below): it is checked and split on the pool, and stored once each however often it comes
 * (store/reports.h, which readers ask directly). Whoever reports proves first which sandbox it is; from then on
 * all that it says is about that sandbox alone. Bounded: MIRROR_MAX_REPORT for one report, a share for each
 * sandbox and a total of what is on its way to the disk, so that a sandbox that floods is refused by itself; and
 * events.max_per_sandbox of what is kept. Loop thread only.
 */
#ifndef MIRROR_MIRROR_H
#define MIRROR_MIRROR_H

#include "base/pool.h"
#include "config/config.h"
#include "net/client.h"
#include "sandbox/service.h"
#include "store/reports.h"

struct mirror;

enum {
    MIRROR_MAX_REPORT = 5 << 20,     /* bytes of one report */
    MIRROR_MAX_EVENTS = 10000,       /* events in one report */
    MIRROR_CONVERSATION_ID_SIZE = 33 /* 32 hexadecimal digits and the zero byte */
};

struct mirror_deps {
    struct loop *loop;
    struct pool *pool;
    struct client *client;
    struct store *store;
    struct service *service;
};

struct mirror *mirror_create(const struct mirror_deps *deps);
/* A step of the reload transaction: `events` of the new generation counts. */
void mirror_commit(struct mirror *mirror, struct config *next);
/* After the API and after pool_destroy(), before the service and the store. NULL is allowed. */
void mirror_destroy(struct mirror *mirror);

/* ---- reports ---------------------------------------------------------------------------------- */

/* One report on its way: from mirror_report_open() until it was answered or closed. */
struct mirror_report;

/* One event of a report that is no event. Both texts are constants. */
struct mirror_rejected {
    int64_t event;      /* its index */
    const char *member; /* NULL: the event as a whole */
    const char *why;    /* "must be ..." */
};

/* What a report came to. `where` says which part of the text is wrong when err is SBX_ERR_INVALID. */
enum { MIRROR_WHERE_NOTHING = -1 };
struct mirror_outcome {
    size_t stored, known;                   /* events: new, and there already */
    const struct mirror_rejected *rejected; /* the others, by index; borrowed for the call */
    size_t rejected_len;
    int64_t event;      /* where: the index of the event; MIRROR_WHERE_NOTHING: the text as a whole */
    const char *member; /* where: its member; NULL: the event, or the conversation, as a whole */
};
/* err NULL: it is on disk, but for the events that `rejected` tells. Else nothing of it is, and the same report may come again: SBX_ERR_INVALID (its text is
 * wrong, or each of its events is), SBX_ERR_LIMIT (events.max_per_sandbox), SBX_ERR_UNAVAILABLE (the store failed). The report is over. */
typedef void (*mirror_report_done)(void *arg, const struct sbx_error *err,
                                   const struct mirror_outcome *outcome);

/* Makes room for a report of `size` bytes at most, before they are there: that many are counted as on their way.
 * NULL with err, SBX_ERR_UNAVAILABLE and retryable, while too much of this sandbox, or of all, is. The sandbox is
 * only looked at. */
struct mirror_report *mirror_report_open(struct mirror *mirror, const struct sandbox *sandbox, size_t size,
                                         struct sbx_error *err);
/* The text (copied): a JSON array of events, or one conversation as an object. At most `size` bytes, else
 * SBX_ERR_INVALID. `done` is called once, never before this returned, unless the report is closed first. */
void mirror_report_events(struct mirror_report *report, const char *conversation_id, const void *json,
                          size_t len, mirror_report_done done, void *arg);
void mirror_report_conversation(struct mirror_report *report, const void *json, size_t len,
                                mirror_report_done done, void *arg);
/* Nobody waits for it any more: not sent, it is given up; sent, it goes on without `done`. Not after `done`. */
void mirror_report_close(struct mirror_report *report);

/* A conversation's id as it is kept: 32 lowercase hexadecimal digits, without the dashes of a UUID. False: it is
 * no such id. */
bool mirror_conversation_id(const char *text, char out[MIRROR_CONVERSATION_ID_SIZE]);
/* An event's id as it is kept: that of a UUID in the same way, any other text as it is. `out` has REPORTS_ID_SIZE
 * bytes. False: it is empty or too long. */
bool mirror_event_id(const char *text, char *out);

/* ---- inside the process ----------------------------------------------------------------------- */

/* Calls `stored` after each report that brought new events. One listener; NULL ends it. */
void mirror_listen(struct mirror *mirror, void (*stored)(void *arg), void *arg);

/* Agent servers that run: each call gives one of those at or behind `position`, which begins at 0 and moves; false
 * after the last. Texts are borrowed from the sandbox, for this turn of the loop. Nothing of the service may be
 * called in between; one that appears meanwhile may or may not be seen. */
struct mirror_agent {
    const struct sandbox *sandbox;
    const char *url; /* where the daemon reaches it; may end in a slash */
    const char *session_key;
};
bool mirror_next_agent(const struct mirror *mirror, size_t *position, struct mirror_agent *agent);
/* The one in that sandbox; false: there is none that runs. */
bool mirror_find_agent(const struct mirror *mirror, const char *sandbox_id, struct mirror_agent *agent);

/* For /metrics, since the start. */
struct mirror_stats {
    uint64_t events;        /* stored */
    uint64_t duplicates;    /* events that were there already */
    uint64_t conversations; /* reports of conversations stored */
    uint64_t refused;       /* reports: wrong, or over a bound */
    uint64_t rejected;      /* events in reports that were no events */
    uint64_t failed;        /* reports that the store failed to keep */
    uint64_t polls;         /* of agent servers that ended well */
    uint64_t poll_failures; /* that did not */
};
struct mirror_stats mirror_stats(const struct mirror *mirror);

/* Of one of events.callbacks, since it is one. */
struct mirror_callback {
    const char *name;  /* without what may be secret; for this turn of the loop */
    uint64_t events;   /* that it has taken, also those that it took again */
    uint64_t messages; /* in which they were */
    uint64_t failures; /* messages that it did not take */
    uint64_t dropped;  /* events that it has not taken in time */
    bool failing;      /* there are messages that it did not take */
};
/* In the order of the configuration; false behind the last. */
bool mirror_callback_at(const struct mirror *mirror, size_t index, struct mirror_callback *callback);

#endif
