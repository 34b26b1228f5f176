/* plugin/instance.h: the inside of a backend, shared by the files of this layer and nobody else.
 *
 * Life of an instance: OPENING, then OPEN (its events are kept back), CURRENT (they flow), QUIESCED (they
 * are dropped; operations end), CLOSED (no code of the plugin runs for it any more). A failed open
 * goes straight to QUIESCED. All on the loop thread, but for what says otherwise.
 */
#ifndef PLUGIN_INSTANCE_H
#define PLUGIN_INSTANCE_H

#include "base/buffer.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/pool.h"
#include "net/client.h"
#include "plugin/backend.h"
#include "plugin/handles.h"
#include "plugin/json.h"
#include "plugin/module.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct child;
struct delivery;

/* What all instances of a set share. Outlives them. */
struct instance_env {
    struct loop *loop;
    struct pool *pool;
    struct client *client; /* NULL: no http */
    struct store *store;   /* NULL: no store */
    pthread_t thread;      /* the loop's */
    struct backend_events events;
    /* An instance was closed: its set lets go of it. */
    void (*closed)(void *arg, struct backend *backend);
    void *closed_arg;
    struct child *children; /* all that were spawned and not reaped; of children.c */
};

enum instance_state { INSTANCE_OPENING, INSTANCE_OPEN, INSTANCE_CURRENT, INSTANCE_QUIESCED, INSTANCE_CLOSED };

/* Complaints about a plugin: ten at once, then one a second. */
struct log_gate {
    uint64_t refilled_ms;
    unsigned tokens, left_out;
};

struct backend {
    struct sbx_backend abi; /* first: it is what the plugin holds */
    struct instance_env *env;
    struct module *module;
    const struct sbx_backend_ops *ops; /* of the module */
    struct sbx_plugin plugin;          /* the facts; they outlive the module. Its ops is NULL */
    char *default_spec;                /* may be NULL */
    bool has_logs, isolates;
    char *name, *plugin_path;
    char *public_url, *listen_urls; /* of the configuration that it was opened with; may be NULL */
    uint8_t digest[32];             /* of its section of the configuration */
    enum instance_state state;
    bool opened;   /* open() succeeded: close() is owed */
    bool quiesced; /* quiesce() was called */
    unsigned refs; /* its set's, its askers', and one for each operation */
    struct handles handles;
    unsigned in_flight; /* operations that the plugin has not ended, open() among them */
    unsigned pending;   /* callbacks of work() and the store that have not come */
    atomic_uint posts;  /* callbacks of post() that have not come */
    uint64_t lost;      /* reports that were refused */

    struct delivery *first, **last; /* deliveries.c: what is on its way to the service */
    size_t queued, queued_bytes;
    struct loop_task deliver;

    struct loop_task settle; /* closes when nothing is left to wait for */
    struct event overdue;    /* complains when that takes long */

    bool unavailable;
    struct sbx_error why_unavailable;
    enum sbx_on_shutdown on_shutdown;
    enum sbx_shutdown_scope shutdown_scope;
    char id_prefix[BACKEND_ID_PREFIX_MAX + 1];
    char *health_path;   /* given in open(); NULL: the plugin's own */
    char *health_body;   /* likewise; NULL: any */
    char *checked_path;  /* of the configuration; NULL: it says nothing */
    bool unchecked;      /* it says that there are no checks */
    uint32_t polling_ms; /* likewise; 0: events.polling_interval */
    struct log_gate gate;
    struct backend *next; /* in its set's list of retired ones */
};

/* backend.c: an instance's life. */

/* Takes over the reference to `module`. One reference, the caller's. */
struct backend *instance_create(struct instance_env *env, struct module *module, const char *name,
                                const char *plugin_path, const uint8_t *digest, const char *public_url,
                                const char *listen_urls);
/* Calls the plugin's open(). `done` as for every operation. */
void instance_open(struct backend *backend, const struct sbx_backend_config *config, uint32_t timeout_ms,
                   backend_done done, void *arg);
/* Before it is opened: its sandboxes are checked at this path and not at the plugin's own; NULL: not at all. */
void instance_check_at(struct backend *backend, const char *path);
/* Lets events flow, also those that were kept back. */
void instance_activate(struct backend *backend);
/* Quiesces, and closes as soon as nothing is in flight; env->closed tells. */
void instance_retire(struct backend *backend);
/* To be called when something that close() waits for has ended. */
void instance_settle(struct backend *backend);
/* The same at once; only where no code of the plugin is on the stack. */
void instance_close_if_idle(struct backend *backend);
/* For a daemon that ends: whatever could still call into an instance that never closes is taken away. */
void instance_abandon(struct backend *backend);
struct backend *instance_of(struct sbx_backend *abi);
void instance_free_if_over(struct backend *backend);

