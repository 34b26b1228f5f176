/* sandbox/status.c: the status that follows from what is recorded, observed and in progress. The only
 * place that sets `status` and `holds_room`. */
#include "sandbox/internal.h"

#include <stdlib.h>
#include <string.h>

bool sandbox_is_beginning(const struct sandbox *sandbox)
{
    return sandbox->state != SBX_STATE_RUNNING &&
           (sandbox->phase == PHASE_RECORDING || sandbox->phase == PHASE_WAITING ||
            sandbox->phase == PHASE_STARTING || sandbox->phase == PHASE_RESUMING);
}

static enum sandbox_status status_while_running(const struct sandbox *sandbox)
{
    if (!sandbox->home->backend) /* nothing more is learned of it: it stays what it was */
        return sandbox->status == SANDBOX_RUNNING ? SANDBOX_RUNNING : SANDBOX_ERROR;
    if (!sandbox_health_path(sandbox) || health_good(&sandbox->health))
        return SANDBOX_RUNNING;
    bool is_resumed = sandbox->phase == PHASE_WAITING || sandbox->phase == PHASE_RESUMING;
    return health_bad(&sandbox->health) && !is_resumed ? SANDBOX_ERROR : SANDBOX_STARTING;
}

bool sandbox_is_silent(const struct sandbox *sandbox)
{
    return sandbox->state == 0 && (sandbox->begun || sandbox->wants & WANT_START);
}

/* Nothing was heard of it, and a listing will tell soon. */
static bool is_awaited(const struct sandbox *sandbox)
{
    const struct home *home = sandbox->home;
    if (home_usable(home, NULL) < 0)
        return false;
    return sandbox_is_silent(sandbox) && (home->listing || (!home->listed && home->list_failures == 0));
}

static enum sandbox_status derive(const struct sandbox *sandbox)
{
    if (sandbox->deleting)
        return SANDBOX_DELETING;
    if (sandbox_is_beginning(sandbox))
        return SANDBOX_STARTING;
    switch (sandbox->state) {
    case SBX_STATE_STARTING: return sandbox->health.timed_out ? SANDBOX_ERROR : SANDBOX_STARTING;
    case SBX_STATE_RUNNING: return status_while_running(sandbox);
    case SBX_STATE_PAUSED:
    case SBX_STATE_STOPPED: return SANDBOX_PAUSED;
    case SBX_STATE_ENDED:
    case SBX_STATE_FAILED: return SANDBOX_ERROR;
    case SBX_STATE_GONE: return SANDBOX_MISSING;
    default: break; /* nothing was heard of it yet */
    }
    return is_awaited(sandbox) ? SANDBOX_STARTING : SANDBOX_ERROR;
}

/* Every ERROR has a reason; where none was reported, it is that nothing was. */
static void explain_silence(struct sandbox *sandbox)
{
    struct sbx_error err;
    if (home_usable(sandbox->home, &err) == 0)
        error_set(&err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                  "backend '%s' has not reported it since the daemon started", sandbox->home->name);
    sandbox_set_failure(sandbox, &err, -1, NULL);
}

static bool holds_room(const struct sandbox *sandbox)
{
    if (sandbox->phase == PHASE_PAUSING || sandbox->status == SANDBOX_RUNNING)
        return true;
    return sandbox->status == SANDBOX_STARTING && sandbox->phase != PHASE_WAITING &&
           sandbox->phase != PHASE_RECORDING && !(sandbox->wants & WANT_START);
}

static void log_change(const struct sandbox *sandbox)
{
    if (sandbox->status == SANDBOX_ERROR && sandbox_is_silent(sandbox) && sandbox->home->backend)
        return; /* its backend's line counts them */
    if (sandbox->status == SANDBOX_ERROR)
        service_log(LOG_WARN, sandbox, "ERROR: %s", sandbox->failure->error.message);
    else if (sandbox->status != SANDBOX_DELETING)
        service_log(LOG_INFO, sandbox, "%s", sandbox_status_name(sandbox->status));
}

void sandbox_refresh(struct sandbox *sandbox)
{
    enum sandbox_status before = sandbox->status;
    sandbox->status = derive(sandbox);
    if (sandbox->status == SANDBOX_RUNNING && sandbox->failure)
        sandbox_set_failure(sandbox, NULL, -1, NULL);
    if (sandbox->status == SANDBOX_RUNNING && sandbox->phase == PHASE_WAITING) {
        /* Nothing has to make room. */
        sandbox->wants &= ~WANT_RESUME;
        quota_stop_waiting(sandbox);
    }
    if (sandbox->status == SANDBOX_ERROR && (!sandbox->failure || sandbox_is_silent(sandbox)))
        explain_silence(sandbox);
    free(sandbox->json);
    free(sandbox->runtime_json);
    sandbox->json = sandbox->runtime_json = NULL;
    sandbox->json_len = sandbox->runtime_json_len = 0;
    if (before != sandbox->status)
        log_change(sandbox);
    if ((before == SANDBOX_RUNNING) != (sandbox->status == SANDBOX_RUNNING))
        service_tell_running(sandbox->service);
    wait_check(sandbox);
    quota_set_holds(sandbox, holds_room(sandbox));
    if (sandbox->status == SANDBOX_RUNNING && sandbox->quota->waiting > 0)
        quota_make_room(sandbox->quota); /* it may be the one to give way */
}

void sandbox_set_detail(struct sandbox *sandbox, const char *detail)
{
    free(sandbox->detail);
    sandbox->detail = NULL;
    if (detail && *detail && !(sandbox->detail = strdup(detail)))
        abort();
}

void sandbox_set_pause_reason(struct sandbox *sandbox, const char *reason)
{
    free(sandbox->pause_reason);
    sandbox->pause_reason = NULL;
    if (reason && !(sandbox->pause_reason = strdup(reason)))
        abort();
}

void sandbox_set_failure(struct sandbox *sandbox, const struct sbx_error *error, int exit_code,
                         const char *log_tail)
{
    if (sandbox->failure)
        free(sandbox->failure->log_tail);
    if (!error) {
        free(sandbox->failure);
        sandbox->failure = NULL;
        return;
    }
    if (!sandbox->failure && !(sandbox->failure = malloc(sizeof *sandbox->failure)))
        abort();
    *sandbox->failure = (struct sandbox_failure){.error = *error, .exit_code = exit_code};
    if (!log_tail || !*log_tail)
        return;
    char *text = strdup(log_tail);
    if (!text)
        abort();
    size_t len = strlen(text);
    if (sandbox->home && sandbox->home->backend)
        len = backend_drop_health_checks(sandbox->home->backend, text, len);
    text[len] = '\0';
    if (len > 0)
        sandbox->failure->log_tail = text;
    else
        free(text);
}
