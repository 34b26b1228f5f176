/* sandbox.c: the table of sandboxes, and the one place that decides what comes next for each; see backend.h.
 *
 * sandbox_step() looks at what is (`life`, found out by jobs and told by the supervisor) and at what is wanted
 * (`request`), and does one thing towards it; whatever happens then leads back to it. So an operation can
 * begin in any state, also in one that a crash left behind.
 */
#include "backend.h"
#include "common/failure.h"
#include "job.h"
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SILENT_MS = 1000 }; /* between two attempts to talk to a supervisor that does not answer */

/* ---- the table ------------------------------------------------------------------------------- */

static struct sandbox **bucket_of(struct process_backend *backend, const char *id)
{
    uint32_t hash = 2166136261u;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &backend->buckets[hash % SANDBOX_BUCKETS];
}

struct sandbox *sandbox_find(struct process_backend *backend, const char *id)
{
    struct sandbox *sandbox = *bucket_of(backend, id);
    while (sandbox && strcmp(sandbox->id, id) != 0)
        sandbox = sandbox->next;
    return sandbox;
}

struct sandbox *sandbox_add(struct process_backend *backend, const char *id)
{
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox || !(sandbox->id = strdup(id)))
        abort();
    struct sandbox **bucket = bucket_of(backend, id);
    sandbox->backend = backend;
    sandbox->link = -1;
    sandbox->next = *bucket;
    *bucket = sandbox;
    backend->count++;
    backend->unknown++;
    return sandbox;
}

void sandbox_keep_text(char **to, const char *text)
{
    if (text && *to && strcmp(*to, text) == 0)
        return;
    free(*to);
    *to = text ? strdup(text) : NULL;
    if (text && !*to)
        abort();
}

static void disarm(struct sandbox *sandbox)
{
    sandbox->backend->host->timer_cancel(sandbox->backend->public, sandbox->guard);
    sandbox->guard = 0;
}

void sandbox_destroy(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    struct sandbox **at = bucket_of(backend, sandbox->id);
    while (*at != sandbox)
        at = &(*at)->next;
    *at = sandbox->next;
    sandbox_set_life(sandbox, LIFE_ABSENT); /* no longer counted as unknown */
    backend->count--;
    disarm(sandbox);
    link_close(sandbox);
    if (sandbox->session_key)
        explicit_bzero(sandbox->session_key, strlen(sandbox->session_key));
    free(sandbox->session_key);
    free(sandbox->owner);
    free(sandbox->spec_id);
    free(sandbox->tail);
    free(sandbox->program);
    free(sandbox->foreign);
    free(sandbox->id);
    free(sandbox);
}

void sandbox_set_life(struct sandbox *sandbox, enum life life)
{
    struct process_backend *backend = sandbox->backend;
    if (sandbox->life == life)
        return;
    if (sandbox->life == LIFE_UNKNOWN)
        backend->unknown--;
    if (life == LIFE_UNKNOWN)
        backend->unknown++;
    else
        sandbox->lookups = 0;
    sandbox->life = life;
    disarm(sandbox);
}

/* ---- the guard ------------------------------------------------------------------------------- */

static void guard_fired(void *arg)
{
    struct sandbox *sandbox = arg;
    struct process_backend *backend = sandbox->backend;
    sandbox->guard = 0;
    if (sandbox->life == LIFE_LAUNCHING || sandbox->life == LIFE_ENDING) {
        backend->host->log(backend->public, SBX_LOG_WARN, sandbox->id,
                           "its supervisor is stuck and is killed");
        link_kill(sandbox);
        return; /* the connection ends */
    }
    if (sandbox->life == LIFE_UNKNOWN && sandbox->link >= 0) {
        backend->host->log(backend->public, SBX_LOG_WARN, sandbox->id, "its supervisor does not answer");
        enum verb verb = sandbox->request ? sandbox->request->verb : VERB_NONE;
        if (verb == VERB_REMOVE || verb == VERB_STOP)
            link_kill(sandbox);
        link_close(sandbox);
        sandbox_arm(sandbox, SILENT_MS);
    }
    sandbox_step(sandbox);
}

