/* start.c: a sandbox's start; see remote.h. Writes its record, then asks for its runtime.
 *
 * The record is in the store before anything is asked for, so that whatever happens next there is somebody who knows
 * which runtime may be there. Whether a request that was cut or refused oddly has made one is found out by asking for the
 * session: the sandbox's id is its session_id, and the API makes no second runtime for a session that has one. So
 * asking again is safe too.
 */
#include "common/failure.h"
#include "refusal.h"
#include "remote.h"

#include <stdlib.h>
#include <string.h>

struct starting {
    struct operation base;
    char *body;   /* of the request; holds the environment */
    bool unclear; /* a request of this operation, or of one before a crash, may have made it */
    bool refused; /* the API said no, in `error` */
    bool cut;     /* one of its requests was left without an answer of the API's, which may be at it still */
    unsigned attempts;
    uint64_t retry_after_ms;
    struct sbx_error error; /* the last */
};

static void ask(void *arg);

static void finish(struct operation *operation)
{
    struct starting *starting = (struct starting *)operation;
    explicit_bzero(starting->body, strlen(starting->body));
    free(starting->body);
}

/* ---- how it ends ---- */

/* Nothing was made: the record goes, too. */
static void on_undone(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    (void)value;
    (void)len;
    struct starting *starting = arg;
    if (operation_stored(&starting->base))
        return;
    struct sandbox *sandbox = operation_sandbox(&starting->base);
    if (error) {
        failure_set(&starting->error, SBX_ERR_UNAVAILABLE, error->code,
                    "its record could not be deleted: %.300s",
                    error->message); /* so that the host has it removed */
    } else {
        sandbox->recorded = false;
    }
    operation_end(&starting->base, &starting->error);
}

static void end_undone(struct starting *starting)
{
    struct remote *remote = starting->base.remote;
    char key[SANDBOX_ID_SIZE + 16];
    record_key(key, sizeof key, starting->base.id);
    starting->base.storing = true;
    remote->host->store_delete(remote->public, key, on_undone, starting);
}

/* It may be there or not: the host has it removed. */
static void end_unclear(struct starting *starting, const struct sbx_error *why)
{
    struct sbx_error error;
    enum sbx_error_kind kind = why->kind == SBX_ERR_TIMEOUT ? SBX_ERR_TIMEOUT : SBX_ERR_UNAVAILABLE;
    failure_set(&error, kind, why->code, "%.300s; whether it was started is not known, and it is removed",
                why->message);
    error.retryable = 1;
    operation_end(&starting->base, &error);
}

/* Its own answer says too little of its state: all but "ready" means that it is on its way. */
static void end_started(struct starting *starting, struct runtime *runtime, bool fresh)
{
    struct sandbox *sandbox = operation_sandbox(&starting->base);
    if (fresh && !runtime->ready)
        runtime->state = SBX_STATE_STARTING;
    sandbox->starting_since_ms = 0;
    report_runtime(starting->base.remote, sandbox, runtime);
    operation_end(&starting->base, NULL);
}

/* ---- is it there? ---- */

static bool has_time(const struct starting *starting, uint64_t delay_ms)
{
    return starting->base.remote->host->now_ms() + delay_ms < starting->base.deadline_ms;
}

/* It is not: once more, or that was it. */
static void not_there(struct starting *starting)
{
    if (starting->refused && starting->cut)
        end_unclear(starting, &starting->error);
    else if (starting->refused)
        end_undone(starting);
    else if (has_time(starting, 0))
        ask(starting);
    else
        end_unclear(starting, &starting->error);
}

/* What went wrong when the session was asked for. Where its start was asked for first, that failure is the reason. */
static void look_failed(struct starting *starting, const struct sbx_error *why)
{
    end_unclear(starting, starting->attempts > 0 ? &starting->error : why);
}

static void on_look(void *arg, const struct api_answer *answer)
{
    struct starting *starting = arg;
    struct runtime runtime;
    struct sbx_error error;
    const struct sbx_json_api *json = starting->base.remote->host->json;
    starting->base.call = NULL;
    if (refusal_is_missing(answer->error))
        not_there(starting);
    else if (answer->error)
        look_failed(starting, answer->error);
    else if (runtime_read(&runtime, json, answer->body, starting->base.id, &error) != 0)
        look_failed(starting, &error);
    else if (runtime.stopped)
        not_there(starting);
    else
        end_started(starting, &runtime, false);
}

static void look(void *arg)
{
    struct starting *starting = arg;
    operation_look(&starting->base, on_look);
}

/* ---- asking for it ---- */

