/* sandbox/internal.h: what the files of this folder share, and nobody else includes.
 *
 *   service.c  what clients ask for                              status.c   the status that follows
 *   lifecycle.c  the service's beginning, generations, end
 *   operate.c  what is to be done, one operation at a time       observe.c  what backends report
 *   home.c     a backend as the service keeps it, its listings   quota.c    room under max_sandboxes
 *   wait.c     who waits for a change                            record.c   what is kept on disk
 *   health.c   is the agent server answering                     readiness.c  does its answer say that it is ready
 *   specs.c    what can be started
 */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include "base/error.h"
#include "base/log.h"
#include "sandbox/service.h"

enum {
    ANSWER_WITHIN_MS = 10000, /* an answer without `wait` comes by then: clients give up after 15 s */
    ACT_TIMEOUT_MS = 60000,   /* pause, resume, stop */
    REMOVE_TIMEOUT_MS = 120000,
    LIST_TIMEOUT_MS = 30000,
    FIRST_LIST_TIMEOUT_MS = 5000,  /* how long the first listing may hold up serving, */
    FIRST_CHECKS_TIMEOUT_MS = 500, /* and after it the first health checks */
    STOP_KEEPING_MS = 5000, /* where sandboxes live on, the next daemon takes up what does not end by then */
    RELIST_INTERVAL_MS = 300000,
    RECENTLY_GONE = 256,     /* sandboxes that a late report can't bring back */
    RECENTLY_GONE_MS = 60000 /* for so long: twice what a backend's call may take */
};

/* ---- a backend as the service keeps it (home.c) ---- */

struct home {
    struct service *service;
    char *name;
    struct config *config;                 /* the generation whose settings these are; a reference */
    const struct config_backend *settings; /* NULL: the backend is not configured any more */
    struct backend *backend;               /* a reference; NULL: as above */
    struct config_spec builtin;            /* the plugin's default spec; id NULL: it has none */
    struct backend_operation *listing;     /* in flight, or NULL */
    uint64_t listing_number;
    bool listed;            /* a listing of this instance was complete */
    bool list_again;        /* asked for while one was in flight */
    struct event relist;    /* at a slow interval, and after a failure */
    unsigned list_failures; /* in a row */
};

struct home *home_get(struct service *service, const char *name);                    /* made when it is new */
void home_attach(struct home *home, struct config *config, struct backend *backend); /* NULLs: detach */
void home_list(struct home *home, uint32_t timeout_ms);
/* What follows for sandboxes of which nothing was heard, once it changed whether anything can be. Where it can't, `what`
 * went wrong, and `why`: one line in the log for all of them. NULLs: it can. */
void home_refresh_silent(struct home *home, const char *what, const struct sbx_error *why);
void home_destroy(struct home *home);
const char *home_health_path(const struct home *home); /* NULL: no checks */
const char *sandbox_health_path(
    const struct sandbox *sandbox);                    /* health.c: as its home's; NULL: nobody to ask */
const char *home_health_body(const struct home *home); /* as JSON text; NULL: any body is good */
uint32_t home_max_sandboxes(const struct home *home);  /* 0: no limit */
uint32_t home_startup_timeout_ms(const struct home *home);
/* -1 with err (may be NULL) filled in when nothing can be asked of it now. */
int home_usable(const struct home *home, struct sbx_error *err);

/* ---- the service ---- */

struct service {
    struct service_deps deps;
    struct table table;
    struct map homes;
    struct map quotas;
    struct config *config; /* in force; a reference, NULL before the first */
    struct backend_set *set;
    int64_t created_at_us;
    int64_t last_sequence; /* the highest of a recorded sandbox */
    struct service_stats stats;
    struct health_queue checks;

    struct gone {
        char *id;
        bool adopted;
        int64_t created_at_us;
        uint64_t gone_ms; /* clock_ms() */
    } recently_gone[RECENTLY_GONE];
    size_t recently_gone_at;

    reload_prepared first_prepared; /* the first start waits for listings and checks; NULL: it does not */
    void *first_transaction;
    struct event first_timer; /* the checks have had their time */
    bool first_timer_over;

    void (*running_changed)(void *arg); /* NULL: nobody listens */
    void *running_changed_arg;

    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct event stop_timer;
    struct loop_task stop_task;
};

