/* start.c: a start, from the host's wish to its completion: what an earlier one left behind, what becomes of one that
 * fails or is cancelled, and of its calls. Makes no container (make.c), and does not know what is to be removed
 * (remove.c).
 *
 *   find ──▶ (clear) ──▶ pull ──▶ overlay ──▶ create ──▶ run ──▶ look ──▶ end
 *     │ only `again`                 ▲  │ no image: pull │ port taken: clear, create
 *     └─ running: look; created: run └──┘◀───────────────┘
 *
 * What fails ends in start_fail(): all that was made is removed before the host is told. A daemon that is killed
 * leaves what it made under the sandbox's own name and id, which the host has on disk since before the start: it
 * asks for the start again, or for the removal. So nothing may ever be made under any other name.
 */
#include "operations/start.h"
#include "common/failure.h"
#include "engine/refusal.h"
#include "operations/remove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_CALL_MS = 1000,   /* for a call, also after the deadline */
    CLEAN_MS = 4000,        /* for cleaning up after the deadline: the host waits 5 s for that */
    CANCEL_CLEAN_MS = 8000, /* the same after a cancel: the host waits 10 s */
    CANCEL_CALL_MS = 3000   /* for the answer to a call that was under way then */
};

void start_stop_timer(struct starting *starting)
{
    starting->docker->host->timer_cancel(starting->docker->public, starting->timer);
    starting->timer = 0;
}

static void stop_slow_timer(struct starting *starting)
{
    starting->docker->host->timer_cancel(starting->docker->public, starting->slow_timer);
    starting->slow_timer = 0;
}

/* ---- how it ends ---- */

void start_end(struct starting *starting, const struct sbx_error *err)
{
    struct docker *docker = starting->docker;
    struct starting **at = &docker->starts;
    while (*at != starting)
        at = &(*at)->next;
    *at = starting->next;
    stop_slow_timer(starting);
    operation_end(docker, starting->name);
    make_release_ports(starting);
    docker->host->complete(docker->public, starting->op, err);
    docker->host->json->free(starting->spec);
    explicit_bzero(starting->session_key, strlen(starting->session_key));
    free(starting->session_key);
    free(starting->owner);
    free(starting->spec_id);
    free(starting->built);
    free(starting);
}

/* The host asks for the removal, as soon as that is possible. */
static void end_in_doubt(struct starting *starting, const struct sbx_error *why)
{
    struct sbx_error *error = &starting->error;
    struct sbx_error first = *error;
    if (why)
        failure_set(error, SBX_ERR_UNAVAILABLE, first.code,
                    "%.220s; and what it left could not be removed yet: %.180s", first.message, why->message);
    else if (error->kind != SBX_ERR_TIMEOUT)
        error->kind = SBX_ERR_UNAVAILABLE;
    error->retryable = first.retryable;
    start_end(starting, error);
}

static void cleaned(void *arg, const struct sbx_error *err)
{
    struct starting *starting = arg;
    if (err)
        end_in_doubt(starting, err);
    else
        start_end(starting, &starting->error);
}

void start_fail(struct starting *starting, const struct sbx_error *err)
{
    struct docker *docker = starting->docker;
    stop_slow_timer(starting);
    if (err != &starting->error)
        starting->error = *err;
    if (refusal_is_unknown(err))
        watch_doubt(docker);
    if (starting->doubtful) {
        end_in_doubt(starting, NULL);
        return;
    }
    uint64_t now = docker->host->now_ms();
    uint64_t least = now + CLEAN_MS;
    if (starting->cancelled)
        starting->deadline_ms = now + CANCEL_CLEAN_MS;
    struct removal_order order = {.name = starting->name,
                                  .scope = starting->foreign ? REMOVAL_REST : REMOVAL_ALL,
                                  .deadline_ms =
                                      starting->deadline_ms > least ? starting->deadline_ms : least};
    removal_run(docker, &order, cleaned, starting);
}

bool start_given_up(struct starting *starting)
{
    if (!starting->cancelled)
        return false;
    failure_set(&starting->error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                "the start was given up before its container ran");
    start_fail(starting, &starting->error);
    return true;
}

/* ---- calls ---- */

static void answered(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    struct starting *starting = arg;
    starting->call = NULL;
    start_stop_timer(starting);
    starting->called(starting, error, status, body);
}

void start_call(struct starting *starting, const char *method, const char *path, const sbx_json *body,
                engine_done called)
{
    uint64_t now = starting->docker->host->now_ms();
    uint64_t left = starting->deadline_ms > now ? starting->deadline_ms - now : 0;
    if (left < LEAST_CALL_MS)
        left = LEAST_CALL_MS;
    struct engine_request request = {.method = method,
                                     .path = path,
                                     .body = body,
                                     .timeout_ms = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX,
                                     .cut_short = true};
    starting->called = called;
    starting->call = engine_call(&starting->docker->engine, &request, answered, starting);
}

/* ---- what an earlier start left behind ---- */

static void cleared(void *arg, const struct sbx_error *err)
{
    struct starting *starting = arg;
    starting->doubtful = err != NULL;
    if (start_given_up(starting))
        return;
    if (err)
        start_fail(starting, err);
    else
        make_go_on(starting);
}