void sandbox_arm(struct sandbox *sandbox, uint64_t delay_ms)
{
    disarm(sandbox);
    sandbox->guard =
        sandbox->backend->host->timer_start(sandbox->backend->public, delay_ms * 1000, guard_fired, sandbox);
}

/* ---- small questions ------------------------------------------------------------------------- */

bool sandbox_retries_port(const struct sandbox *sandbox)
{
    return (sandbox->life == LIFE_ENDING || sandbox->life == LIFE_DEAD) &&
           (sandbox->status.flags & (WIRE_FOREIGN_PORT | WIRE_STOPPED)) == WIRE_FOREIGN_PORT &&
           sandbox->attempt + 1 < PORT_ATTEMPTS;
}

static bool has_exited(const struct sandbox *sandbox)
{
    return sandbox->status.phase == WIRE_EXITED || sandbox->status.phase == WIRE_FAILED;
}

/* Is the end something that the host wants to hear of, and not a step of an operation? */
static bool end_matters(const struct sandbox *sandbox)
{
    const struct request *request = sandbox->request;
    if (sandbox->end_reported || !has_exited(sandbox) || sandbox_retries_port(sandbox))
        return false;
    if (!request)
        return !sandbox->backend->quiesced;
    bool starts = request->verb == VERB_START || request->verb == VERB_RESUME;
    return request->verb != VERB_REMOVE && (!starts || request->launched || request->failed) &&
           !(request->verb == VERB_START && (request->failed || sandbox->status.phase == WIRE_FAILED));
}

static void end(struct sandbox *sandbox, uint64_t timeout_ms, uint32_t flags)
{
    struct request *request = sandbox->request;
    if (request && request->end_sent && timeout_ms > 0)
        return;
    if (request)
        request->end_sent = true;
    if (link_send(sandbox, WIRE_END, timeout_ms, flags) == 0)
        return; /* the connection is about to end by itself */
    sandbox_set_life(sandbox, LIFE_ENDING);
    sandbox_arm(sandbox, timeout_ms + GUARD_MS);
}

void sandbox_complete(struct sandbox *sandbox, const struct sbx_error *error)
{
    struct process_backend *backend = sandbox->backend;
    struct request *request = sandbox->request;
    sandbox->request = NULL;
    if (request->record)
        backend->host->json->free(request->record);
    backend->host->complete(backend->public, request->op, error);
    free(request);
}

static void fail(struct sandbox *sandbox, enum sbx_error_kind kind, const char *code, const char *text)
{
    struct sbx_error error;
    failure_set(&error, kind, code, "%s", text);
    sandbox_complete(sandbox, &error);
}

/* ---- one step of each operation: true when there is more to do at once ----------------------- */

/* A run has ended that this operation began. */
static bool after_launch(struct sandbox *sandbox)
{
    struct request *request = sandbox->request;
    if (sandbox_retries_port(sandbox)) {
        report_state(sandbox);
        launch_begin(sandbox, true);
        return false;
    }
    if (sandbox->status.phase == WIRE_EXITED && !(sandbox->status.flags & WIRE_SUPERVISOR_LOST)) {
        if (!sandbox->syncing)
            sandbox_complete(sandbox, NULL); /* it did start; how it ended was reported */
        return false;
    }
    report_failure(sandbox, &request->failure);
    request->failed = true;
    return true;
}

/* Once more, since the other one may have gone; then the operation fails. */
static bool fail_foreign(struct sandbox *sandbox)
{
    struct sbx_error error;
    if (!sandbox->request->looked_again) {
        sandbox->request->looked_again = true;
        sandbox_set_life(sandbox, LIFE_UNKNOWN);
        return true;
    }
    report_failure(sandbox, &error);
    sandbox_complete(sandbox, &error);
    return true;
}

