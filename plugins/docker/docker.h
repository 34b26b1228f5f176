/* docker.h: one configured instance of the docker plugin, and what its files share.
 *
 *   docker.c      the entry, opening and closing
 *   options/      what an operator may set: options.c and its parts
 *   engine/       the calls (engine.c), the event stream and whether the engine is there (watch.c)
 *   containers/   what is known of them: table.c, which are ours (ours.c), a full listing (list.c), one inspection
 *                 (look.c), why one ended (ending.c), what does not stay up (restarts.c), what the host is told
 *                 (report.c)
 *   images/       pulls and their progress, registries' credentials, whether there is such an image (image.c),
 *                 builds and pushes (build.c), images that are made from a base image (runtime_image.c)
 *   operations/   start.c (its steps: make.c), confirm.c, act.c (pause, resume, stop), remove.c, and what a start asks of the
 *                 engine: create.c, overlay.c, ports.c
 *   output/       logs.c, and a sandbox's output while it starts (start_log.c)
 *
 * Everything here belongs to the loop thread. The engine is the truth about containers; the table holds what it
 * said last, so that no read asks it.
 */
#ifndef DOCKER_DOCKER_H
#define DOCKER_DOCKER_H

#include "common/bytes.h"
#include "containers/container.h"
#include "engine/engine.h"
#include "images/waiters.h"
#include "operations/create.h"
#include "options/options.h"

enum {
    SANDBOX_ID_MAX = 127,
    CALL_TIMEOUT_MS = 30000,
    CONTAINER_BUCKETS = 1024,
    LIST_MAX_BODY = 64 * 1024 * 1024
};

/* ---- table.c: the containers that this instance knows ---- */

struct container {
    struct container *next;   /* in its bucket */
    char *name;               /* the sandbox's id */
    struct facts facts;       /* as last inspected; facts.id "" before the first time */
    uint64_t applied;         /* the number of the look that they are from (look.c) */
    uint64_t doubted;         /* the last look that may be older than an event (look_doubt()) */
    uint64_t listed;          /* the number of the listing that saw it last (list.c) */
    unsigned busy;            /* operations of ours on it: their ends look at it, events need not */
    bool overdue;             /* the log was told that the engine does not answer on it */
    bool seen_alive;          /* this instance saw it run: its end would be noticed */
    bool killed;              /* since it last started somebody sent a signal that ends, or a stop */
    uint64_t killed_until_ns; /* on the engine's clock: after that the signal was survived; 0: never */
    bool died_alone;          /* an event said that it ended, and nobody had asked */
    bool missed;              /* an event came while it was busy: of after the operation's look, perhaps */
    bool has_ended;           /* an event, or a look at it while it restarted, told of an end: */
    int last_exit;            /* its exit code; -1: not known */
    char *last_tail;          /* the output before it, where it was started again; NULL: none */
    struct ending *ending;    /* what is known of its end (ending.c); NULL: nothing */
};

struct table {
    struct container *buckets[CONTAINER_BUCKETS];
    size_t count;
};

struct docker;
struct container *table_find(const struct docker *docker, const char *name);
struct container *table_find_id(const struct docker *docker, const char *engine_id); /* linear */
struct container *table_add(struct docker *docker, const char *name); /* or the one that is there */
void table_remove(struct docker *docker, struct container *container);
void table_finish(struct docker *docker);
/* All of them: `*bucket` 0 and a NULL `before` give the first; after the last comes NULL. Only the one that was
 * given last may be removed, once the next has been asked for. */
struct container *table_next(const struct docker *docker, size_t *bucket, const struct container *before);

/* ---- ours.c ---- */

/* Is a container of that name and labels (each may be NULL) one of this backend's sandboxes? As container_is_ours(), but
 * for one that bears the id of another daemon which runs on this machine: that one's alone. */
bool ours_is(struct docker *docker, const char *name, const char *backend_label, const char *instance_label);
/* Is that label (may be NULL) the id of another daemon, and does that one run? */
bool ours_is_of_another(struct docker *docker, const char *instance_label);

/* ---- ports.c ---- */

struct reserved_port {
    struct reserved_port *next;
    uint16_t port;
};

/* Chooses a host port for each of options->ports: not one of a known container (a stopped one wants its own
 * back), not one that another start has reserved, and, where the engine is on this host, one that can be bound now.
 * They are reserved until ports_release(). -1 with err (PORTS_EXHAUSTED, naming the range) when there is none. */
int ports_choose(struct docker *docker, const struct sbx_json *spec, uint16_t *container_ports,
                 uint16_t *host_ports, struct sbx_error *err);
void ports_release(struct docker *docker, const uint16_t *host_ports);

/* ---- look.c ---- */

/* What an event told of it is known to nobody, and a listing may not show it yet: the engine says in its events what it
 * says in its listings only once that is on its disk. The next listing looks at it whatever it shows. */
void look_doubt(struct docker *docker, struct container *container);