void start_clear(struct starting *starting)
{
    struct removal_order order = {
        .name = starting->name, .scope = REMOVAL_CONTAINER, .deadline_ms = starting->deadline_ms};
    removal_run(starting->docker, &order, cleared, starting);
}

/* Nobody else knows when the host made its record, but a daemon on a copy of our state. */
static bool is_of_this_start(const struct starting *starting, const struct facts *facts)
{
    return !ours_is_of_another(starting->docker, facts->instance) && facts->backend &&
           strcmp(facts->backend, starting->docker->public->name) == 0 &&
           facts->created_at_us == starting->created_at_us;
}

static void take_over(struct starting *starting, const struct facts *facts)
{
    if (!is_of_this_start(starting, facts)) {
        starting->foreign = true;
        starting->doubtful = false;
        failure_set(&starting->error, SBX_ERR_CONFLICT, SBX_CODE_START_FAILED,
                    "its name is that of another container, %.64s, of backend '%.100s'", facts->id,
                    facts->backend ? facts->backend : "");
        start_fail(starting, &starting->error);
        return;
    }
    memcpy(starting->id, facts->id, sizeof starting->id);
    bool fresh = facts->state == CONTAINER_CREATED && *facts->error == '\0';
    starting->doubtful = false;
    starting->has_ports = false; /* it may have others, of a try that a crash cut off */
    if (facts->state == CONTAINER_RUNNING) {
        make_look(starting);
    } else if (fresh) {
        make_run(starting);
    } else {
        start_clear(starting);
    }
}

static void found(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    struct starting *starting = arg;
    struct facts facts;
    bool none = error && refusal_is_not_found(error);
    starting->doubtful = !none;
    if (start_given_up(starting))
        return;
    if (none) {
        make_go_on(starting);
    } else if (error) {
        start_fail(starting, error);
    } else if (facts_from_inspect(&facts, starting->docker->host->json, body, &starting->error) != 0) {
        start_fail(starting, &starting->error);
    } else {
        if (strcmp(facts.name, starting->name) == 0) {
            take_over(starting, &facts);
        } else { /* the engine takes the beginning of an id for a name too */
            starting->doubtful = false;
            make_go_on(starting);
        }
        facts_finish(&facts);
    }
}

void start_find(void *arg)
{
    struct starting *starting = arg;
    char path[SANDBOX_ID_MAX + 32];
    starting->timer = 0;
    starting->doubtful = true;
    snprintf(path, sizeof path, "/containers/%s/json", starting->name);
    start_call(starting, "GET", path, NULL, found);
}

/* ---- the operation ---- */

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

void start_begin(struct docker *docker, const struct sbx_start *start, sbx_op op)
{
    const struct sbx_json_api *json = docker->host->json;
    const char *why = NULL;
    sbx_json *spec = json->parse(start->spec_json, start->spec_len, &why);
    if (!spec) {
        struct sbx_error error;
        failure_set(&error, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "the spec makes no sense: %s", why);
        docker->host->complete(docker->public, op, &error);
        return;
    }
    struct starting *starting = calloc(1, sizeof *starting);
    if (!starting)
        abort();
    uint64_t now = docker->host->now_ms();
    starting->next = docker->starts;
    docker->starts = starting;
    starting->docker = docker;
    starting->op = op;
    snprintf(starting->name, sizeof starting->name, "%s", start->sandbox_id);
    starting->session_key = copy_text(start->session_key);
    starting->owner = copy_text(start->owner);
    starting->spec_id = copy_text(start->spec_id);
    starting->spec = spec;
    starting->image = json->string(json->get(spec, "id"), starting->spec_id);
    starting->created_at_us = start->created_at_us;
    starting->deadline_ms = start->deadline_ms;
    starting->span_ms = start->deadline_ms > now ? start->deadline_ms - now : LEAST_CALL_MS;
    starting->again = start->again != 0;
    starting->slow_timer =
        docker->host->timer_start(docker->public, SLOW_MS * UINT64_C(1000), make_is_slow, starting);
    operation_begin(docker, starting->name);
    if (starting->again)
        start_find(starting);
    else
        make_go_on(starting);
}

/* Its answer does not come any more: what was asked for may be done all the same. */
static void call_time_over(void *arg)
{
    struct starting *starting = arg;
    starting->timer = 0;
    engine_cancel(starting->call);
    starting->call = NULL;
    (void)start_given_up(starting);
}

void start_cancel(struct docker *docker, sbx_op op)
{
    struct starting *starting = docker->starts;
    while (starting && starting->op != op)
        starting = starting->next;
    if (!starting || starting->cancelled)
        return;
    bool waits = starting->timer != 0;
    starting->cancelled = true;
    start_stop_timer(starting);
    if (starting->call) { /* to know what was made is worth a moment */
        starting->timer = docker->host->timer_start(docker->public, CANCEL_CALL_MS * UINT64_C(1000),
                                                    call_time_over, starting);
    } else if (waits) {
        make_leave_image(starting);
        (void)start_given_up(starting);
    }
}