static bool step_start(struct sandbox *sandbox)
{
    struct request *request = sandbox->request;
    const struct sbx_host *host = sandbox->backend->host;
    switch (sandbox->life) {
    case LIFE_RUNNING:
    case LIFE_FROZEN: {
        const char *key = host->json->string(host->json->get(request->record, "session_key"), NULL);
        if (!request->launched && (!key || !sandbox->session_key || strcmp(key, sandbox->session_key) != 0)) {
            end(sandbox, 0, 0); /* not what was cut off: its place is taken */
        } else if (!sandbox->syncing) {
            report_state(sandbox);
            sandbox_complete(sandbox, NULL);
        }
        return false;
    }
    case LIFE_ENDING:
        if (!request->launched)
            end(sandbox, 0, 0);
        else if (sandbox->status.phase == WIRE_EXITED && sandbox->end_reported && !sandbox->syncing)
            sandbox_complete(sandbox, NULL);
        return false;
    case LIFE_DEAD:
        if (request->launched && !request->failed)
            return after_launch(sandbox);
        if (sandbox->foreign && !request->failed)
            return fail_foreign(sandbox);
        remove_begin(sandbox);
        return false;
    default: break;
    }
    if (request->failed) {
        sandbox_complete(sandbox, &request->failure);
    } else if (request->cancelled) {
        fail(sandbox, SBX_ERR_CANCELLED, SBX_CODE_START_FAILED, "the start was cancelled");
    } else if (host->now_ms() >= request->deadline_ms) {
        fail(sandbox, SBX_ERR_TIMEOUT, SBX_CODE_START_FAILED, "the start was not done in time");
    } else {
        launch_begin(sandbox, false);
        return false;
    }
    return true;
}

