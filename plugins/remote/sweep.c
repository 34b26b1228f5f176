/* sweep.c: asks about many sandboxes in few requests (remote.h): GET /sessions/batch?ids=A&ids=B, as many ids at once as
 * a request line and a sandboxd take. Where that is too much for an API, or a proxy before it, half of them are asked for
 * at once, and no more from then on. What is answered is reported; what has changed since it was asked, by an operation
 * of ours, is left alone. An API that has no such call, as the first ones, is asked about each by itself from then on
 * (each.c). Decides neither when to ask nor what a failure means.
 */
#include "common/failure.h"
#include "remote.h"

#include "common/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
    TARGET_MAX = 23 * 1024, /* below api_url, which has at most 1 KiB: a sandboxd takes 24 KiB */
    IDS_MAX = 500,          /* and so many ids */
    IDS_LEAST = 16,         /* fewer are never too many */
    BODY_BASE = 1024 * 1024,
    BODY_EACH = 64 * 1024, /* a runtime that has failed comes with its log */
    BODY_MAX = 64 * 1024 * 1024
};

#define PATH "/sessions/batch"
#define PROBE "none" /* no id of ours has so few characters */

struct batch {
    struct sweep *sweep;
    struct api_call *call; /* NULL: answered */
    size_t first, count;
};

struct sweep {
    struct sweep *next; /* remote->sweeps */
    struct remote *remote;
    uint64_t turn; /* remote->turn when it was asked */
    char (*ids)[SANDBOX_ID_SIZE];
    size_t count;
    struct batch *batches; /* with room for all that they may be divided into */
    size_t batches_len, pending;
    struct each *each;        /* under way, or NULL */
    struct sbx_error no_such; /* how the batch was refused, before they were asked about one by one */
    uint64_t deadline_ms;
    bool failed;
    struct sbx_error error;
    void (*done)(void *arg, const struct sbx_error *error);
    void *arg;
};

static void drop_calls(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->batches_len; i++) {
        api_cancel(sweep->batches[i].call);
        sweep->batches[i].call = NULL;
    }
    sweep->pending = 0;
}

static void end(struct sweep *sweep);

static void destroy(struct sweep *sweep)
{
    struct sweep **at = &sweep->remote->sweeps;
    while (*at != sweep)
        at = &(*at)->next;
    *at = sweep->next;
    drop_calls(sweep);
    each_cancel(sweep->each);
    free(sweep->batches);
    free(sweep->ids);
    free(sweep);
}

void sweep_cancel(struct sweep *sweep)
{
    if (sweep)
        destroy(sweep);
}

/* ---- answers ---- */

/* NULL: it is not there any more, or an operation of ours has reported it, or will. */
static struct sandbox *find(const struct sweep *sweep, const char *id)
{
    struct sandbox *sandbox = table_find(sweep->remote, id);
    return sandbox && sandbox->busy == 0 && sandbox->touched <= sweep->turn ? sandbox : NULL;
}

static void take(struct sweep *sweep, const char *id, const sbx_json *value)
{
    struct remote *remote = sweep->remote;
    struct sandbox *sandbox = find(sweep, id);
    if (!sandbox)
        return;
    struct runtime runtime;
    struct sbx_error error;
    if (!value || remote->host->json->type(value) == SBX_JSON_NULL) {
        /* Of one that was never seen nothing is said: its start may be under way in another instance, and a listing
         * leaves it out anyway. */
        if (sandbox->runtime_id)
            report_gone(remote, sandbox);
    } else if (runtime_read(&runtime, remote->host->json, value, id, &error) != 0) {
        report_nonsense(remote, sandbox, &error);
    } else {
        report_runtime(remote, sandbox, &runtime);
    }
}

static void fail(struct sweep *sweep, const struct sbx_error *error)
{
    if (!sweep->failed)
        sweep->error = *error;
    sweep->failed = true;
}

/* Answers come in the order of the ids; one that says otherwise would be taken for another sandbox's. */
static bool is_for(const struct sbx_json_api *json, const sbx_json *value, const char *id)
{
    const char *session = json->string(json->get(value, "session_id"), id);
    return strcmp(session, id) == 0;
}