/* Asks the engine for one container (by name or by its own id), applies what it says and reports it to the host.
 * `container` NULL with a null `err`: there is none, which was reported too. A container that is not one of
 * this backend's sandboxes is as good as none. `done` may be NULL (then a failure has the host list anew); it comes once, never from inside the call. An
 * answer that is older than one already applied changes nothing. For one that ended the report waits for the tail
 * of its log; so does `done`. look_finish(), in close(): the looks that nobody waits for any more come to nothing. */
typedef void (*look_done)(void *arg, const struct sbx_error *err, struct container *container);
void look_at(struct docker *docker, const char *name, look_done done, void *arg);
/* The same for whoever has many to ask: where the engine answers others and not this, `done` comes with a timeout
 * (look_is_overdue() from then on), while the look goes on, and is applied when it ends. */
void look_at_briefly(struct docker *docker, const char *name, look_done done, void *arg);
/* Is an inspection of it under way that the engine should have answered by now? With `err` (may be NULL), in words. */
bool look_is_overdue(const struct docker *docker, const char *name, struct sbx_error *err);
void look_finish(struct docker *docker);

/* ---- ending.c ---- */

/* Is it CONTAINER_EXITED, or CREATED with an error: could it not be started? */
bool ending_is_due(const struct facts *facts);
/* Finds out why a container for which that is so has ended, reports it (ENDED, or
 * STOPPED where somebody stopped it), then calls `done`. Asks for the tail of its log where that is wanted. */
void ending_report(struct docker *docker, struct container *container, void (*done)(void *arg), void *arg);
/* An event: it died by itself. Remembered in the store once the end is looked at, where the exit code says otherwise:
 * the engine does not keep the difference. */
void ending_note_alone(struct docker *docker, struct container *container);
/* It runs, or is gone: its last end matters no more, to the store neither. */
void ending_forget(struct docker *docker, struct container *container);
/* Is an end at that time, on the engine's clock, one that somebody asked for, as far as was heard? */
bool ending_was_asked_for(const struct container *container, uint64_t at_ns);
/* Is all known that ending_report() would ask for? Then it asks nobody. */
bool ending_is_known(const struct container *container);
/* Forgets the ends of containers that are not among these engine's ids, nor in the table. Takes `ids`, sorted by
 * strcmp() and of malloc(). */
void ending_sweep(struct docker *docker, char (*ids)[ENGINE_ID_SIZE], size_t count);
void ending_drop(struct container *container); /* this instance forgets, the store does not */
void ending_finish(struct docker *docker);     /* in close(), by look_finish() */

/* ---- restarts.c: what the engine starts again by itself (a restart policy) ---- */

/* Has it ended, to be started again, or was it and has not stayed up since? Then it is not RUNNING. */
bool restarts_unsettled(const struct docker *docker, const struct container *container);
/* After a look at it, whose report was given: has it looked at again once it has stayed up, and the end of its output
 * reported where it ended. */
void restarts_follow(struct docker *docker, struct container *container);
void restarts_finish(struct docker *docker); /* in close() */

/* ---- report.c ---- */

void report_container(struct docker *docker, const struct container *container); /* any state but an end */
void report_gone(struct docker *docker, const char *name);
/* Where this daemon reaches the program of one that publishes VS Code's port; false: none of both, or too long. */
bool report_agent_url(struct docker *docker, const struct facts *facts, char *to, size_t size);
/* FAILED: it is there, and the engine does not say how (`why`). Of the facts only those of a listing are used. */
void report_unread(struct docker *docker, const struct container *container, const struct sbx_error *why);
/* STARTING with a sentence on what it waits for, and where it will be. Of the facts its name, ports, names, session key
 * and working folder are used. */
void report_starting(struct docker *docker, const struct facts *facts, const char *detail);
/* ENDED or STOPPED (error NULL and stopped), with the tail (may be NULL). */
void report_end(struct docker *docker, const struct container *container, bool stopped,
                const struct sbx_error *error, const char *log_tail);

/* ---- list.c ---- */

void list_begin(struct docker *docker, sbx_op op);
void list_cancel(struct docker *docker, sbx_op op);
void list_finish(struct docker *docker); /* in close(): what a cancelled one still waited for */

/* ---- watch.c ---- */

struct watch;
/* Connects, and goes on for as long as the instance is open. `opened` is called once, when the first attempt has
 * ended: the engine is watched, or it did not answer within 5 s and the host was told why. */
void watch_begin(struct docker *docker, void (*opened)(struct docker *docker));
void watch_quiesce(struct docker *docker);
void watch_end(struct docker *docker);
/* A call had no answer: is the engine still there? */
void watch_doubt(struct docker *docker);
/* Why nothing can be asked of the engine now; NULL: it is there. */
const struct sbx_error *watch_lost(const struct docker *docker);
/* What it said of itself (GET /version); NULL before the first time. Borrowed. */
const struct sbx_json *watch_version(const struct docker *docker);

/* ---- pull.c ---- */

/* One pull of an image for all that wait for it. `progress` gets a sentence for status_detail, at most once a
 * second; `done` comes once, never from inside the call. */
struct image_waiter *pull_join(struct docker *docker, const char *image, waiter_progress progress,
                               waiter_done done, void *arg);
