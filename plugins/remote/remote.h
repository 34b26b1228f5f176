/* remote.h: one configured instance of the remote plugin, and what its files share.
 *
 *   remote.c   the entry, opening and closing       sweep.c    many sandboxes asked about in few requests
 *   start.c    a sandbox's start; request.c: its    poll.c     when they are asked about, and whether the API is there
 *              request                              list.c     a full listing
 *   act.c      pause and resume                     table.c    the sandboxes that are known
 *   remove.c   removal                              report.c   what the host is told
 *   each.c     many sandboxes asked about one by one
 *   ask.c      logs, images                         record.c   what the store has of them
 *   operation.c  what operations have in common     api.c      calls of the API
 *
 * Everything here belongs to the loop thread. The API is the truth about runtimes, the store about which ones are ours:
 * a record is there before a runtime is asked for, and goes last. A sandbox's id is its session_id.
 */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "api.h"
#include "options.h"
#include "runtime.h"

enum { SANDBOX_ID_SIZE = 128, SANDBOX_BUCKETS = 1024 };

struct remote;

/* ---- record.c: what is kept of a sandbox, under the key "sandbox/ID" ---- */

struct record {
    char *owner, *spec_id, *working_dir; /* NULL: none */
    int64_t created_at_us;
};

void record_key(char *to, size_t size, const char *sandbox_id);
/* The text of a record, owned. */
char *record_write(const struct record *record, const struct sbx_json_api *json);
/* Takes what it can: a record that can't be read still says that the sandbox is there. Overwrites what was there. */
void record_read(struct record *record, const struct sbx_json_api *json, const void *bytes, size_t len);
void record_finish(struct record *record);

/* Brings the table up to what the store has: adds and drops. `done` comes once, never from inside the call. */
void records_load(struct remote *remote, void (*done)(void *arg, const struct sbx_error *error), void *arg);

/* ---- table.c ---- */

struct sandbox {
    struct sandbox *next; /* in its bucket */
    char id[SANDBOX_ID_SIZE];
    struct record record;
    bool recorded;              /* `record` is what the store has */
    char *runtime_id;           /* as last seen; NULL: never, or gone */
    enum sbx_state state;       /* as last reported; 0: never */
    uint64_t starting_since_ms; /* 0: it is not STARTING */
    unsigned busy;              /* operations of ours on it, which report it themselves */
    uint64_t touched; /* remote->turn when one of them reported it last: what was asked before is older */
    uint64_t loaded;  /* the number of the load that saw its record (record.c) */
    uint64_t cut_ms;  /* when a start was asked for, perhaps, and not answered; 0: what came of it is known */
};

struct table {
    struct sandbox *buckets[SANDBOX_BUCKETS];
    size_t count;
};

struct sandbox *table_find(const struct remote *remote, const char *id);
struct sandbox *table_add(struct remote *remote, const char *id); /* or the one that is there */
void table_remove(struct remote *remote, struct sandbox *sandbox);
void table_finish(struct remote *remote);
/* One after the other: NULL first, NULL at the end. */
struct sandbox *table_next(const struct remote *remote, const struct sandbox *before);

/* ---- report.c ---- */

/* What the API says of it becomes the table's, and is reported. */
void report_runtime(struct remote *remote, struct sandbox *sandbox, const struct runtime *runtime);
/* The API answers about it, but what makes no sense: FAILED. */
void report_nonsense(struct remote *remote, struct sandbox *sandbox, const struct sbx_error *why);
/* It was seen, and the API does not know it any more. */
void report_gone(struct remote *remote, struct sandbox *sandbox);
/* STARTING, with a sentence on what it waits for, and nothing else known. */
void report_waiting(struct remote *remote, struct sandbox *sandbox, const char *detail);

/* ---- sweep.c: many sandboxes asked about in few requests ---- */

struct sweep;
/* SWEEP_PROBE: none, only something that does not exist: is the API there? */
enum sweep_scope { SWEEP_PROBE, SWEEP_STARTING, SWEEP_ALL };
/* Asks about each, and reports what is answered (not of those that an operation is at). `done` comes once all are
 * answered, with the first error; never from inside the call. NULL, and no `done`, when there are none. */
struct sweep *sweep_begin(struct remote *remote, enum sweep_scope scope, uint64_t deadline_ms,
                          void (*done)(void *arg, const struct sbx_error *error), void *arg);
void sweep_cancel(struct sweep *sweep); /* NULL is allowed */
/* How long one may take. Each request has `timeout`, as all have; but where all that max_in_flight allows are under way,
 * and slow, it has to wait for its turn: an API that answers each of them in time is not lost. */
uint64_t sweep_time_ms(const struct remote *remote);

/* ---- each.c: the same, one by one ---- */