static bool step_resume(struct sandbox *sandbox)
{
    struct request *request = sandbox->request;
    switch (sandbox->life) {
    case LIFE_RUNNING:
        if (!sandbox->syncing) {
            report_state(sandbox);
            sandbox_complete(sandbox, NULL);
        }
        return false;
    case LIFE_FROZEN:
        if (request->asked == 0)
            request->asked = link_send(sandbox, WIRE_THAW, 0, 0);
        return false;
    case LIFE_ENDING:
        if (!request->launched)
            end(sandbox, 0, 0); /* what is left of the last run must not be in the way of the next */
        else if (sandbox->status.phase == WIRE_EXITED && sandbox->end_reported && !sandbox->syncing)
            sandbox_complete(sandbox, NULL);
        return false;
    case LIFE_DEAD:
        if (request->failed) {
            sandbox_complete(sandbox, &request->failure);
            return true;
        }
        if (request->launched)
            return after_launch(sandbox);
        if (sandbox->foreign)
            return fail_foreign(sandbox);
        launch_begin(sandbox, false);
        report_state(sandbox);
        return false;
    default: fail(sandbox, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no such sandbox any more"); return true;
    }
}

static bool step_pause(struct sandbox *sandbox)
{
    struct request *request = sandbox->request;
    switch (sandbox->life) {
    case LIFE_RUNNING:
        if (request->asked == 0)
            request->asked = link_send(sandbox, WIRE_FREEZE, 0, 0);
        return false;
    case LIFE_FROZEN:
        if (sandbox->status.flags & WIRE_HALTED) { /* by somebody else, and perhaps not all of it */
            if (request->asked == 0)
                request->asked = link_send(sandbox, WIRE_FREEZE, 0, 0);
            return false;
        }
        report_state(sandbox);
        sandbox_complete(sandbox, NULL);
        return false;
    case LIFE_ABSENT:
        fail(sandbox, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no such sandbox any more");
        return true;
    default:
        if (sandbox->life == LIFE_DEAD && sandbox->foreign)
            return fail_foreign(sandbox);
        fail(sandbox, SBX_ERR_CONFLICT, "NOT_RUNNING", "its program does not run");
        return true;
    }
}

static bool step_stop(struct sandbox *sandbox)
{
    switch (sandbox->life) {
    case LIFE_RUNNING:
    case LIFE_FROZEN:
    case LIFE_ENDING: end(sandbox, sandbox->backend->options.stop_timeout_ms, WIRE_STOPPED); return false;
    case LIFE_DEAD: sandbox_complete(sandbox, NULL); return false;
    default: fail(sandbox, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no such sandbox any more"); return true;
    }
}

static bool step_remove(struct sandbox *sandbox)
{
    switch (sandbox->life) {
    case LIFE_RUNNING:
    case LIFE_FROZEN:
    case LIFE_ENDING: end(sandbox, sandbox->backend->options.stop_timeout_ms, 0); return false;
    default: break;
    }
    if (!sandbox->request->removed) {
        remove_begin(sandbox);
        return false;
    }
    sandbox_complete(sandbox, NULL);
    return true;
}

static bool step_request(struct sandbox *sandbox)
{
    switch (sandbox->request->verb) {
    case VERB_START: return step_start(sandbox);
    case VERB_PAUSE: return step_pause(sandbox);
    case VERB_RESUME: return step_resume(sandbox);
    case VERB_STOP: return step_stop(sandbox);
    default: return step_remove(sandbox);
    }
}

/* Nothing is wanted: it is kept as it is, but for a start that another program's port spoilt. */
static void step_idle(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    if (sandbox->life == LIFE_DEAD && sandbox_retries_port(sandbox) && !backend->quiesced) {
        report_state(sandbox);
        launch_begin(sandbox, true);
    } else if (sandbox->life == LIFE_ABSENT && sandbox->jobs == 0) {
        if (sandbox->incarnation != 0)
            report_state(sandbox);
        sandbox_destroy(sandbox);
    } else if (backend->quiesced && sandbox->link >= 0 && !sandbox->confirmations &&
               !logs_followed(backend, sandbox->id)) {
        link_close(sandbox);
        sandbox_set_life(sandbox, LIFE_UNKNOWN);
    }
}

void sandbox_step(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    for (bool more = true; more && !sandbox->busy;) {
        more = false;
        if (sandbox->life == LIFE_UNKNOWN) {
            bool waits = sandbox->link >= 0 || sandbox->guard != 0;
            if (!sandbox->request && backend->quiesced)
                step_idle(sandbox);
            else if (!waits)
                inspect_begin(sandbox);
            break; /* a supervisor or a job says how it goes on, or nobody asks any more */
        } else if (sandbox->life == LIFE_LAUNCHING) {
            break;
        } else if (end_matters(sandbox) && (sandbox->life == LIFE_DEAD || sandbox->tail)) {
            sandbox->end_reported = true;
            report_state(sandbox);
            free(sandbox->tail);
            sandbox->tail = NULL;
            more = true;
        } else if (end_matters(sandbox) && sandbox->life == LIFE_ENDING &&
                   sandbox->status.phase == WIRE_EXITED) {
            inspect_begin(sandbox); /* for the tail of its log */
        } else if (sandbox->request) {
            more = step_request(sandbox);
        } else {
            step_idle(sandbox);
            break; /* it may be gone */
        }
        if (!more && !sandbox->busy && !sandbox->request)
            more = sandbox->life == LIFE_ABSENT || (backend->quiesced && sandbox->link >= 0);
    }
    list_check(backend);
}

/* ---- what the supervisor says ---------------------------------------------------------------- */

static void port_is_foreign(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    if (sandbox->request || backend->quiesced || sandbox->life != LIFE_RUNNING)
        return; /* it will be asked again */
    backend->host->log(backend->public, SBX_LOG_WARN, sandbox->id, "another program answers on its port, %u",
                       sandbox->port);
    end(sandbox, SILENT_MS, WIRE_FOREIGN_PORT);
    sandbox->status.flags |= WIRE_FOREIGN_PORT;
    if (sandbox_retries_port(sandbox))
        report_state(sandbox);
}

/* A NULL status: there is no answer any more. */
static void answer_confirmations(struct sandbox *sandbox, const struct wire_status *status)
{
    struct process_backend *backend = sandbox->backend;
    for (struct confirmation **at = &sandbox->confirmations; *at;) {
        struct confirmation *found = *at;
        if (status && found->serial != status->answers) {
            at = &found->next;
            continue;
        }
        *at = found->next;
        struct sbx_error error;
        int result = status ? status->result : ECONNRESET;
        if (result == WIRE_PORT_FOREIGN)
            failure_set(&error, SBX_ERR_CONFLICT, "PORT_TAKEN", "another program has port %u", sandbox->port);
        else if (result != WIRE_PORT_OURS)
            failure_set(&error, SBX_ERR_UNAVAILABLE, "NOT_LISTENING",
                        "none of the sandbox's processes listens on port %u", sandbox->port);
        backend->host->complete(backend->public, found->op, result == WIRE_PORT_OURS ? NULL : &error);
        free(found);
        if (result == WIRE_PORT_FOREIGN)
            port_is_foreign(sandbox);
    }
}

static enum life life_of(const struct wire_status *status)
{
    switch (status->phase) {
    case WIRE_RUNNING: return status->flags & WIRE_ENDING ? LIFE_ENDING : LIFE_RUNNING;
    case WIRE_FROZEN: return LIFE_FROZEN;
    case WIRE_LAUNCHING: return LIFE_LAUNCHING;
    default: return LIFE_ENDING;
    }
}

void sandbox_heard(struct sandbox *sandbox, const struct wire_status *status)
{
    struct process_backend *backend = sandbox->backend;
    struct request *request = sandbox->request;
    bool tells = status->size >= sizeof *status; /* one of an older build does not say where it is */
    if (tells && (status->control_device != sandbox->owner_dir.device ||
                  status->control_inode != sandbox->owner_dir.inode)) {
        inspect_refuse(sandbox, status);
        return;
    }
    if (sandbox->life == LIFE_UNKNOWN && status->incarnation != sandbox->incarnation &&
        sandbox->lookups < LOOKUPS_MAX) {
        /* Another instance started it since its record was read. */
        link_close(sandbox);
        sandbox_arm(sandbox, UINT64_C(1) << sandbox->lookups++);
        return;
    }
    bool foreign = sandbox->status.flags & WIRE_FOREIGN_PORT;
    bool halted_changed = (sandbox->status.flags ^ status->flags) & WIRE_HALTED;
    sandbox->status = *status;
    if (foreign && sandbox->life == LIFE_ENDING)
        sandbox->status.flags |= WIRE_FOREIGN_PORT;
    enum life before = sandbox->life, life = life_of(status);
    if (before == LIFE_ENDING)
        life = LIFE_ENDING; /* a status from before the end was asked for */
    sandbox_set_life(sandbox, life);
    if ((life != before || halted_changed) && (life == LIFE_RUNNING || life == LIFE_FROZEN))
        report_state(sandbox);
    if (request && request->asked != 0 && request->asked == status->answers) {
        request->asked = 0;
        struct sbx_error error;
        if (status->result != 0 && life != LIFE_ENDING) { /* else the next step says so */
            failure_errno(&error, status->result, "its processes did not %s",
                          request->verb == VERB_PAUSE ? "stand still" : "go on");
            sandbox_complete(sandbox, &error);
        }
    }
    if (status->answers != 0)
        answer_confirmations(sandbox, status);
    logs_wake(backend, sandbox->id);
    sandbox_step(sandbox);
}

void sandbox_lost(struct sandbox *sandbox)
{
    if (sandbox->request)
        sandbox->request->asked = 0;
    sandbox_set_life(sandbox, LIFE_UNKNOWN);
    disarm(sandbox); /* also when it had not said anything yet */
    answer_confirmations(sandbox, NULL);
    sandbox_step(sandbox);
}
