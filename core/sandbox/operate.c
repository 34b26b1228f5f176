/* sandbox/operate.c: what is to be done about a sandbox with its backend, one operation at a time, and what
 * follows from how each ends. `wants` says what; sandbox_drive() begins the next. */
#include "sandbox/command_line.h"
#include "sandbox/internal.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static void begin_act(struct sandbox *sandbox, enum backend_verb verb, enum sandbox_phase phase,
                      unsigned wants, backend_done done)
{
    sandbox->wants &= ~wants;
    struct sbx_error err;
    if (home_usable(sandbox->home, &err) < 0) {
        sandbox->phase = PHASE_IDLE;
        done(sandbox, &err, NULL, 0);
        return;
    }
    sandbox->phase = phase;
    uint32_t timeout_ms = verb == BACKEND_REMOVE ? REMOVE_TIMEOUT_MS : ACT_TIMEOUT_MS;
    sandbox->operation = backend_act(sandbox->home->backend, verb, sandbox->id, timeout_ms, done, sandbox);
    sandbox_refresh(sandbox);
}

/* Its state was not reported: against the contract, or by an instance that was replaced meanwhile. The listing
 * under way, if there is one, may have begun too early to know of it. */
static void look_for(struct sandbox *sandbox)
{
    sandbox->listed = sandbox->home->listing_number;
    home_list(sandbox->home, LIST_TIMEOUT_MS);
}

/* The common end of pause, resume and stop: waits are answered, and what came up meanwhile is begun. */
static void act_ended(struct sandbox *sandbox, enum wait_for what, const struct sbx_error *err)
{
    sandbox->operation = NULL;
    sandbox->phase = PHASE_IDLE;
    if (err) {
        service_log(LOG_WARN, sandbox, "%s failed: %s", what == WAIT_PAUSED ? "pause" : "resume",
                    err->message);
        wait_answer(sandbox, what, err);
        if (err->kind == SBX_ERR_NOT_FOUND)
            sandbox_observe_state(sandbox, SBX_STATE_GONE);
    }
    health_go_on(sandbox);
    sandbox_refresh(sandbox);
    sandbox_drive(sandbox);
    service_check_stopped(sandbox->service);
}

/* 1 s, 2 s, 4 s … 60 s, less up to a quarter, so that many do not come back at once. */
static uint64_t removal_delay_us(unsigned attempts)
{
    uint64_t delay = UINT64_C(1000000) << (attempts < 6 ? attempts : 6);
    if (delay > 60000000)
        delay = 60000000;
    uint32_t random;
    random_fill(&random, sizeof random);
    return delay - random % (delay / 4);
}

static void removal_failed(struct sandbox *sandbox, const struct sbx_error *err)
{
    sandbox->phase = PHASE_IDLE;
    sandbox->wants |= WANT_REMOVE;
    if (sandbox->attempts == 0 || err->kind != SBX_ERR_UNAVAILABLE)
        service_log(LOG_WARN, sandbox, "could not be removed yet, it is tried again: %s", err->message);
    loop_arm_us(&sandbox->retry, removal_delay_us(sandbox->attempts++));
    service_check_stopped(sandbox->service);
}

/* ---- start ---- */

/* Who waits for a start, or for what was to follow it. */
static void fail_waits(struct sandbox *sandbox, const struct sbx_error *err)
{
    wait_answer(sandbox, WAIT_MADE, err);
    wait_answer(sandbox, WAIT_REACHABLE, err);
    wait_answer(sandbox, WAIT_SETTLED, err);
    wait_answer(sandbox, WAIT_PAUSED, err);
    wait_answer(sandbox, WAIT_RESUMED, err);
}

static void record_deleted(void *arg, const struct sbx_error *err)
{
    struct sandbox *sandbox = arg;
    if (sandbox->failure)
        fail_waits(sandbox, &sandbox->failure->error);
    if (!err)
        service_forget(sandbox);
    else
        removal_failed(sandbox, err);
}

/* The thing is gone, or was never made: only its record is there, and goes. */
static void drop_record(struct sandbox *sandbox)
{
    struct service *service = sandbox->service;
    sandbox->phase = PHASE_REMOVING;
    sandbox->deleting = true;
    sandbox->wants = 0;
    table_hide(&service->table, sandbox);
    sandbox_refresh(sandbox);
    store_delete_sandbox(service->deps.store, sandbox->id, record_deleted, sandbox);
}