/* Does not wait any longer: no call comes any more. The pull is given up with the last one. */
void pull_leave(struct image_waiter *waiter);
void pull_finish(struct docker *docker);

/* ---- runtime_image.c ---- */

/* The same for an image that is made from a base image, as `build` of the spec says. It is there already, or is built
 * once for all that wait for it. In done() without an error runtime_image_name() is its name. The base image is
 * pulled by that policy. */
struct image_waiter *runtime_image_join(struct docker *docker, const struct sbx_json *build,
                                        enum pull_policy policy, waiter_progress progress, waiter_done done,
                                        void *arg);
const char *runtime_image_name(const struct image_waiter *waiter);
void runtime_image_leave(struct image_waiter *waiter);
void runtime_image_finish(struct docker *docker);

/* ---- image.c: is there such an image? ---- */

void image_begin(struct docker *docker, const char *image, sbx_op op);
void image_cancel(struct docker *docker, sbx_op op);

/* ---- build.c: an image from a context ---- */

void build_begin(struct docker *docker, const struct sbx_build *build, sbx_op op);
void build_ready(struct docker *docker, sbx_op op);
void build_cancel(struct docker *docker, sbx_op op);
/* The platform, and the limits of a sandbox, which hold for each step of a build too, as parts of its query. */
void build_add_options(struct bytes *path, const struct options *options);

/* ---- confirm.c: did its own program answer? And under `profile: runtime`, what is VS Code's token? ---- */

void confirm_begin(struct docker *docker, const char *sandbox_id, sbx_op op);
void confirm_cancel(struct docker *docker, sbx_op op);
void confirm_finish(struct docker *docker); /* in close() */

/* ---- operation.c, start.c, act.c, remove.c, logs.c ---- */

/* Around an operation on a container: events do not look at it meanwhile. The look that an operation ends with is
 * operation_look(); what events say after that is looked at by operation_end(). */
void operation_begin(struct docker *docker, const char *name); /* puts it into the table */
void operation_look(struct docker *docker, const char *name, look_done done, void *arg);
void operation_end(struct docker *docker, const char *name);

void start_begin(struct docker *docker, const struct sbx_start *start, sbx_op op);
void start_cancel(struct docker *docker, sbx_op op);
enum verb { VERB_PAUSE, VERB_RESUME, VERB_STOP };
void act_begin(struct docker *docker, enum verb verb, const char *sandbox_id, sbx_op op);
void remove_begin(struct docker *docker, const char *sandbox_id, sbx_op op);
void logs_begin(struct docker *docker, const struct sbx_logs *logs, sbx_op op);
void logs_ready(struct docker *docker, sbx_op op);
void logs_cancel(struct docker *docker, sbx_op op);
/* The last lines of a container's output, at most 4 KiB as the report takes them; "" where they can't be had. */
void logs_tail(struct docker *docker, const struct container *container,
               void (*done)(void *arg, const char *tail), void *arg);
void logs_finish(struct docker *docker); /* in close(): the tails that were still asked for come to nothing */

/* ---- start_log.c: output while a sandbox starts goes to the log where that shows debug lines ---- */

/* `session_key` is made unreadable where it stands in a line. */
void start_log_begin(struct docker *docker, const char *sandbox_id, const char *session_key,
                     uint64_t deadline_ms);
void start_log_end(struct docker *docker, const char *sandbox_id); /* it answered, or is gone */
void start_log_finish(struct docker *docker);

/* ---- the instance ---- */

struct docker {
    struct sbx_backend *public;
    const struct sbx_host *host;
    struct options options;
    struct engine engine;
    struct table table;
    struct reserved_port *reserved;
    struct watch *watch;
    struct pull *pulls;
    struct image_look *image_looks;
    struct runtime_image *runtime_images;
    struct forced_image *forced_images; /* that were built anew, as force_rebuild asks, since it was opened */
    struct building *builds;
    struct starting *starts;
    struct listing *listings;
    struct log_stream *logs;
    struct start_log *start_logs;
    uint64_t listings_begun;
    uint64_t looks_begun;
    struct look *looks;             /* that were asked for, or wait for the ending of what they found */
    struct look *looks_queue;       /* that wait for their turn, first to last */
    struct look **looks_end;        /* where the next one of the queue goes; NULL: it was never used */
    unsigned looks_asking;          /* without an answer yet, and not overdue */
    unsigned looks_overdue;         /* likewise */
    struct inquiry *inquiries;      /* ending.c */
    struct restarting *restartings; /* restarts.c */
    char *state_dir;                /* a folder of this backend's own */
    char *instance_id;              /* of the daemon's state; NULL: an older daemon, which has none */
    struct other_instance {
        char id[64];
        bool runs;
        uint64_t until_ms; /* and is asked for again */
    } other;               /* that was asked for last */
    bool quiesced;
    sbx_op opening;                     /* open() in flight */
    struct confirmation *confirmations; /* confirm() in flight */
    bool host_found;                    /* on the pool: host.docker.internal has an address */
    bool inside_container; /* the daemon itself: what it asks of "localhost" is at host.docker.internal */
};

#endif
