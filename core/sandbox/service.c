/* sandbox/service.c: what clients ask for. Checks who asks and whether it can be done, notes what is to be
 * done, and leaves the doing to operate.c. */
#include "sandbox/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one sandbox's life in the table ---- */

void service_log(enum log_level level, const struct sandbox *sandbox, const char *format, ...)
{
    struct log_context about = {.sandbox = sandbox->id, .backend = sandbox->home->name};
    va_list args;
    va_start(args, format);
    log_vline(level, &about, format, args);
    va_end(args);
}

struct sandbox *service_new_sandbox(struct service *service, struct home *home, const char *id,
                                    const char *owner, const char *spec_id)
{
    struct sandbox *sandbox = table_add(&service->table, id, owner);
    sandbox->service = service;
    sandbox->home = home;
    if (!(sandbox->spec_id = strdup(spec_id)))
        abort();
    sandbox->status = SANDBOX_STARTING;
    evtimer_assign(&sandbox->retry, loop_base(service->deps.loop), sandbox_retry_removal, sandbox);
    health_init(sandbox);
    quota_join(sandbox);
    return sandbox;
}

void service_forget(struct sandbox *sandbox)
{
    struct service *service = sandbox->service;
    struct sbx_error err;
    error_set(&err, SBX_ERR_NOT_FOUND, SBX_CODE_INTERNAL, "sandbox '%s' was deleted", sandbox->id);
    wait_answer_all(sandbox, &err);
    health_end(sandbox);
    event_del(&sandbox->retry);
    quota_leave(sandbox);
    config_unref(sandbox->pinned);
    sandbox_set_failure(sandbox, NULL, -1, NULL);
    struct gone *gone = &service->recently_gone[service->recently_gone_at++ % RECENTLY_GONE];
    free(gone->id);
    *gone = (struct gone){.id = strdup(sandbox->id),
                          .adopted = sandbox->adopted,
                          .created_at_us = sandbox->created_at_us,
                          .gone_ms = clock_ms()};
    if (!gone->id)
        abort();
    if (sandbox->status == SANDBOX_RUNNING)
        service_tell_running(service);
    table_remove(&service->table, sandbox);
    service_check_stopped(service);
}

/* What others made they may make again under its name; our ids are used once. */
const struct gone *service_recently_gone(const struct service *service,
                                         const struct sbx_observation *observation)
{
    int64_t created_at_us = observation->created_at_us;
    for (size_t i = 0; i < RECENTLY_GONE; i++) {
        const struct gone *gone = &service->recently_gone[i];
        if (gone->id && strcmp(gone->id, observation->sandbox_id) == 0 &&
            (!gone->adopted || created_at_us == 0 || created_at_us == gone->created_at_us) &&
            clock_ms() - gone->gone_ms < RECENTLY_GONE_MS)
            return gone;
    }
    return NULL;
}