/* A complaint about what a plugin did; limited in number. */
void instance_complain(struct backend *backend, const char *sandbox_id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* deliveries.c: the queue from the plugin to the service, in the order in which things happened. */
void deliveries_init(struct backend *backend);
void deliveries_start(struct backend *backend); /* what was kept back goes out */
void deliveries_drop_events(struct backend *backend);
void deliveries_finish(struct backend *backend);
int deliveries_report(struct backend *backend, struct sbx_observation *observation,
                      size_t bytes); /* -1: full */
void deliveries_available(struct backend *backend);
void deliveries_relist(struct backend *backend);
void deliveries_answer(struct backend *backend, struct backend_operation *operation);
void deliveries_withdraw(struct backend *backend, const struct backend_operation *operation);

/* operation.c */
enum operation_verb {
    OPERATION_PAUSE = BACKEND_PAUSE,
    OPERATION_RESUME = BACKEND_RESUME,
    OPERATION_STOP = BACKEND_STOP,
    OPERATION_REMOVE = BACKEND_REMOVE,
    OPERATION_CONFIRM = BACKEND_CONFIRM,
    OPERATION_OPEN,
    OPERATION_START,
    OPERATION_LIST,
    OPERATION_DESCRIBE,
    OPERATION_IMAGE,
    OPERATION_LOGS,
    OPERATION_BUILD
};
/* The timers of operations that never end are stopped; whoever asked is answered by now. */
void operations_abandon(struct backend *backend);
void operation_deliver(struct backend_operation *operation); /* its turn in the queue has come */
void operation_complete(struct backend *backend, sbx_op op, const struct sbx_error *error);
void operation_result(struct backend *backend, sbx_op op, const char *json, size_t len);
enum sbx_stream operation_write(struct backend *backend, sbx_op op, const void *bytes, size_t len);
void operation_progress(struct backend *backend, sbx_op op); /* the time of a start begins anew */

/* host.c: the table, and the check at the door of each service: NULL (logged) when the backend is not open
 * or the call comes from another thread. */
const struct sbx_host *host_table(void);
struct backend *host_enter(struct sbx_backend *abi, const char *service);

/* One file each. …_end() takes away what a backend that was closed left behind, with a line in the log. */
sbx_timer timers_start(struct sbx_backend *abi, uint64_t delay_us, sbx_callback fired, void *arg);
void timers_cancel(struct sbx_backend *abi, sbx_timer id);
void timers_end(struct backend *backend);

sbx_watch watches_start(struct sbx_backend *abi, int fd, uint32_t events, sbx_io_callback ready, void *arg);
void watches_cancel(struct sbx_backend *abi, sbx_watch id);
void watches_end(struct backend *backend);

sbx_child children_spawn(struct sbx_backend *abi, const struct sbx_spawn *spawn, sbx_child_callback ended,
                         void *arg, struct sbx_error *err);
pid_t children_pid(struct sbx_backend *abi, sbx_child id);
void children_signal(struct sbx_backend *abi, sbx_child id, int signal);
void children_disown(struct sbx_backend *abi, sbx_child id);
void children_end(struct backend *backend);     /* they live on, and are reaped */
void children_forget(struct instance_env *env); /* the daemon ends: they live on, init reaps them */

sbx_transfer transfers_start(struct sbx_backend *abi, const struct sbx_http_request *request,
                             const struct sbx_http_handler *handler, void *arg, struct sbx_error *err);
void transfers_resume(struct sbx_backend *abi, sbx_transfer id);
void transfers_cancel(struct sbx_backend *abi, sbx_transfer id);
void transfers_end(struct backend *backend);

void records_put(struct sbx_backend *abi, const char *key, const void *value, size_t len,
                 sbx_store_callback done, void *arg);
void records_get(struct sbx_backend *abi, const char *key, sbx_store_callback done, void *arg);
void records_delete(struct sbx_backend *abi, const char *key, sbx_store_callback done, void *arg);
void records_list(struct sbx_backend *abi, const char *prefix, sbx_store_list_callback done, void *arg);

void work_run(struct sbx_backend *abi, sbx_callback run, sbx_callback done, void *arg);
void work_post(struct sbx_backend *abi, sbx_callback call, void *arg);

#endif