struct each;
struct each_asker {
    /* What the API says of one; `value` NULL: it does not know it. */
    void (*take)(void *arg, const char *id, const sbx_json *value);
    /* All were asked about, with the first error. Not `proven`: it could not be seen that it is a runtime API, so that
     * nothing that it does not know was told. */
    void (*done)(void *arg, const struct sbx_error *error, bool proven);
    void *arg;
};
/* Asks about each of `count` ids (borrowed until the end; at least one). `done` comes once, never from inside the call. */
struct each *each_begin(struct remote *remote, char (*ids)[SANDBOX_ID_SIZE], size_t count,
                        const struct each_asker *asker);
void each_cancel(struct each *each);              /* NULL is allowed */
size_t each_at_once(const struct remote *remote); /* so many requests are under way */

/* ---- poll.c ---- */

struct poll {
    sbx_timer all_timer, starting_timer;
    uint64_t starting_due_ms; /* when starting_timer fires */
    uint64_t not_before_ms;   /* the API asked not to be asked before */
    struct sweep *all, *starting;
    unsigned failures; /* in a row */
    bool stopped;
    bool lost;
    struct sbx_error why; /* lost: it was told to the host */
    void (*opened)(struct remote *remote);
};

/* Asks about all, and goes on for as long as the instance is in use. `opened` is called once, when the first one
 * was answered, or 5 s are over and the host was told that the API is not there. */
void poll_begin(struct remote *remote, void (*opened)(struct remote *remote));
void poll_stop(struct remote *remote);
/* A sandbox is STARTING now. */
void poll_starting(struct remote *remote);
/* A request had no answer: is the API there? */
void poll_doubt(void *arg);
/* It refused with `error`, and asked not to be asked again for so long. */
void poll_hold_off(struct remote *remote, const struct sbx_error *error, uint64_t delay_ms);
/* All were asked about by somebody else (a listing), and this came of it. */
void poll_heard(struct remote *remote, const struct sbx_error *error);

/* ---- operation.c: what operations have in common ---- */

struct operation {
    struct operation *next, **prev; /* remote->operations */
    struct remote *remote;
    sbx_op op;
    char id[SANDBOX_ID_SIZE]; /* "": of none */
    uint64_t deadline_ms;
    struct api_call *call; /* these three: what it waits for */
    sbx_timer timer;
    bool storing;                                /* which can't be stopped */
    bool cancelled;                              /* while it was storing */
    void (*finish)(struct operation *operation); /* frees what its struct has beyond this; NULL: nothing */
};

/* A zeroed struct of `size` that begins with a struct operation. `sandbox_id` NULL: it is about none. */
void *operation_new(struct remote *remote, size_t size, sbx_op op, const char *sandbox_id,
                    uint64_t deadline_ms);
/* Its sandbox; never NULL for one that is about one. */
struct sandbox *operation_sandbox(const struct operation *operation);
/* Completes it, and frees it. */
void operation_end(struct operation *operation, const struct sbx_error *error);
void operation_cancel(struct remote *remote, sbx_op op);
/* First of all in a callback of the store. True: it was cancelled meanwhile, and is gone now. */
bool operation_stored(struct operation *operation);
/* GET /sessions/{id}, tried again until the deadline. */
void operation_look(struct operation *operation, api_done done);
/* POST `path` with {"runtime_id"}. */
void operation_post(struct operation *operation, const char *path, const char *runtime_id, api_done done);
/* Calls `then` after `delay_ms`. */
void operation_wait(struct operation *operation, uint64_t delay_ms, void (*then)(void *operation));
void operation_finish_all(struct remote *remote); /* in close() */

/* ---- operations ---- */

/* request.c: the text of a /start request, owned. NULL with `err`. */
char *request_write(const struct options *options, const struct sbx_json_api *json, const char *sandbox_id,
                    const sbx_json *spec, struct sbx_error *err);

void start_begin(struct remote *remote, const struct sbx_start *start, sbx_op op);
enum verb { VERB_PAUSE, VERB_RESUME };
void act_begin(struct remote *remote, enum verb verb, const char *sandbox_id, sbx_op op);
void remove_begin(struct remote *remote, const char *sandbox_id, sbx_op op);
void list_begin(struct remote *remote, sbx_op op);
void logs_begin(struct remote *remote, const struct sbx_logs *logs, sbx_op op);
void logs_ready(struct remote *remote, sbx_op op);
void image_begin(struct remote *remote, const char *image, sbx_op op);

/* ---- the instance ---- */

struct remote {
    struct sbx_backend *public;
    const struct sbx_host *host;
    struct options options;
    struct api api;
    struct table table;
    struct poll poll;
    struct operation *operations;
    struct sweep *sweeps;
    size_t ids_at_once; /* in one request, as far as was learned; 0: not yet (sweep.c) */
    bool one_by_one;    /* the API has no GET /sessions/batch */
    uint64_t turn;      /* counts reports of operations */
    uint64_t loads;     /* counts loads of records */
    bool quiesced;
    sbx_op opening; /* open() in flight */
};

#endif