/* The sandbox that a viewer may act on. */
static struct sandbox *find(struct service *service, const struct viewer *viewer, const char *id,
                            struct sbx_error *err)
{
    struct sandbox *sandbox = table_find(&service->table, id);
    if (sandbox && table_get(&service->table, viewer, id))
        return sandbox;
    error_set(err, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no sandbox '%.127s'", id);
    return NULL;
}

static int check_serving(const struct service *service, struct sbx_error *err)
{
    if (!service->stopping)
        return 0;
    return error_set(err, SBX_ERR_UNAVAILABLE, "SHUTTING_DOWN", "the daemon is shutting down");
}

/* ---- start ---- */

static void recorded(void *arg, const struct sbx_error *err)
{
    struct sandbox *sandbox = arg;
    sandbox->quota->recording--;
    sandbox->phase = PHASE_IDLE;
    if (err) {
        struct sbx_error why = *err;
        sandbox->service->stats.start_failures++;
        wait_answer_all(sandbox, &why);
        sandbox->deleting = true;
        service_forget(sandbox);
        return;
    }
    table_show(&sandbox->service->table, sandbox);
    sandbox_drive(sandbox);
    if (!sandbox->service->stopping) /* else its start is the next daemon's */
        sandbox_refresh(sandbox);
    service_check_stopped(sandbox->service);
}

static struct sandbox *create(struct service *service, struct config *config, const char *spec_id,
                              struct home *home, const char *owner)
{
    uint8_t random[32];
    char id[BACKEND_ID_PREFIX_MAX + BASE62_SIZE_16], key[BASE62_SIZE_32];
    int prefix_len = snprintf(id, sizeof id, "%.*s", BACKEND_ID_PREFIX_MAX, backend_id_prefix(home->backend));
    random_fill(random, 16);
    base62_encode(random, 16, id + prefix_len);
    random_fill(random, sizeof random);
    base62_encode(random, sizeof random, key);
    struct sandbox *sandbox = service_new_sandbox(service, home, id, owner, spec_id);
    table_set_key(&service->table, sandbox, key);
    sandbox->created_at_us = clock_wall_us();
    sandbox->sequence = ++service->last_sequence;
    sandbox->pinned = config_ref(config);
    sandbox->wants = WANT_START;
    sandbox->phase = PHASE_RECORDING;
    sandbox->quota->recording++;
    service->stats.starts++;
    service_log(LOG_INFO, sandbox, "start of spec '%s'%s%s", spec_id, owner ? " for user " : "",
                owner ? owner : "");
    return sandbox;
}

struct sandbox_wait *service_start(struct service *service, struct config *config,
                                   const struct viewer *viewer, const char *spec_id, uint32_t wait_ms,
                                   service_done done, void *arg, struct sbx_error *err)
{
    if (check_serving(service, err) < 0)
        return NULL;
    const struct config_spec *spec = service_spec_find(service, config, spec_id);
    if (!spec) {
        if (spec_id)
            error_set(err, SBX_ERR_NOT_FOUND, "SPEC_NOT_FOUND", "there is no sandbox spec '%.200s'", spec_id);
        else
            error_set(err, SBX_ERR_NOT_FOUND, "SPEC_NOT_FOUND",
                      "no sandbox spec is configured, and the default backend has none of its own");
        return NULL;
    }
    struct home *home = home_get(service, spec->backend);
    if (home_usable(home, err) < 0 || quota_check(service, home, viewer->user, err) < 0)
        return NULL;
    struct sandbox *sandbox = create(service, config, spec->id, home, viewer->user);
    record_put(sandbox, recorded, sandbox);
    return wait_add(sandbox, wait_ms > 0 ? WAIT_SETTLED : WAIT_MADE, wait_ms > 0 ? wait_ms : ANSWER_WITHIN_MS,
                    done, arg);
}

/* ---- pause and resume ---- */

/* Something can only be asked of what is on its backend. */
static int check_there(const struct sandbox *sandbox, struct sbx_error *err)
{
    if (sandbox->status == SANDBOX_MISSING)
        return error_set(err, SBX_ERR_CONFLICT, "MISSING",
                         "nothing is left of sandbox '%s' on its backend; it can only be deleted",
                         sandbox->id);
    return home_usable(sandbox->home, err);
}

struct sandbox_wait *service_pause(struct service *service, const struct viewer *viewer, const char *id,
                                   service_done done, void *arg, struct sbx_error *err)
{
    struct sandbox *sandbox = find(service, viewer, id, err);
    if (!sandbox || check_serving(service, err) < 0 || check_there(sandbox, err) < 0)
        return NULL;
    bool ended = sandbox->state == SBX_STATE_ENDED || sandbox->state == SBX_STATE_FAILED || !sandbox->begun;
    if (ended && sandbox->phase == PHASE_IDLE && sandbox->wants == 0) {
        error_set(err, SBX_ERR_CONFLICT, "NOT_RUNNING",
                  "sandbox '%s' has ended and can't be paused; resume starts it again", sandbox->id);
        return NULL;
    }
    service->stats.pauses++;
    sandbox->wants &= ~WANT_RESUME;
    if (sandbox->phase == PHASE_WAITING && sandbox->begun) { /* a resume that is not wanted any more */
        quota_stop_waiting(sandbox);
        sandbox_refresh(sandbox);
    }
    bool paused = sandbox->state == SBX_STATE_PAUSED || sandbox->state == SBX_STATE_STOPPED;
    if (sandbox->phase != PHASE_PAUSING && !(paused && sandbox->phase == PHASE_IDLE)) {
        service_log(LOG_INFO, sandbox, "pause");
        if (!(sandbox->wants & WANT_PAUSE))
            sandbox_set_pause_reason(sandbox, NULL);
        sandbox->wants |= WANT_PAUSE;
        sandbox_drive(sandbox);
    }
    return wait_add(sandbox, WAIT_PAUSED, ANSWER_WITHIN_MS, done, arg);
}

struct sandbox_wait *service_resume(struct service *service, const struct viewer *viewer, const char *id,
                                    service_done done, void *arg, struct sbx_error *err)
{
    struct sandbox *sandbox = find(service, viewer, id, err);
    if (!sandbox || check_serving(service, err) < 0 || check_there(sandbox, err) < 0)
        return NULL;
    /* In ERROR what was reported is doubtful: only its backend knows whether it runs still. */
    bool runs = sandbox->status != SANDBOX_ERROR &&
                (sandbox->state == SBX_STATE_RUNNING || sandbox->state == SBX_STATE_STARTING);
    bool will_run = sandbox->phase == PHASE_STARTING || sandbox->phase == PHASE_RESUMING ||
                    sandbox->phase == PHASE_WAITING || sandbox->wants & (WANT_START | WANT_RESUME);
    bool will_pause = sandbox->phase == PHASE_PAUSING || sandbox->phase == PHASE_STOPPING;
    if (sandbox->phase != PHASE_PAUSING)
        sandbox->wants &= ~WANT_PAUSE;
    if (!will_run && (!runs || will_pause)) {
        if (!sandbox->holds_room && quota_check(service, sandbox->home, sandbox->owner->name, err) < 0)
            return NULL;
        service_log(LOG_INFO, sandbox, "resume");
        if (sandbox->begun) {
            sandbox->wants |= WANT_RESUME;
        } else { /* its start had failed */
            sandbox->wants |= WANT_START;
            sandbox->again = true;
        }
        sandbox_drive(sandbox);
    }
    service->stats.resumes++;
    return wait_add(sandbox, WAIT_RESUMED, ANSWER_WITHIN_MS, done, arg);
}

/* ---- delete ---- */

static void promised(void *arg, const struct sbx_error *err)
{
    struct sandbox *sandbox = arg;
    if (err) {
        sandbox->deleting = false;
        table_show(&sandbox->service->table, sandbox);
        sandbox_refresh(sandbox);
        wait_answer(sandbox, WAIT_PROMISED, err);
        return;
    }
    wait_answer(sandbox, WAIT_PROMISED, NULL);
    sandbox_begin_removal(sandbox);
}

struct sandbox_wait *service_delete(struct service *service, const struct viewer *viewer, const char *id,
                                    service_done done, void *arg, struct sbx_error *err)
{
    struct sandbox *sandbox = find(service, viewer, id, err);
    if (!sandbox || check_serving(service, err) < 0 || home_usable(sandbox->home, err) < 0)
        return NULL;
    service->stats.deletes++;
    service_log(LOG_INFO, sandbox, "delete");
    sandbox->deleting = true;
    table_hide(&service->table, sandbox);
    struct sandbox_wait *wait = wait_add(sandbox, WAIT_PROMISED, 0, done, arg);
    record_put(sandbox, promised, sandbox);
    sandbox_refresh(sandbox);
    return wait;
}

/* ---- sessions ---- */

/* Nothing of it is there to go on with. */
static bool is_over(const struct sandbox *sandbox)
{
    bool failed = sandbox->status == SANDBOX_ERROR && (!sandbox->begun || sandbox->unused);
    return sandbox->phase == PHASE_IDLE && !(sandbox->wants & WANT_START) &&
           (failed || sandbox->status == SANDBOX_MISSING);
}

static struct sandbox_wait *attach(struct sandbox *sandbox, const struct viewer *viewer, service_done done,
                                   void *arg, struct sbx_error *err)
{
    bool runs = sandbox->status == SANDBOX_STARTING || sandbox->status == SANDBOX_RUNNING;
    bool will_pause = sandbox->phase == PHASE_PAUSING || sandbox->wants & WANT_PAUSE;
    bool unheard = sandbox->begun && sandbox->state == 0; /* it may be paused as well */
    if (runs && !will_pause && !unheard)
        return wait_add(sandbox, WAIT_REACHABLE, ANSWER_WITHIN_MS, done, arg);
    return service_resume(sandbox->service, viewer, sandbox->id, done, arg, err);
}

static void make_way(struct sandbox *sandbox)
{
    service_log(LOG_INFO, sandbox, "deleted: its session is started again, and nothing of it was left");
    table_set_session(sandbox, NULL);
    sandbox->deleting = true;
    table_hide(&sandbox->service->table, sandbox);
    record_put(sandbox, promised, sandbox);
    sandbox_refresh(sandbox);
}

/* The viewer's own; else, for those who may act on everything, what somebody else made under that name. */
static struct sandbox *find_session(const struct service *service, const struct viewer *viewer,
                                    const char *session_id)
{
    struct sandbox *own = table_find_session(&service->table, viewer->user, session_id);
    if (own && !own->deleting)
        return own;
    struct sandbox *made = viewer->everything ? table_find_session(&service->table, NULL, session_id) : NULL;
    return made && made->adopted && !made->deleting ? made : NULL;
}

struct sandbox_wait *service_start_session(struct service *service, struct config *config,
                                           const struct viewer *viewer, const struct service_session *session,
                                           service_done done, void *arg, struct sbx_error *err)
{
    if (check_serving(service, err) < 0)
        return NULL;
    struct sandbox *before = session->session_id ? find_session(service, viewer, session->session_id) : NULL;
    if (before && !is_over(before))
        return attach(before, viewer, done, arg, err);
    struct home *home = home_get(service, session->backend);
    if (home_usable(home, err) < 0 || quota_check(service, home, viewer->user, err) < 0)
        return NULL;
    if (before)
        make_way(before);
    struct sandbox *sandbox = create(service, config, session->spec_id, home, viewer->user);
    if (!(sandbox->own_spec = strdup(session->spec_json)))
        abort();
    table_set_session(sandbox, session->session_id ? session->session_id : sandbox->id);
    record_put(sandbox, recorded, sandbox);
    return wait_add(sandbox, WAIT_REACHABLE, ANSWER_WITHIN_MS, done, arg);
}

/* ---- logs ---- */

struct backend_operation *service_logs(struct service *service, const struct viewer *viewer, const char *id,
                                       uint32_t tail, bool follow, backend_data data, backend_done done,
                                       void *arg, struct sbx_error *err)
{
    const struct sandbox *sandbox = find(service, viewer, id, err);
    if (!sandbox || home_usable(sandbox->home, err) < 0)
        return NULL;
    struct sbx_logs logs = {.size = sizeof logs, .tail = tail, .follow = follow, .sandbox_id = sandbox->id};
    return backend_logs(sandbox->home->backend, &logs, follow ? 0 : LIST_TIMEOUT_MS, data, done, arg);
}