static void unpin(struct sandbox *sandbox)
{
    config_unref(sandbox->pinned);
    sandbox->pinned = NULL;
}

/* `called`: its backend was. */
static void start_failed(struct sandbox *sandbox, const struct sbx_error *err, bool called)
{
    struct service *service = sandbox->service;
    bool unclear = called && (err->kind == SBX_ERR_TIMEOUT || err->kind == SBX_ERR_UNAVAILABLE);
    service->stats.start_failures++;
    service_log(LOG_WARN, sandbox, "start failed: %s", err->message);
    sandbox_set_failure(sandbox, err, -1, NULL);
    if (sandbox->state == SBX_STATE_STARTING)
        sandbox->state = 0; /* it was on its way, and is not any more */
    if (sandbox->deleting || sandbox->wants & WANT_REMOVE) {
        sandbox_drive(sandbox);
        return;
    }
    if (!sandbox->answered && !unclear) {
        drop_record(sandbox); /* told when that is done: until then the next daemon would try it again */
        return;
    }
    fail_waits(sandbox, err);
    if (!sandbox->answered) { /* who knows what it made */
        sandbox->deleting = true;
        record_put(sandbox, NULL, NULL);
        sandbox_begin_removal(sandbox);
    } else {
        sandbox->wants = 0;
        sandbox_set_detail(sandbox, NULL);
        sandbox_refresh(sandbox);
        record_save(sandbox);
    }
}

static void start_ended(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct sandbox *sandbox = arg;
    sandbox->operation = NULL;
    sandbox->phase = PHASE_IDLE;
    unpin(sandbox);
    if (err) {
        start_failed(sandbox, err, true);
    } else {
        sandbox->begun = true;
        sandbox->again = false;
        if (sandbox->state == 0)
            look_for(sandbox);
        health_go_on(sandbox);
        record_save(sandbox);
        sandbox_refresh(sandbox);
        sandbox_drive(sandbox);
    }
    service_check_stopped(sandbox->service);
}

/* With ports inside it was asked of a backend that isolates, where clients bring commands of their own. The name may
 * be another backend's by now. */
static bool is_for_another(const struct sandbox *sandbox)
{
    if (!sandbox->own_spec || backend_isolates(sandbox->home->backend))
        return false;
    struct json_object *spec = json_tokener_parse(sandbox->own_spec), *ports;
    bool inside = json_object_object_get_ex(spec, "ports", &ports);
    json_object_put(spec);
    return inside;
}

static void log_command(const struct sandbox *sandbox, const struct config_spec *spec)
{
    char line[COMMAND_LINE_SIZE];
    if (log_enabled(LOG_INFO) && command_line_of(spec->json, spec->json_len, sandbox->session_key, line))
        service_log(LOG_INFO, sandbox, "its command: %s", line);
}

static void begin_start(struct sandbox *sandbox)
{
    struct service *service = sandbox->service;
    struct config *config = sandbox->pinned ? sandbox->pinned : service->config;
    const struct config_spec own = {.json = sandbox->own_spec,
                                    .json_len = sandbox->own_spec ? strlen(sandbox->own_spec) : 0};
    const struct config_spec *spec = own.json ? &own : service_spec_find(service, config, sandbox->spec_id);
    if (!spec && sandbox->home->builtin.id && strcmp(sandbox->home->builtin.id, sandbox->spec_id) == 0)
        spec = &sandbox->home->builtin;
    struct sbx_error err;
    sandbox->wants &= ~WANT_START;
    sandbox->phase = PHASE_STARTING;
    int failed = home_usable(sandbox->home, &err);
    if (!failed && !spec)
        failed = error_set(&err, SBX_ERR_NOT_FOUND, SBX_CODE_START_FAILED,
                           "the spec '%.200s' is not in the configuration any more", sandbox->spec_id);
    if (!failed && is_for_another(sandbox))
        failed = error_set(&err, SBX_ERR_CONFLICT, SBX_CODE_START_FAILED,
                           "backend '%s' isolated its sandboxes when this was asked of it, and does not now",
                           sandbox->home->name);
    if (failed) {
        sandbox->phase = PHASE_IDLE;
        unpin(sandbox);
        start_failed(sandbox, &err, false);
        return;
    }
    uint32_t timeout_ms = home_startup_timeout_ms(sandbox->home);
    struct sbx_start start = {.size = sizeof start,
                              .again = sandbox->again,
                              .sandbox_id = sandbox->id,
                              .session_key = sandbox->session_key,
                              .spec_id = sandbox->spec_id,
                              .spec_json = spec->json,
                              .spec_len = spec->json_len,
                              .owner = sandbox->owner->name,
                              .created_at_us = sandbox->created_at_us,
                              .deadline_ms = clock_ms() + timeout_ms};
    sandbox_set_failure(sandbox, NULL, -1, NULL);
    log_command(sandbox, spec);
    sandbox->operation =
        backend_start(sandbox->home->backend, &start, timeout_ms + 5000, start_ended, sandbox);
    sandbox_refresh(sandbox);
}

