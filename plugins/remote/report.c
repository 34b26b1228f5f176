/* report.c: what the host is told of a sandbox (struct sbx_observation), and what the table keeps of it; see remote.h.
 * Asks the API for nothing.
 */
#include "common/failure.h"
#include "remote.h"
#include "urls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_SIZE = 512, TAIL_MAX = 4095 };

/* ---- pieces ---- */

/* Its beginning on one line. It is of a JSON text, so UTF-8, and only the cut could break a character. */
static const char *one_line(char *to, size_t size, const char *text)
{
    if (!text)
        return NULL;
    size_t len = strnlen(text, size - 1);
    if (text[len] != '\0')
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    to[len] = '\0';
    return len > 0 ? to : NULL;
}

/* The last lines of `text`, borrowed. */
static const char *tail_of(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len <= TAIL_MAX)
        return text;
    text += len - TAIL_MAX;
    const char *line = strchr(text, '\n');
    return line && line[1] ? line + 1 : text;
}

static struct sbx_observation observe(const struct sandbox *sandbox, enum sbx_state state)
{
    const struct record *record = &sandbox->record;
    return (struct sbx_observation){
        .size = sizeof(struct sbx_observation),
        .state = state,
        .sandbox_id = sandbox->id,
        .exit_code = -1,
        .owner = record->owner,
        .spec_id = record->spec_id,
        .created_at_us = record->created_at_us,
    };
}

static void report(struct remote *remote, struct sandbox *sandbox, const struct sbx_observation *observation)
{
    sandbox->state = (enum sbx_state)observation->state;
    if (sandbox->busy > 0)
        sandbox->touched = ++remote->turn;
    if (!remote->quiesced)
        remote->host->report(remote->public, observation);
}

static void remember(struct sandbox *sandbox, const char *runtime_id)
{
    if (sandbox->runtime_id && runtime_id && strcmp(sandbox->runtime_id, runtime_id) == 0)
        return;
    free(sandbox->runtime_id);
    sandbox->runtime_id = runtime_id ? strdup(runtime_id) : NULL;
    if (runtime_id && !sandbox->runtime_id)
        abort();
}

/* ---- what is wrong with one ---- */

static void explain_failure(const struct runtime *runtime, struct sbx_error *error)
{
    char words[DETAIL_SIZE], state[64];
    const char *code = runtime->code            ? runtime->code
                       : runtime->out_of_memory ? SBX_CODE_OUT_OF_MEMORY
                       : runtime->crashed       ? SBX_CODE_EXITED
                                                : SBX_CODE_BACKEND_REFUSED;
    const char *reason = one_line(words, sizeof words, runtime->reason ? runtime->reason : runtime->detail);
    const char *said =
        one_line(state, sizeof state, *runtime->pod_status ? runtime->pod_status : runtime->status);
    failure_set(error, SBX_ERR_REFUSED, code, "the runtime API says that its runtime is '%s'%s%.300s",
                said ? said : "", reason ? ": " : "", reason ? reason : "");
}

/* STARTING for too long. It goes on being asked about, and is RUNNING once it is ready after all. */
static bool is_late(struct remote *remote, struct sandbox *sandbox)
{
    uint64_t now = remote->host->now_ms();
    if (sandbox->starting_since_ms == 0)
        sandbox->starting_since_ms = now;
    return now - sandbox->starting_since_ms >= remote->options.start_timeout_ms;
}

/* ---- reports ---- */

void report_runtime(struct remote *remote, struct sandbox *sandbox, const struct runtime *runtime)
{
    struct urls urls = {.count = 0};
    struct sbx_error error;
    char detail[DETAIL_SIZE];
    int64_t restarts = runtime->restart_count;
    remember(sandbox, runtime->runtime_id);
    sandbox->cut_ms = 0;
    struct sbx_observation observation = observe(sandbox, runtime->state);
    observation.detail = one_line(detail, sizeof detail, runtime->detail);
    observation.incarnation = runtime_incarnation(runtime);
    observation.restart_count = restarts > 0 && restarts < UINT32_MAX ? (uint32_t)restarts : 0;
    observation.session_key = runtime->key;
    observation.flags = runtime->key ? SBX_OBSERVED_KEY : 0;
    if (runtime->state != SBX_STATE_STARTING) {
        sandbox->starting_since_ms = 0;
    } else if (is_late(remote, sandbox)) {
        failure_set(&error, SBX_ERR_TIMEOUT, SBX_CODE_HEALTH_TIMEOUT,
                    "its runtime was not ready within %" PRIu64 " s (start_sandbox_timeout)",
                    remote->options.start_timeout_ms / 1000);
        observation.state = SBX_STATE_FAILED;
        observation.error = &error;
    }
    if (runtime->state == SBX_STATE_FAILED) {
        explain_failure(runtime, &error);
        observation.error = &error;
    }
    if (observation.state == SBX_STATE_FAILED)
        observation.log_tail = tail_of(runtime->logs);
    bool may_run = observation.state == SBX_STATE_RUNNING || observation.state == SBX_STATE_STARTING ||
                   observation.state == SBX_STATE_PAUSED;
    if (may_run && runtime->url) {
        const struct url_source source = {.url = runtime->url,
                                          .runtime_id = runtime->runtime_id,
                                          .key = runtime->key,
                                          .working_dir = sandbox->record.working_dir,
                                          .worker = {runtime->worker[0], runtime->worker[1]}};
        urls_make(&urls, &source);
        observation.urls = urls.list;
        observation.urls_count = urls.count;
    }
    report(remote, sandbox, &observation);
    urls_wipe(&urls);
}

void report_nonsense(struct remote *remote, struct sandbox *sandbox, const struct sbx_error *why)
{
    struct sbx_observation observation = observe(sandbox, SBX_STATE_FAILED);
    observation.error = why;
    report(remote, sandbox, &observation);
}

void report_gone(struct remote *remote, struct sandbox *sandbox)
{
    struct sbx_observation observation = observe(sandbox, SBX_STATE_GONE);
    remember(sandbox, NULL);
    sandbox->starting_since_ms = 0;
    report(remote, sandbox, &observation);
}

void report_waiting(struct remote *remote, struct sandbox *sandbox, const char *detail)
{
    struct sbx_observation observation = observe(sandbox, SBX_STATE_STARTING);
    observation.detail = detail;
    report(remote, sandbox, &observation);
}
