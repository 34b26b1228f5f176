/* sandbox/sandbox.h: one sandbox in the read model.
 *
 * Three sorts of facts, kept apart: what was recorded (and is on disk), what its backend last said of
 * it (observed), and what follows from both (derived, by sandbox_refresh() in service.c alone).
 * Readers outside this folder look at it, and change nothing. It belongs to the table (table.h).
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "base/clock.h"
#include "sandbox/health.h"

#include <sandboxd/host.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The order is that of the list that /metrics prints. */
enum sandbox_status {
    SANDBOX_STARTING,
    SANDBOX_RUNNING,
    SANDBOX_PAUSED,
    SANDBOX_ERROR,
    SANDBOX_DELETING, /* hidden from every read */
    SANDBOX_MISSING,
    SANDBOX_STATUSES /* how many there are */
};
const char *sandbox_status_name(enum sandbox_status status);

struct sandbox_url {
    char *name;
    char *url;
    int port; /* 0: none */
};

/* Why it is in ERROR. */
struct sandbox_failure {
    struct sbx_error error;
    int exit_code;  /* -1: none or not known */
    char *log_tail; /* NULL: none */
};

/* What the service is doing about it with the backend: one operation at a time. */
enum sandbox_phase {
    PHASE_IDLE,
    PHASE_RECORDING, /* its record is on its way to the disk; not in the table's order yet */
    PHASE_WAITING,   /* for room under max_sandboxes, to start or to resume */
    PHASE_STARTING,
    PHASE_PAUSING,
    PHASE_RESUMING,
    PHASE_STOPPING,
    PHASE_REMOVING
};

/* What is to be done once nothing is in flight. */
enum sandbox_want { WANT_START = 1, WANT_PAUSE = 2, WANT_RESUME = 4, WANT_STOP = 8, WANT_REMOVE = 16 };

struct config;
struct home;  /* its backend, as the service keeps it (home.h) */
struct owner; /* its user's sandboxes, in order (table.h) */
struct quota; /* its user's running sandboxes on its backend (quota.h) */
struct backend_operation;
struct sandbox_wait;

struct sandbox {
    struct service *service;

    /* recorded */
    char *id;
    char *spec_id;
    struct config *pinned; /* the generation a start began on, until the backend has it; else NULL */
    struct home *home;
    struct owner *owner;   /* never NULL; nobody's sandboxes have an owner without a name */
    char *session_key;     /* never NULL; "": none */
    int64_t sequence;      /* its place among all, in the order of creation (table.h) */
    int64_t created_at_us; /* for showing: the wall clock may have been set back */
    char *session_id;      /* what a client of the runtime API calls it; NULL: nothing */
    char *own_spec;        /* JSON, of a start that brought its own; NULL: spec_id's */
    bool begun;            /* the backend has said that it was made */
    bool deleting;         /* promised */
    char *pause_reason;    /* why it is, or will be, paused, where no client asked for it; NULL: none */
    bool unsaved;          /* what the disk has of `begun` or `pause_reason` is old: writing it failed */
    bool adopted;          /* made by somebody else: it has no record, and goes when it is gone */

    /* observed; state is 0 while nothing was heard */
    enum sbx_state state;
    uint64_t incarnation;
    char *detail; /* NULL: none */
    struct sandbox_url *urls;
    size_t urls_len;
    bool unreached;  /* nothing of it is reached from outside: its health is not asked for */
    char *agent_url; /* where its health is asked, shown to nobody; NULL: the URL named AGENT_SERVER */
    struct sandbox_failure *failure; /* why it is, or last was, in ERROR; NULL: none */
    bool unused;                     /* nothing ever ran in it */
    bool loops; /* it starts again after an end, which `failure` tells of, and has not stayed up */
    uint32_t restart_count; /* by its technology, not by us */

    /* derived */
    enum sandbox_status status;
    bool holds_room; /* counted under max_sandboxes */

    /* in progress */
    enum sandbox_phase phase;
    unsigned wants;                      /* WANT_ bits */
    bool again;                          /* the start to come follows one that was cut off */
    bool room_refused;                   /* its backend would not pause it: others make room first */
    bool answered;                       /* a client was told of it: a failed start stays, as ERROR */
    unsigned attempts;                   /* failed removals in a row */
    struct backend_operation *operation; /* in flight, or NULL */
    struct event retry;                  /* of a removal */
    struct sandbox_wait *waits;          /* who waits for it to change */
    struct sandbox *next_waiting;        /* in its quota's queue */
    struct quota *quota;
    uint64_t listed; /* the listing that last saw it */
    struct health health;

    /* A cache of the API's: the sandbox as JSON text. Dropped by each change. */
    char *json;
    size_t json_len;
    char *runtime_json; /* the same, as the runtime API has it */
    size_t runtime_json_len;

    /* table.c's */
    char key_digest[BASE62_SIZE_32]; /* of the session key; "": none */
    bool in_order;
};

/* What clients are told beside its status; NULL: nothing. What its backend says of it comes first. */
const char *sandbox_status_detail(const struct sandbox *sandbox);

/* Where the daemon reaches its agent server; NULL: not known. May end in a slash. */
const char *sandbox_agent_url(const struct sandbox *sandbox);

/* How often its agent server is to be polled; 0: as events.polling_interval says. */
uint32_t sandbox_polling_ms(const struct sandbox *sandbox);

/* The name of its backend, also when that is not configured any more. */
const char *sandbox_backend_name(const struct sandbox *sandbox);

#endif