/* ---- pause, resume, stop ---- */

static void pause_ended(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct sandbox *sandbox = arg;
    if (err) {
        sandbox->room_refused = true;
        sandbox_set_pause_reason(sandbox, NULL);
    } else if (sandbox->pause_reason) {
        record_save(sandbox);
    }
    if (!err && sandbox->state == SBX_STATE_RUNNING) /* against the contract: it reported nothing */
        sandbox_observe_state(sandbox, SBX_STATE_PAUSED);
    act_ended(sandbox, WAIT_PAUSED, err);
    if (err)
        quota_make_room(sandbox->quota); /* another one has to give way */
}

static void resume_ended(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct sandbox *sandbox = arg;
    if (!err && sandbox->state != SBX_STATE_RUNNING && sandbox->state != SBX_STATE_STARTING)
        look_for(sandbox);
    else if (!err && health_bad(&sandbox->health))
        health_begin(sandbox); /* it ran all the time, and has as long to answer as one that was started */
    act_ended(sandbox, WAIT_RESUMED, err);
}

static void begin_resume(struct sandbox *sandbox)
{
    begin_act(sandbox, BACKEND_RESUME, PHASE_RESUMING, WANT_RESUME, resume_ended);
}

/* ---- removal ---- */

void sandbox_retry_removal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    sandbox_drive(arg);
}

static void removal_ended(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct sandbox *sandbox = arg;
    sandbox->operation = NULL;
    if (err) {
        removal_failed(sandbox, err);
        return;
    }
    service_log(LOG_INFO, sandbox, "removed");
    drop_record(sandbox);
}

void sandbox_begin_removal(struct sandbox *sandbox)
{
    struct service *service = sandbox->service;
    sandbox->deleting = true;
    sandbox->wants = WANT_REMOVE;
    quota_stop_waiting(sandbox);
    health_end(sandbox);
    table_hide(&service->table, sandbox);
    if (sandbox->operation)
        backend_cancel(sandbox->operation, false);
    struct sbx_error err;
    error_set(&err, SBX_ERR_NOT_FOUND, "NOT_FOUND", "sandbox '%s' was deleted", sandbox->id);
    wait_answer_all(sandbox, &err);
    sandbox_refresh(sandbox);
    sandbox_drive(sandbox);
}

/* ---- what next ---- */

/* Is there room for what makes it run? It is not watched meanwhile: see health_begin(). */
static bool enter(struct sandbox *sandbox)
{
    if (sandbox->service->stopping)
        return false;
    if (sandbox->state == SBX_STATE_STARTING)
        health_end(sandbox);
    return quota_enter(sandbox);
}

void sandbox_admit(struct sandbox *sandbox)
{
    if (sandbox->wants & WANT_START)
        begin_start(sandbox);
    else
        begin_resume(sandbox);
}

void sandbox_drive(struct sandbox *sandbox)
{
    if (sandbox->phase != PHASE_IDLE)
        return;
    if (sandbox->wants & WANT_REMOVE) {
        if (event_pending(&sandbox->retry, EV_TIMEOUT, NULL))
            return; /* it failed, and comes in its time */
        begin_act(sandbox, BACKEND_REMOVE, PHASE_REMOVING, WANT_REMOVE, removal_ended);
    } else if (sandbox->wants & WANT_STOP) {
        begin_act(sandbox, BACKEND_STOP, PHASE_STOPPING, WANT_STOP, pause_ended);
    } else if (sandbox->wants & WANT_START) {
        if (enter(sandbox))
            begin_start(sandbox);
    } else if (sandbox->wants & WANT_PAUSE) {
        begin_act(sandbox, BACKEND_PAUSE, PHASE_PAUSING, WANT_PAUSE, pause_ended);
    } else if (sandbox->wants & WANT_RESUME) {
        if (enter(sandbox))
            begin_resume(sandbox);
    }
}
