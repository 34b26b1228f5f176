/* backend.h: one configured instance of the process plugin, and the sandboxes it knows.
 *
 * Everything here belongs to the loop thread. Jobs (job.h) are what runs elsewhere; they get copies, or
 * members that do not change while the instance is open.
 */
#ifndef PROCESS_BACKEND_H
#define PROCESS_BACKEND_H

#include "options.h"
#include "owner.h"
#include "sandbox_limits.h"
#include "wire.h"

#include <sandboxd/backend.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    SANDBOX_ID_MAX = 127,
    PORT_ATTEMPTS = 5, /* runs of one start, when other programs grab its port */
    GUARD_MS = 5000,   /* a supervisor that has not done by then what takes microseconds is stuck */
    LOOKUPS_MAX = 10,  /* each after twice the time of the one before, from a millisecond */
    SANDBOX_BUCKETS = 1024
};

/* What is known of a sandbox's run. */
enum life {
    LIFE_UNKNOWN,   /* to be found out: new to this instance, or its connection was lost */
    LIFE_ABSENT,    /* there is no such sandbox (any more) */
    LIFE_LAUNCHING, /* its supervisor has been started and has not spoken yet */
    LIFE_RUNNING,
    LIFE_FROZEN,
    LIFE_ENDING, /* its end was asked for, or its program has ended; the supervisor is still there */
    LIFE_DEAD    /* nothing of it runs */
};

enum verb { VERB_NONE, VERB_START, VERB_PAUSE, VERB_RESUME, VERB_STOP, VERB_REMOVE };

/* The operation that a sandbox is under; there is at most one. */
struct request {
    enum verb verb;
    sbx_op op;
    struct sbx_json *record; /* START: the record to begin with; owned */
    uint64_t deadline_ms;    /* START */
    uint32_t asked;          /* serial of the question to the supervisor; 0: none */
    bool launched;           /* START, RESUME: the program was started in this operation */
    bool end_sent;
    bool looked_again; /* whether it still belongs to another control directory */
    bool cancelled;
    bool removed; /* nothing is left of it */
    bool failed;  /* START: undone by a removal, then answered with `failure` */
    struct sbx_error failure;
};

struct confirmation {
    struct confirmation *next;
    sbx_op op;
    uint32_t serial;
};

struct process_backend {
    struct sbx_backend *public;
    const struct sbx_host *host;
    struct options options;
    struct limits limits;
    char **environment; /* of the daemon, as far as sandboxes get it */
    char *supervisor;   /* path of process-supervisor */
    int state_dir;
    char *state_path; /* of the same */
    bool quiesced;
    _Atomic unsigned port_cursor;
    struct sandbox *buckets[SANDBOX_BUCKETS];
    size_t count;
    size_t unknown; /* sandboxes in LIFE_UNKNOWN */
    struct listing *listings;
    uint64_t listings_begun;
    struct follower *followers;
};

struct sandbox {
    struct sandbox *next; /* in its bucket */
    struct process_backend *backend;
    char *id;

    /* From the record; NULL and 0 before it was read. */
    char *owner, *spec_id, *session_key;
    int64_t created_at_us;
    uint64_t incarnation;
    uint32_t attempt;
    uint16_t port;

    enum life life;
    struct wire_status status; /* the last one of this run */
    char *tail;                /* of the log, until the end was reported; so is the next */
    char *program;             /* what could not be executed */
    char *foreign;             /* why it is none of ours, though its record is here; NULL: it is */
    struct owner owner_dir;    /* its control directory */
    bool end_reported;
    uint64_t listed; /* backend->listings_begun at its last report */

    /* The connection to the supervisor (link.h). */
    int link;        /* -1: none */
    sbx_child child; /* the supervisor that this instance started last; 0: none */
    sbx_watch watch;
    uint32_t serial;
    sbx_timer guard;  /* when this fires, what is waited for has not come */
    uint32_t lookups; /* in a row that found a supervisor without a way to talk to it */

    unsigned jobs; /* on the pool; the sandbox stays as long as there are any */
    bool busy;     /* one of them will say how it goes on */
    bool syncing;  /* the record is on its way to the disk */
    struct request *request;
    struct confirmation *confirmations;
};

/* ---- sandbox.c: the table, and the one place that decides what comes next -------------------- */

struct sandbox *sandbox_find(struct process_backend *backend, const char *id);
/* In LIFE_UNKNOWN; sandbox_step() finds out. */
struct sandbox *sandbox_add(struct process_backend *backend, const char *id);
void sandbox_destroy(struct sandbox *sandbox);
/* Replaces an owned text by a copy; NULL: by none. */
void sandbox_keep_text(char **to, const char *text);
void sandbox_set_life(struct sandbox *sandbox, enum life life);
/* Looks at what is and what is wanted, and does the next thing. The sandbox may be gone afterwards. */
void sandbox_step(struct sandbox *sandbox);
/* Does another program have its port, and is it worth another try? */
bool sandbox_retries_port(const struct sandbox *sandbox);
/* Ends the request. */
void sandbox_complete(struct sandbox *sandbox, const struct sbx_error *error);
/* A status came, or the connection has ended. The sandbox may be gone afterwards. */
void sandbox_heard(struct sandbox *sandbox, const struct wire_status *status);
void sandbox_lost(struct sandbox *sandbox);
/* Sets the guard: what is waited for should have come by then. */
void sandbox_arm(struct sandbox *sandbox, uint64_t delay_ms);

/* ---- report.c: what the host is told --------------------------------------------------------- */

void report_state(struct sandbox *sandbox);
/* Why the program did not begin, or why it is not known how it ended. */
void report_failure(const struct sandbox *sandbox, struct sbx_error *err);

/* ---- list.c ---------------------------------------------------------------------------------- */

void list_begin(struct process_backend *backend, sbx_op op);
void list_cancel(struct process_backend *backend, sbx_op op);
/* Can it be the name of a sandbox, and of its directories? */
bool list_is_id(const char *name);
/* Completes what waited for the last sandbox to be known. */
void list_check(struct process_backend *backend);

/* ---- logs.c ---------------------------------------------------------------------------------- */

void logs_begin(struct process_backend *backend, const struct sbx_logs *logs, sbx_op op);
void logs_ready(struct process_backend *backend, sbx_op op);
void logs_cancel(struct process_backend *backend, sbx_op op);
/* There may be more output, or none any more. */
void logs_wake(struct process_backend *backend, const char *sandbox_id);
bool logs_followed(const struct process_backend *backend, const char *sandbox_id);

#endif