/* Logs a fact about one sandbox. */
void service_log(enum log_level level, const struct sandbox *sandbox, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void service_check_stopped(struct service *service);
/* To who listens (service_listen()): what runs, or where, has changed. */
void service_tell_running(const struct service *service);
void service_check_prepared(struct service *service);
/* A new, empty sandbox in the table, hidden. */
struct sandbox *service_new_sandbox(struct service *service, struct home *home, const char *id,
                                    const char *owner, const char *spec_id);
/* Takes it out of the table and frees it. Nothing may be in flight. */
void service_forget(struct sandbox *sandbox);
/* What was forgotten a moment ago, and this may be said of; NULL: it is of another one that others made under the same
 * name. */
const struct gone *service_recently_gone(const struct service *service,
                                         const struct sbx_observation *observation);

/* ---- status (status.c) ---- */

/* Derives what follows from what is known, drops the cached JSON, and tells who waits. After every change. */
void sandbox_refresh(struct sandbox *sandbox);
/* It does not run yet, and an operation that is to make it run is in flight, or waits for its turn. */
bool sandbox_is_beginning(const struct sandbox *sandbox);
/* Nothing was heard of it. A failed start has a failure of its own. */
bool sandbox_is_silent(const struct sandbox *sandbox);
void sandbox_set_detail(struct sandbox *sandbox, const char *detail); /* NULL: none */
/* Why it is paused, where no client asked for it. NULL: none. Kept on disk by who calls record_save(). */
void sandbox_set_pause_reason(struct sandbox *sandbox, const char *reason);
/* `log_tail` may be NULL; a null `error` clears. */
void sandbox_set_failure(struct sandbox *sandbox, const struct sbx_error *error, int exit_code,
                         const char *log_tail);

/* ---- operations (operate.c) ---- */

/* Carries out what is to be done, when nothing is in flight. */
void sandbox_drive(struct sandbox *sandbox);
/* Room was found: what it waited for begins. */
void sandbox_admit(struct sandbox *sandbox);
/* From now on hidden, and removed however often that takes. The promise is on its way to the disk. */
void sandbox_begin_removal(struct sandbox *sandbox);
void sandbox_retry_removal(evutil_socket_t fd, short what, void *arg); /* of its `retry` timer */

/* ---- observations (observe.c) ---- */

void service_observe(struct service *service, struct home *home, const struct sbx_observation *observation);
/* What follows without a report: it is gone, or was paused as asked. */
void sandbox_observe_state(struct sandbox *sandbox, enum sbx_state state);

/* ---- room (quota.c) ---- */

struct quota {
    char *key; /* "BACKEND\nOWNER" */
    struct home *home;
    struct owner *owner;
    unsigned members; /* sandboxes that point here */
    unsigned active;  /* that hold room */
    unsigned recording;
    struct sandbox *first, **last; /* waiting, in order */
    unsigned waiting;
};

void quota_join(struct sandbox *sandbox);
void quota_leave(struct sandbox *sandbox); /* at the end of its life */
void quota_set_holds(struct sandbox *sandbox, bool holds);
/* Is there room at once (counting what is on its way)? For `over_limit: reject`. */
int quota_check(struct service *service, struct home *home, const char *owner, struct sbx_error *err);
/* True: go on, room is taken. False: it waits; sandbox_admit() follows when it is its turn. */
bool quota_enter(struct sandbox *sandbox);
void quota_stop_waiting(struct sandbox *sandbox); /* nothing when it does not wait */
void quota_make_room(struct quota *quota);

/* ---- waiting (wait.c) ---- */

enum wait_for {
    WAIT_MADE,      /* the backend has it, or it waits for room */
    WAIT_REACHABLE, /* where it is, or will be, is known */
    WAIT_SETTLED,   /* it is not STARTING any more */
    WAIT_PAUSED,    /* a pause that was asked for has ended */
    WAIT_RESUMED,   /* likewise */
    WAIT_PROMISED   /* answered by wait_answer() only */
};
struct sandbox_wait *wait_add(struct sandbox *sandbox, enum wait_for what, uint32_t timeout_ms,
                              service_done done, void *arg);
void wait_check(struct sandbox *sandbox);
/* Answers all that wait for `what` with a failure, or with success when err is NULL. */
void wait_answer(struct sandbox *sandbox, enum wait_for what, const struct sbx_error *err);
/* Who waits for it to settle is told of it as it is, once it was made: they will not be able to see it. */
void wait_hurry(struct sandbox *sandbox);
/* The sandbox goes away: all are answered, with `err`. */
void wait_answer_all(struct sandbox *sandbox, const struct sbx_error *err);

/* ---- records (record.c) ---- */

/* Writes what is recorded of it; `done` may be NULL. */
void record_put(struct sandbox *sandbox, store_done done, void *arg);
/* The same where nobody waits for it: after a failure it is tried again with the next report. */
void record_save(struct sandbox *sandbox);
int record_load_all(struct service *service, struct sbx_error *err);

#endif