static void take_all(struct batch *batch, const sbx_json *body)
{
    struct sweep *sweep = batch->sweep;
    const struct sbx_json_api *json = sweep->remote->host->json;
    struct sbx_error error;
    bool right = json->type(body) == SBX_JSON_ARRAY && json->length(body) == batch->count;
    for (size_t i = 0; right && i < batch->count; i++)
        right = is_for(json, json->at(body, i), sweep->ids[batch->first + i]);
    if (!right) {
        failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the runtime API's answer to GET " PATH
                    " makes no sense: it is no list of the %zu sessions that "
                    "were asked for, in their order",
                    batch->count);
        fail(sweep, &error);
        return;
    }
    for (size_t i = 0; i < batch->count; i++)
        take(sweep, sweep->ids[batch->first + i], json->at(body, i));
}

static void ask(struct batch *batch);

/* 414 and 431 are what servers say to a request line that is too long for them, 400 a sandboxd to too many ids. */
static bool is_too_much(const struct api_answer *answer)
{
    return answer->error && (answer->status == 400 || answer->status == 414 || answer->status == 431);
}

static void halve(struct batch *batch)
{
    struct sweep *sweep = batch->sweep;
    struct batch *rest = &sweep->batches[sweep->batches_len++];
    size_t half = (batch->count + 1) / 2;
    *rest = (struct batch){.sweep = sweep, .first = batch->first + half, .count = batch->count - half};
    batch->count = half;
    sweep->pending += 2;
    ask(batch);
    ask(rest);
}

/* ---- an API without such a call ---- */

static void take_one(void *arg, const char *id, const sbx_json *value)
{
    struct sweep *sweep = arg;
    take(sweep, id, value);
}

/* Nothing proves that it is a runtime API. */
static void no_api(struct sweep *sweep)
{
    struct sbx_error error;
    failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                "there is no runtime API at its api_url (a sandboxd has it below /runtime-api)%s%s",
                *sweep->no_such.message ? ": " : "", sweep->no_such.message);
    fail(sweep, &error);
}

static void one_by_one_done(void *arg, const struct sbx_error *error, bool proven)
{
    struct sweep *sweep = arg;
    struct remote *remote = sweep->remote;
    sweep->each = NULL;
    if (error)
        fail(sweep, error);
    else if (!proven)
        no_api(sweep);
    else if (!remote->one_by_one)
        remote->host->log(remote->public, SBX_LOG_INFO, NULL,
                          "the runtime API has no GET " PATH ": each sandbox is asked about by itself, "
                          "%zu at once",
                          each_at_once(remote));
    remote->one_by_one = remote->one_by_one || proven;
    end(sweep);
}

static void ask_one_by_one(struct sweep *sweep)
{
    const struct each_asker asker = {.take = take_one, .done = one_by_one_done, .arg = sweep};
    sweep->each = each_begin(sweep->remote, sweep->ids, sweep->count, &asker);
}

/* ---- an answer ---- */

/* Of one alone. False: that is nobody. */
static bool take_too_large(const struct batch *batch, const struct sbx_error *error)
{
    const struct sweep *sweep = batch->sweep;
    const char *id = sweep->ids[batch->first];
    struct sandbox *sandbox = find(sweep, id);
    if (sandbox)
        report_nonsense(sweep->remote, sandbox, error);
    return table_find(sweep->remote, id) != NULL;
}

static void answered(void *arg, const struct api_answer *answer)
{
    struct batch *batch = arg;
    struct sweep *sweep = batch->sweep;
    batch->call = NULL;
    sweep->pending--;
    if (answer->error && (answer->status == 404 || answer->status == 405)) {
        sweep->no_such = *answer->error;
        drop_calls(sweep);
        ask_one_by_one(sweep);
        return;
    }
    if (is_too_much(answer) && batch->count > IDS_LEAST) {
        halve(batch);
        if (batch->count < sweep->remote->ids_at_once)
            sweep->remote->ids_at_once = batch->count;
        return;
    }
    if (answer->too_large && batch->count > 1) { /* the trouble of one, as is to be found out: of its log */
        halve(batch);
        return;
    }
    if (answer->error && answer->retry_after_ms > 0)
        poll_hold_off(sweep->remote, answer->error, answer->retry_after_ms);
    if (is_too_much(answer)) /* but it is not their number, and the others will fare no better */
        drop_calls(sweep);
    if (answer->error) {
        if (!answer->too_large || !take_too_large(batch, answer->error))
            fail(sweep, answer->error);
    } else {
        take_all(batch, answer->body);
    }
    if (sweep->pending == 0)
        end(sweep);
}