static void look_later(struct starting *starting)
{
    uint64_t delay =
        api_backoff_ms(&starting->base.remote->api, starting->attempts, starting->retry_after_ms);
    if (has_time(starting, delay))
        operation_wait(&starting->base, delay, look);
    else
        end_unclear(starting, &starting->error);
}

/* A refusal proves that nothing was made only where nothing was asked for before, and where the API says that the
 * request was wrong: a 500 may come from the middle of the making. */
static void on_failure(struct starting *starting, const struct api_answer *answer)
{
    if (!answer->cut_short || starting->attempts == 1)
        starting->error = *answer->error;
    starting->retry_after_ms = answer->retry_after_ms;
    starting->refused = !answer->may_pass;
    if (starting->refused && !starting->unclear && answer->status >= 400 && answer->status < 500) {
        end_undone(starting);
        return;
    }
    starting->unclear = true;
    look_later(starting);
}

static const char *wrong_start(const struct runtime *runtime)
{
    return runtime->url ? NULL : "it has no url";
}

static void note_answer(struct starting *starting, const struct api_answer *answer)
{
    bool by_gateway = answer->status == 502 || answer->status == 504;
    starting->cut |= answer->status == 0 || by_gateway;
    if (!starting->cut)
        operation_sandbox(&starting->base)->cut_ms = 0;
}

static void on_start(void *arg, const struct api_answer *answer)
{
    struct starting *starting = arg;
    struct runtime runtime;
    const struct sbx_json_api *json = starting->base.remote->host->json;
    starting->base.call = NULL;
    starting->attempts++;
    note_answer(starting, answer);
    if (answer->error) {
        on_failure(starting, answer);
        return;
    }
    const char *why = NULL;
    bool sane = runtime_read(&runtime, json, answer->body, starting->base.id, &starting->error) == 0;
    if (sane && (why = wrong_start(&runtime)))
        failure_set(&starting->error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the runtime API's answer to POST /start makes no sense: %s", why);
    if (sane && !why) {
        end_started(starting, &runtime, true);
        return;
    }
    starting->unclear = starting->refused = true;
    look_later(starting);
}

static void ask(void *arg)
{
    struct starting *starting = arg;
    const struct api_request request = {.method = "POST",
                                        .path = "/start",
                                        .body = starting->body,
                                        .deadline_ms = starting->base.deadline_ms,
                                        .once = true};
    operation_sandbox(&starting->base)->cut_ms =
        starting->base.remote->host->now_ms(); /* until it is answered */
    starting->base.call = api_call(&starting->base.remote->api, &request, on_start, starting);
}

/* ---- beginning ---- */

static void on_recorded(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    (void)value;
    (void)len;
    struct starting *starting = arg;
    struct remote *remote = starting->base.remote;
    struct sandbox *sandbox = operation_sandbox(&starting->base);
    sandbox->recorded = !error;
    sandbox->loaded = remote->loads;
    if (operation_stored(&starting->base))
        return;
    if (error)
        operation_end(&starting->base, error);
    else if (starting->unclear)
        look(starting);
    else
        ask(starting);
}

static char *copy_or_null(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

void start_begin(struct remote *remote, const struct sbx_start *start, sbx_op op)
{
    const struct sbx_host *host = remote->host;
    const struct sbx_json_api *json = host->json;
    struct sbx_error error;
    sbx_json *spec = json->parse(start->spec_json, start->spec_len, NULL);
    char *body = request_write(&remote->options, json, start->sandbox_id, spec, &error);
    if (!body) {
        json->free(spec);
        host->complete(remote->public, op, &error);
        return;
    }
    uint64_t end = host->now_ms() + remote->options.start_timeout_ms;
    struct starting *starting = operation_new(remote, sizeof *starting, op, start->sandbox_id,
                                              end < start->deadline_ms ? end : start->deadline_ms);
    struct sandbox *sandbox = operation_sandbox(&starting->base);
    starting->base.finish = finish;
    starting->body = body;
    starting->unclear = start->again != 0;
    failure_set(&starting->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                "there was no time to ask the runtime API");
    record_finish(&sandbox->record);
    sandbox->record =
        (struct record){.owner = copy_or_null(start->owner),
                        .spec_id = copy_or_null(start->spec_id),
                        .working_dir = copy_or_null(json->string(json->get(spec, "working_dir"), NULL)),
                        .created_at_us = start->created_at_us};
    json->free(spec);
    report_waiting(remote, sandbox, "the runtime API is asked for it");
    char key[SANDBOX_ID_SIZE + 16];
    char *text = record_write(&sandbox->record, json);
    record_key(key, sizeof key, start->sandbox_id);
    starting->base.storing = true;
    host->store_put(remote->public, key, text, strlen(text), on_recorded, starting);
    free(text);
}
