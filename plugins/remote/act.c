/* act.c: pause and resume; see remote.h. Makes and removes nothing.
 *
 * A runtime_id that is known is used without asking. Where the API does not know it any more, the session says which
 * one it has now, once.
 */
#include "common/failure.h"
#include "refusal.h"
#include "remote.h"

#include <stdlib.h>
#include <string.h>

enum {
    ACT_MS = 50000,    /* the host gives it 60 s */
    SETTLE_MS = 20000, /* how long a pause that the API has accepted may take to be seen */
    SETTLE_POLL_MS = 250
};

struct acting {
    struct operation base;
    enum verb verb;
    bool looked;  /* the session was asked for its runtime_id */
    bool posted;  /* the API has accepted it, and is looked at until it is so */
    bool refused; /* it has not, as `error` says */
    bool unknown; /* nor does it know the runtime_id, as `error` says */
    uint64_t settle_by_ms;
    struct sbx_error error;
};

static void look(void *arg);

static const char *path_of(const struct acting *acting)
{
    return acting->verb == VERB_PAUSE ? "/pause" : "/resume";
}

static void end_not_found(struct acting *acting)
{
    failure_set(&acting->error, SBX_ERR_NOT_FOUND, "NOT_FOUND",
                "the runtime API does not know its runtime any more");
    operation_end(&acting->base, &acting->error);
}

/* ---- what the API says of it now ---- */

static bool is_done(const struct acting *acting, const struct runtime *runtime)
{
    bool runs = runtime->state == SBX_STATE_RUNNING || runtime->state == SBX_STATE_STARTING;
    return acting->verb == VERB_PAUSE ? !runs : runs;
}

static void end_done(struct acting *acting, const struct runtime *runtime)
{
    struct sandbox *sandbox = operation_sandbox(&acting->base);
    sandbox->starting_since_ms = 0; /* a resumed one begins anew */
    report_runtime(acting->base.remote, sandbox, runtime);
    operation_end(&acting->base, NULL);
}

/* After a resume all but "ready" means that it is on its way: what is said of its state may be from before. */
static bool is_resumed(const struct acting *acting, struct runtime *runtime)
{
    if (acting->verb == VERB_RESUME && !runtime->ready)
        runtime->state = SBX_STATE_STARTING;
    return is_done(acting, runtime);
}

static void end_unsettled(struct acting *acting)
{
    failure_set(&acting->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                "the runtime API has accepted POST %s, and its runtime is not paused yet", path_of(acting));
    acting->error.retryable = 1;
    operation_end(&acting->base, &acting->error);
}

static void settle(struct acting *acting)
{
    if (acting->base.remote->host->now_ms() < acting->settle_by_ms)
        operation_wait(&acting->base, SETTLE_POLL_MS, look);
    else
        end_unsettled(acting);
}

/* ---- asking for it ---- */

/* What went wrong when the session was asked for. A refusal of what was asked first is the reason. */
static void end_unlooked(struct acting *acting, const struct sbx_error *why)
{
    struct sbx_error both = *why;
    if (acting->unknown) /* but it is not known to be gone */
        failure_set(&both, (enum sbx_error_kind)why->kind, why->code, "%.220s; and then %.220s",
                    acting->error.message, why->message);
    both.retryable = why->retryable;
    operation_end(&acting->base, acting->refused ? &acting->error : &both);
}

static void on_posted(void *arg, const struct api_answer *answer)
{
    struct acting *acting = arg;
    struct remote *remote = acting->base.remote;
    struct runtime runtime;
    acting->base.call = NULL;
    if (refusal_is_missing(answer->error) && acting->looked) {
        end_not_found(acting);
    } else if (answer->error && !refusal_is_missing(answer->error) &&
               (answer->status == 0 || answer->may_pass)) {
        operation_end(&acting->base, answer->error);
    } else if (answer->error) { /* is it so already, or is its runtime another one now? */
        acting->unknown = refusal_is_missing(answer->error);
        acting->refused = !acting->unknown;
        acting->error = *answer->error;
        look(acting);
    } else {
        uint64_t end = remote->host->now_ms() + SETTLE_MS;
        acting->posted = true;
        acting->settle_by_ms = end < acting->base.deadline_ms ? end : acting->base.deadline_ms;
        if (runtime_read(&runtime, remote->host->json, answer->body, acting->base.id, &acting->error) == 0 &&
            is_resumed(acting, &runtime) && runtime.url)
            end_done(acting, &runtime);
        else
            look(acting);
    }
}

static void on_look(void *arg, const struct api_answer *answer)
{
    struct acting *acting = arg;
    struct runtime runtime;
    struct sbx_error error;
    acting->base.call = NULL;
    if (refusal_is_missing(answer->error)) {
        end_not_found(acting);
    } else if (answer->error) {
        end_unlooked(acting, answer->error);
    } else if (runtime_read(&runtime, acting->base.remote->host->json, answer->body, acting->base.id,
                            &error) != 0) {
        end_unlooked(acting, &error);
    } else if (acting->posted ? is_resumed(acting, &runtime) : acting->refused && is_done(acting, &runtime)) {
        end_done(acting, &runtime);
    } else if (acting->posted) {
        settle(acting);
    } else if (acting->refused) {
        operation_end(&acting->base, &acting->error);
    } else {
        acting->looked = true;
        acting->unknown = false;
        operation_post(&acting->base, path_of(acting), runtime.runtime_id, on_posted);
    }
}

static void look(void *arg)
{
    struct acting *acting = arg;
    operation_look(&acting->base, on_look);
}

void act_begin(struct remote *remote, enum verb verb, const char *sandbox_id, sbx_op op)
{
    struct acting *acting =
        operation_new(remote, sizeof *acting, op, sandbox_id, remote->host->now_ms() + ACT_MS);
    const struct sandbox *sandbox = operation_sandbox(&acting->base);
    acting->verb = verb;
    if (sandbox->runtime_id)
        operation_post(&acting->base, path_of(acting), sandbox->runtime_id, on_posted);
    else
        look(acting);
}
