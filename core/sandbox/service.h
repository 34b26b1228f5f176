/* sandbox/service.h: the sandbox service, the one place for the rules that all backends share.
 *
 * Ids and keys, owners, specs and defaults, the limit on running sandboxes, health checks and the status that
 * follows, hiding what is being deleted, waiting. Reads go to the table (service_table()) and are answered from
 * memory; what follows here changes things. Loop thread only.
 */
#ifndef SANDBOX_SERVICE_H
#define SANDBOX_SERVICE_H

#include "base/loop.h"
#include "config/config.h"
#include "config/reload.h"
#include "net/client.h"
#include "plugin/backend.h"
#include "plugin/set.h"
#include "sandbox/table.h"
#include "store/store.h"

struct service;

struct service_deps {
    struct loop *loop;
    struct client *client;
    struct store *store;
};

struct service *service_create(const struct service_deps *deps);
/* What the instances of the set tell goes here. */
struct backend_events service_backend_events(struct service *service);
/* Before the first configuration: reads every record. -1 when the store can't be read. */
int service_load(struct service *service, struct sbx_error *err);

/* Steps of the reload transaction, after the set's. At the first start prepare lists what every backend
 * has (bounded in time), so that the first read is already true. */
void service_prepare(struct service *service, struct backend_set *set, const struct config *old,
                     struct config *next, struct config_problems *problems, reload_prepared prepared,
                     void *transaction);
void service_commit(struct service *service, struct backend_set *set, struct config *next);

/* The daemon will stop once its requests have ended: a start that was made is not waited for any longer. */
void service_drain(struct service *service);
/* The daemon stops: carries out each backend's on_shutdown, then calls `stopped`, after `timeout_ms` at the
 * latest. Nothing new is begun from now on. */
void service_stop(struct service *service, uint32_t timeout_ms, void (*stopped)(void *arg), void *arg);
void service_destroy(struct service *service);

const struct table *service_table(const struct service *service);

/* `changed` is called whenever a sandbox begins or ceases to be RUNNING, or is reached elsewhere or by another key, amid
 * what makes it so: it takes note of it, and looks at the table on a later turn. One listener; NULL: none. */
void service_listen(struct service *service, void (*changed)(void *arg), void *arg);

/* ---- what clients ask for ---------------------------------------------------------------------
 *
 * Each call is answered once by its callback, never before it returned, unless it is given up: then never.
 * `sandbox` is borrowed for the callback, and NULL on failure.
 */
struct sandbox_wait; /* a call that was not answered yet */
typedef void (*service_done)(void *arg, const struct sandbox *sandbox, const struct sbx_error *err);

/* Who may act on what: a user on their own, `everything` on all; what they may not see is NOT_FOUND. */

/* Starts one. `spec_id` NULL: the default spec of `config`. Answered when the backend has made it, when it
 * waits for room, or after 10 s; with wait_ms above 0, when it is RUNNING, has failed or that time is over. A
 * start that could make nothing is the failure it had. NULL, with err filled in, when it can't even begin:
 * NOT_FOUND (no such spec), LIMIT, UNAVAILABLE. */
struct sandbox_wait *service_start(struct service *service, struct config *config,
                                   const struct viewer *viewer, const char *spec_id, uint32_t wait_ms,
                                   service_done done, void *arg, struct sbx_error *err);

/* A start as the runtime API has it: an image that need not be a spec's, under the client's own name for it. */
struct service_session {
    const char
        *session_id;     /* one of this viewer lives: answered with that, and nothing is made. NULL: its id */
    const char *spec_id; /* the image */
    const char *backend; /* a configured one */
    const char *spec_json; /* as the ABI's; kept with the sandbox */
};
/* Answered when its URL is known, it failed, or after 10 s. One of the session that is paused or has ended is
 * resumed; what nothing is left of, or could never be made, is deleted, and another one made. NULL with err as above. */
struct sandbox_wait *service_start_session(struct service *service, struct config *config,
                                           const struct viewer *viewer, const struct service_session *session,
                                           service_done done, void *arg, struct sbx_error *err);

/* Begins to; answered when it is so, when it failed, or after 10 s with success (it goes on). NULL with err
 * filled in: NOT_FOUND, LIMIT (resume under `over_limit: reject`), UNAVAILABLE, CONFLICT. */
struct sandbox_wait *service_pause(struct service *service, const struct viewer *viewer, const char *id,
                                   service_done done, void *arg, struct sbx_error *err);
struct sandbox_wait *service_resume(struct service *service, const struct viewer *viewer, const char *id,
                                    service_done done, void *arg, struct sbx_error *err);
/* Gone from every read at once; answered (sandbox NULL, err NULL) when the promise is on disk. The cleaning up
 * goes on behind, over failures and restarts. */
struct sandbox_wait *service_delete(struct service *service, const struct viewer *viewer, const char *id,
                                    service_done done, void *arg, struct sbx_error *err);

/* The asker is gone: no answer is wanted. What was begun goes on. */
void service_give_up(struct sandbox_wait *wait);

/* A sandbox's output, as backend_logs(). The operation is the caller's to cancel. */
struct backend_operation *service_logs(struct service *service, const struct viewer *viewer, const char *id,
                                       uint32_t tail, bool follow, backend_data data, backend_done done,
                                       void *arg, struct sbx_error *err);

/* ---- specs ------------------------------------------------------------------------------------ */

/* The specs that a configuration offers: its own, or else the default backend's built-in one. The first is
 * the default. Borrowed from the configuration or the service, for this turn of the loop. */
size_t service_specs_count(const struct service *service, const struct config *config);
const struct config_spec *service_spec_at(const struct service *service, const struct config *config,
                                          size_t index);
/* NULL id: the default. NULL: there is none of that id. */
const struct config_spec *service_spec_find(const struct service *service, const struct config *config,
                                            const char *id);
/* When this daemon first offered it: specs have no time of their own. */
int64_t service_specs_created_at_us(const struct service *service);

/* ---- backends --------------------------------------------------------------------------------- */

/* A configured backend, by index in the generation in force. */
struct service_backend {
    const char *name;
    const char *plugin;
    const char *version;
    const struct sbx_error *unavailable; /* NULL: it can be reached */
    bool listed;                         /* the table was made true since it opened */
    const struct home *home;             /* for table_count() */
    struct backend *backend;             /* for backend_describe() */
};
size_t service_backends_count(const struct service *service);
struct service_backend service_backend_at(const struct service *service, size_t index);

/* For /metrics, since start. */
struct service_stats {
    uint64_t starts, start_failures, pauses, resumes, deletes, adopted;
    uint64_t room_pauses, outside_pauses; /* by pause_oldest; reported and not asked for */
    uint64_t health_checks, health_failures;
};
struct service_stats service_stats(const struct service *service);

#endif
