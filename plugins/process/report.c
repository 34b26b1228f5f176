/* report.c: what the host is told of a sandbox; see backend.h. Decides nothing. */
#include "backend.h"
#include "common/exec_failure.h"
#include "common/failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void fail_step(const struct wire_status *status, const char *program, struct sbx_error *err)
{
    char reason[128];
    const char *text = strerror_r(status->error, reason, sizeof reason);
    const char *what = "its supervisor could not prepare the start";
    switch (status->step) {
    case WIRE_STEP_EXEC:
        if (status->error == ENOENT || status->error == ENOTDIR)
            failure_set(err, SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND, "%s " EXEC_MISSING, program);
        else if (status->error == EACCES)
            failure_set(err, SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND, "%s may not be executed", program);
        else
            failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED, "%s can't be executed: %s", program,
                        text);
        return;
    case WIRE_STEP_CGROUP: what = "its processes could not be put under their limits"; break;
    case WIRE_STEP_FILES: what = "limits.files could not be set"; break;
    case WIRE_STEP_USER: what = "it could not become the user of run_as"; break;
    case WIRE_STEP_DIRECTORY: what = "its directory could not be entered"; break;
    default: break;
    }
    if (status->error != 0)
        failure_errno(err, status->error, "%s", what);
    else
        failure_set(err, SBX_ERR_REFUSED, SBX_CODE_START_FAILED, "it could not be started again");
}

void report_failure(const struct sandbox *sandbox, struct sbx_error *err)
{
    const struct wire_status *status = &sandbox->status;
    if (sandbox->foreign)
        failure_set(err, SBX_ERR_CONFLICT, OWNER_OTHER, "%s", sandbox->foreign);
    else if (status->phase == WIRE_FAILED)
        fail_step(status, sandbox->program ? sandbox->program : "its program", err);
    else
        failure_set(err, SBX_ERR_REFUSED, SBX_CODE_EXITED,
                    "its supervisor was killed, and what was left of it has been ended");
}

/* The error of an ended sandbox; NULL: the host's own words for an exit do. */
static const struct sbx_error *explain_end(const struct sandbox *sandbox, struct sbx_error *err)
{
    const struct wire_status *status = &sandbox->status;
    if (status->phase == WIRE_FAILED || (status->flags & WIRE_SUPERVISOR_LOST))
        report_failure(sandbox, err);
    else if (status->flags & WIRE_OUT_OF_MEMORY)
        failure_set(err, SBX_ERR_REFUSED, SBX_CODE_OUT_OF_MEMORY, "it was killed at its memory limit");
    else if (status->flags & WIRE_FOREIGN_PORT)
        failure_set(err, SBX_ERR_REFUSED, "PORT_TAKEN",
                    "another program took its port, %u, in each of %d attempts", sandbox->port,
                    PORT_ATTEMPTS);
    else
        return NULL;
    return err;
}

static enum sbx_state state_of(const struct sandbox *sandbox)
{
    const struct wire_status *status = &sandbox->status;
    bool exited = status->phase == WIRE_EXITED || status->phase == WIRE_FAILED;
    switch (sandbox->life) {
    case LIFE_RUNNING: return SBX_STATE_RUNNING;
    case LIFE_FROZEN: return SBX_STATE_PAUSED;
    case LIFE_ABSENT: return sandbox->request ? SBX_STATE_STARTING : SBX_STATE_GONE;
    case LIFE_UNKNOWN:
    case LIFE_LAUNCHING: return SBX_STATE_STARTING;
    default: break;
    }
    enum verb verb = sandbox->request ? sandbox->request->verb : VERB_NONE;
    if (sandbox_retries_port(sandbox) || (sandbox->busy && verb != VERB_REMOVE && verb != VERB_STOP))
        return SBX_STATE_STARTING;
    if (!exited)
        return SBX_STATE_RUNNING; /* it is being ended, and has not ended yet */
    if (sandbox->foreign)
        return SBX_STATE_FAILED;
    return status->flags & WIRE_STOPPED ? SBX_STATE_STOPPED : SBX_STATE_ENDED;
}

void report_state(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    if (backend->quiesced)
        return;
    sandbox->listed = backend->listings_begun;
    const struct wire_status *status = &sandbox->status;
    char address[64], detail[128] = "";
    struct sbx_error error;
    snprintf(address, sizeof address, "http://localhost:%u", sandbox->port);
    if (sandbox_retries_port(sandbox) || (sandbox->life == LIFE_LAUNCHING && sandbox->attempt > 0))
        snprintf(detail, sizeof detail, "another program took its port; it starts again on another one");
    if (sandbox->life == LIFE_FROZEN && (status->flags & WIRE_HALTED))
        snprintf(detail, sizeof detail, "a signal from outside stopped its program");
    struct sbx_url url = {.name = "AGENT_SERVER", .url = address, .port = sandbox->port};
    struct sbx_observation observation = {
        .size = sizeof observation,
        .state = state_of(sandbox),
        .sandbox_id = sandbox->id,
        .detail = *detail ? detail : NULL,
        .urls = &url,
        .urls_count = 1,
        .exit_code = -1,
        .incarnation = sandbox->incarnation,
        .owner = sandbox->owner,
        .spec_id = sandbox->spec_id,
        .session_key = sandbox->session_key,
        .created_at_us = sandbox->created_at_us,
    };
    if (observation.state == SBX_STATE_FAILED)
        observation.error = explain_end(sandbox, &error);
    if (observation.state == SBX_STATE_ENDED) {
        observation.exit_code = status->exit_signal != 0 ? 128 + status->exit_signal : status->exit_code;
        observation.error = explain_end(sandbox, &error);
        observation.log_tail = sandbox->tail;
    }
    backend->host->report(backend->public, &observation);
}