static void end(struct sweep *sweep)
{
    void (*done)(void *, const struct sbx_error *) = sweep->done;
    void *its = sweep->arg;
    struct sbx_error error = sweep->error;
    bool failed = sweep->failed;
    destroy(sweep);
    done(its, failed ? &error : NULL);
}

/* ---- asking ---- */

static bool is_wanted(const struct sandbox *sandbox, enum sweep_scope scope)
{
    return scope == SWEEP_ALL ||
           (scope == SWEEP_STARTING && sandbox->state == SBX_STATE_STARTING && sandbox->busy == 0);
}

static void gather(struct sweep *sweep, enum sweep_scope scope)
{
    const struct sandbox *sandbox = NULL;
    if (!(sweep->ids = calloc(sweep->remote->table.count + 1, sizeof *sweep->ids)))
        abort();
    while ((sandbox = table_next(sweep->remote, sandbox)))
        if (is_wanted(sandbox, scope))
            memcpy(sweep->ids[sweep->count++], sandbox->id, SANDBOX_ID_SIZE);
    if (scope == SWEEP_PROBE)
        memcpy(sweep->ids[sweep->count++], PROBE, sizeof PROBE);
}

/* Each id costs "?ids=" or "&ids=" and itself: its characters need no encoding. */
static void divide(struct sweep *sweep)
{
    struct remote *remote = sweep->remote;
    if (remote->ids_at_once == 0)
        remote->ids_at_once = IDS_MAX;
    if (!(sweep->batches = calloc(sweep->count, sizeof *sweep->batches)))
        abort();
    size_t len = TARGET_MAX;
    for (size_t i = 0; i < sweep->count; i++) {
        size_t cost = strlen(sweep->ids[i]) + strlen("&ids=");
        if (len + cost > TARGET_MAX || sweep->batches[sweep->batches_len - 1].count == remote->ids_at_once) {
            sweep->batches[sweep->batches_len++] = (struct batch){.sweep = sweep, .first = i};
            len = sizeof PATH;
        }
        len += cost;
        sweep->batches[sweep->batches_len - 1].count++;
    }
}

static void ask(struct batch *batch)
{
    struct sweep *sweep = batch->sweep;
    struct bytes path = {.max = TARGET_MAX + 1};
    bytes_add_text(&path, PATH);
    for (size_t i = 0; i < batch->count; i++) {
        bytes_add_text(&path, i == 0 ? "?ids=" : "&ids=");
        bytes_add_text(&path, sweep->ids[batch->first + i]);
    }
    bytes_add(&path, "", 1);
    uint64_t max_body = BODY_BASE + (uint64_t)BODY_EACH * batch->count;
    const struct api_request request = {.method = "GET",
                                        .path = path.data,
                                        .deadline_ms = sweep->deadline_ms,
                                        .max_body = max_body < BODY_MAX ? (uint32_t)max_body : BODY_MAX,
                                        .once = true,
                                        .urgent = true};
    batch->call = api_call(&sweep->remote->api, &request, answered, batch);
    bytes_finish(&path);
}

uint64_t sweep_time_ms(const struct remote *remote)
{
    return 4 * remote->options.timeout_ms;
}

struct sweep *sweep_begin(struct remote *remote, enum sweep_scope scope, uint64_t deadline_ms,
                          void (*done)(void *arg, const struct sbx_error *error), void *arg)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        abort();
    *sweep = (struct sweep){.next = remote->sweeps,
                            .remote = remote,
                            .turn = remote->turn,
                            .deadline_ms = deadline_ms,
                            .done = done,
                            .arg = arg};
    remote->sweeps = sweep;
    gather(sweep, scope);
    if (sweep->count == 0) {
        destroy(sweep);
        return NULL;
    }
    if (remote->one_by_one) {
        ask_one_by_one(sweep);
        return sweep;
    }
    divide(sweep);
    sweep->pending = sweep->batches_len;
    for (size_t i = 0; i < sweep->batches_len; i++)
        ask(&sweep->batches[i]);
    return sweep;
}
