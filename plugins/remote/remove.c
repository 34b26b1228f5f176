/* remove.c: a sandbox's end; see remote.h. Its runtime is stopped, then asked for until it is known to be gone (404, or
 * stopped), and the record in the store goes last: cut off anywhere, by a crash too, the whole is done again by the
 * host.
 */
#include "common/failure.h"
#include "refusal.h"
#include "remote.h"

#include <stdlib.h>
#include <string.h>

enum {
    REMOVE_MS = 100000, /* the host gives it 120 s */
    SETTLE_MS = 1000,   /* a start that was cut off has come to its end at the far side by then */
    LOOK_MS = 100,      /* after a stop, and then ever later */
    LOOK_MAX_MS = 5000
};

struct removing {
    struct operation base;
    bool settled;      /* it was looked for twice, or is known to have been there */
    char *stopped;     /* the runtime_id that was told to stop */
    uint64_t delay_ms; /* to the next look */
};

static void look(void *arg);

static void finish(struct operation *operation)
{
    free(((struct removing *)operation)->stopped);
}

/* ---- gone ---- */

static void on_forgotten(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    (void)value;
    (void)len;
    struct removing *removing = arg;
    struct sandbox *sandbox = operation_sandbox(&removing->base);
    if (!error) { /* the end of the operation takes it out of the table */
        sandbox->recorded = false;
        free(sandbox->runtime_id);
        sandbox->runtime_id = NULL;
    }
    if (!operation_stored(&removing->base))
        operation_end(&removing->base, error);
}

/* The far side, or who is on the way there, may still be at a start whose answer was not waited for. */
static bool may_come(const struct removing *removing)
{
    const struct remote *remote = removing->base.remote;
    uint64_t cut_ms = operation_sandbox(&removing->base)->cut_ms;
    return cut_ms != 0 && remote->host->now_ms() < cut_ms + 3 * remote->options.timeout_ms;
}

static void gone(struct removing *removing)
{
    struct remote *remote = removing->base.remote;
    char key[SANDBOX_ID_SIZE + 16];
    if (may_come(removing)) {
        struct sbx_error error;
        failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the runtime API may still be at its start, and is asked for it again");
        error.retryable = 1;
        operation_end(&removing->base, &error);
        return;
    }
    record_key(key, sizeof key, removing->base.id);
    removing->base.storing = true;
    remote->host->store_delete(remote->public, key, on_forgotten, removing);
}

/* Nobody has ever seen it: a start without an answer may still be on its way at the far side. */
static void missing(struct removing *removing)
{
    if (removing->settled) {
        gone(removing);
        return;
    }
    removing->settled = true;
    operation_wait(&removing->base, SETTLE_MS, look);
}

/* ---- stopping ---- */

static void wait_for_end(struct removing *removing)
{
    struct sbx_error error;
    uint64_t now = removing->base.remote->host->now_ms();
    removing->delay_ms = removing->delay_ms == 0 ? LOOK_MS : removing->delay_ms * 2;
    if (removing->delay_ms > LOOK_MAX_MS)
        removing->delay_ms = LOOK_MAX_MS;
    if (now + removing->delay_ms < removing->base.deadline_ms) {
        operation_wait(&removing->base, removing->delay_ms, look);
        return;
    }
    failure_set(&error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                "the runtime API was told to stop its runtime, and still has it");
    error.retryable = 1;
    operation_end(&removing->base, &error);
}

static void on_stopped(void *arg, const struct api_answer *answer)
{
    struct removing *removing = arg;
    removing->base.call = NULL;
    if (answer->error && !refusal_is_missing(answer->error))
        operation_end(&removing->base, answer->error);
    else
        look(removing);
}

static void stop(struct removing *removing, const char *runtime_id)
{
    removing->settled = true;
    free(removing->stopped);
    if (!(removing->stopped = strdup(runtime_id)))
        abort();
    operation_post(&removing->base, "/stop", runtime_id, on_stopped);
}

/* ---- looking ---- */

static void on_look(void *arg, const struct api_answer *answer)
{
    struct removing *removing = arg;
    struct runtime runtime;
    struct sbx_error error;
    const struct sbx_json_api *json = removing->base.remote->host->json;
    removing->base.call = NULL;
    if (refusal_is_missing(answer->error))
        missing(removing);
    else if (answer->error)
        operation_end(&removing->base, answer->error);
    else if (runtime_read(&runtime, json, answer->body, removing->base.id, &error) != 0)
        operation_end(&removing->base, &error);
    else if (runtime.stopped)
        gone(removing);
    else if (!removing->stopped || strcmp(removing->stopped, runtime.runtime_id) != 0)
        stop(removing, runtime.runtime_id);
    else
        wait_for_end(removing);
}

static void look(void *arg)
{
    struct removing *removing = arg;
    operation_look(&removing->base, on_look);
}

void remove_begin(struct remote *remote, const char *sandbox_id, sbx_op op)
{
    struct removing *removing =
        operation_new(remote, sizeof *removing, op, sandbox_id, remote->host->now_ms() + REMOVE_MS);
    const struct sandbox *sandbox = operation_sandbox(&removing->base);
    removing->base.finish = finish;
    if (sandbox->runtime_id)
        stop(removing, sandbox->runtime_id);
    else
        look(removing);
}
