/* sandbox/observe.c: what backends report of their sandboxes becomes part of the table. Does not judge: the
 * status that follows is status.c's. */
#include "sandbox/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

static void set_urls(struct sandbox *sandbox, const struct sbx_url *urls, size_t count, const char *agent_url)
{
    free(sandbox->agent_url);
    sandbox->agent_url = agent_url ? copy_text(agent_url) : NULL;
    for (size_t i = 0; i < sandbox->urls_len; i++) {
        free(sandbox->urls[i].name);
        free(sandbox->urls[i].url);
    }
    free(sandbox->urls);
    sandbox->urls = NULL;
    sandbox->urls_len = 0;
    if (count == 0)
        return;
    if (!(sandbox->urls = calloc(count, sizeof *sandbox->urls)))
        abort();
    sandbox->urls_len = count;
    for (size_t i = 0; i < count; i++)
        sandbox->urls[i] = (struct sandbox_url){
            .name = copy_text(urls[i].name), .url = copy_text(urls[i].url), .port = urls[i].port};
}

static void set_failure(struct sandbox *sandbox, const struct sbx_observation *observation)
{
    struct sbx_error error;
    int number = observation->exit_code - 128;
    const char *signal = number > 0 ? sigabbrev_np(number) : NULL;
    if (observation->error)
        error = *observation->error;
    else if (signal)
        error_set(&error, SBX_ERR_REFUSED, SBX_CODE_EXITED,
                  "its program ended with exit code %d (128 + signal %d, SIG%s)", observation->exit_code,
                  number, signal);
    else if (observation->exit_code >= 0)
        error_set(&error, SBX_ERR_REFUSED, SBX_CODE_EXITED, "its program ended with exit code %d",
                  observation->exit_code);
    else
        error_set(&error, SBX_ERR_REFUSED, SBX_CODE_EXITED, "its program ended");
    sandbox_set_failure(sandbox, &error, observation->exit_code, observation->log_tail);
}

static void set_state(struct sandbox *sandbox, enum sbx_state state)
{
    bool runs = state == SBX_STATE_RUNNING || state == SBX_STATE_STARTING;
    sandbox->state = state;
    sandbox->room_refused = false;
    if (!runs)
        health_end(sandbox);
}

/* No client and no rule of ours asked for it: who did is not known here. */
static void note_outside_pause(struct sandbox *sandbox, bool stopped)
{
    char reason[256];
    snprintf(reason, sizeof reason,
             "%s from outside: backend '%.100s' reports it, and this daemon did not ask for it",
             stopped ? "stopped" : "paused", sandbox->home->name);
    service_log(LOG_WARN, sandbox, "%s", reason);
    sandbox->service->stats.outside_pauses++;
    sandbox_set_pause_reason(sandbox, reason);
    record_save(sandbox);
}

/* The reason of a pause goes when it runs again, unless that pause is still to come. */
static void keep_pause_reason(struct sandbox *sandbox, enum sbx_state before, enum sbx_state now)
{
    bool runs = now == SBX_STATE_RUNNING || now == SBX_STATE_STARTING;
    bool pauses = sandbox->phase == PHASE_PAUSING || sandbox->phase == PHASE_STOPPING ||
                  sandbox->wants & (WANT_PAUSE | WANT_STOP);
    if (runs && !pauses && sandbox->pause_reason) {
        sandbox_set_pause_reason(sandbox, NULL);
        record_save(sandbox);
    }
    if (before == SBX_STATE_RUNNING && (now == SBX_STATE_PAUSED || now == SBX_STATE_STOPPED) &&
        sandbox->phase == PHASE_IDLE && !sandbox->deleting)
        note_outside_pause(sandbox, now == SBX_STATE_STOPPED);
}

void sandbox_observe_state(struct sandbox *sandbox, enum sbx_state state)
{
    set_state(sandbox, state);
    if (state == SBX_STATE_GONE) {
        sandbox->incarnation = 0;
        set_urls(sandbox, NULL, 0, NULL);
        sandbox_set_detail(sandbox, "nothing is left of it on its backend");
    }
}

/* Is its agent server reached elsewhere than before? */
static bool has_moved(const struct sandbox *sandbox, const struct sbx_observation *observation)
{
    const char *before = sandbox_agent_url(sandbox), *now = observation->agent_url;
    for (uint32_t i = 0; !now && i < observation->urls_count; i++)
        if (strcmp(observation->urls[i].name, "AGENT_SERVER") == 0)
            now = observation->urls[i].url;
    return !before != !now || (before && strcmp(before, now) != 0);
}

static void apply(struct sandbox *sandbox, const struct sbx_observation *observation)
{
    enum sbx_state before = sandbox->state;
    bool begins = observation->state == SBX_STATE_RUNNING || observation->state == SBX_STATE_STARTING;
    bool unreached = observation->flags & SBX_OBSERVED_UNREACHED;
    bool anew = begins && (before != observation->state || sandbox->incarnation != observation->incarnation ||
                           sandbox->unreached != unreached);
    bool moved = observation->state == SBX_STATE_RUNNING && has_moved(sandbox, observation);
    sandbox->incarnation = observation->incarnation;
    sandbox->unreached = unreached;
    if (sandbox->phase != PHASE_WAITING) /* its detail says what it waits for */
        sandbox_set_detail(sandbox, observation->detail);
    if (observation->flags & SBX_OBSERVED_KEY &&
        strcmp(sandbox->session_key, observation->session_key) != 0) {
        table_set_key(&sandbox->service->table, sandbox, observation->session_key);
        record_save(sandbox);
        service_tell_running(sandbox->service);
    }
    if (observation->state == SBX_STATE_RUNNING || observation->urls_count > 0)
        set_urls(sandbox, observation->urls, observation->urls_count, observation->agent_url);
    sandbox->unused = observation->flags & SBX_OBSERVED_UNUSED;
    keep_pause_reason(sandbox, before, (enum sbx_state)observation->state);
    sandbox->restart_count = observation->restart_count;
    sandbox->loops = observation->state == SBX_STATE_STARTING && observation->error;
    if (observation->state == SBX_STATE_ENDED || observation->state == SBX_STATE_FAILED || sandbox->loops)
        set_failure(sandbox, observation);
    else if (before == 0 || before == SBX_STATE_ENDED || before == SBX_STATE_FAILED)
        sandbox_set_failure(sandbox, NULL, -1, NULL);
    if (observation->state == SBX_STATE_GONE)
        sandbox_observe_state(sandbox, SBX_STATE_GONE);
    else
        set_state(sandbox, (enum sbx_state)observation->state);
    if (anew)
        health_begin(sandbox);
    else if (moved)
        health_move(sandbox);
    if (moved)
        service_tell_running(sandbox->service);
}

/* Who made it named it by its own name for it, behind the prefix of its backend: that is its session, as if it had been
 * started under it here. */
static void name_session(struct sandbox *sandbox)
{
    const struct backend *backend = sandbox->home->backend;
    const char *prefix = backend ? backend_id_prefix(backend) : "";
    size_t len = strlen(prefix);
    if (len == 0 || strncmp(sandbox->id, prefix, len) != 0 || sandbox->id[len] == '\0')
        return;
    if (!table_find_session(&sandbox->service->table, sandbox->owner->name, sandbox->id + len))
        table_set_session(sandbox, sandbox->id + len);
}

/* Somebody else made it, or our record of it was lost. */
static struct sandbox *adopt(struct service *service, struct home *home,
                             const struct sbx_observation *observation)
{
    struct sandbox *sandbox = service_new_sandbox(service, home, observation->sandbox_id, observation->owner,
                                                  observation->spec_id ? observation->spec_id : "unknown");
    sandbox->adopted = true;
    sandbox->begun = true;
    sandbox->answered = true;
    sandbox->created_at_us = observation->created_at_us > 0 ? observation->created_at_us : clock_wall_us();
    sandbox->sequence = table_sequence_of(&service->table, sandbox->created_at_us);
    table_set_key(&service->table, sandbox, observation->session_key);
    name_session(sandbox);
    table_show(&service->table, sandbox);
    service->stats.adopted++;
    service_log(LOG_INFO, sandbox, "found on its backend without a record of ours, and adopted");
    return sandbox;
}

/* Its removal found nothing, and its backend came to the end of making it after that: the promise holds for that too.
 * Nobody else knows when our record of it was made. */
static bool was_made_late(const struct gone *gone, const struct sbx_observation *observation)
{
    return !gone->adopted && gone->created_at_us == observation->created_at_us;
}

static void remove_again(struct service *service, struct home *home,
                         const struct sbx_observation *observation)
{
    struct sandbox *sandbox = service_new_sandbox(service, home, observation->sandbox_id, observation->owner,
                                                  observation->spec_id ? observation->spec_id : "unknown");
    sandbox->created_at_us = observation->created_at_us;
    sandbox->sequence = table_sequence_of(&service->table, sandbox->created_at_us);
    sandbox->deleting = true;
    service_log(LOG_WARN, sandbox, "its backend has made it after its removal: removed again");
    record_put(sandbox, NULL, NULL);
    sandbox_begin_removal(sandbox);
}

/* A crash cut its start off, or it came up after that had failed. Where it runs it goes on from there; what is
 * left of one that had not come so far is for the start that follows to take over or to clear away. */
static void take_over_start(struct sandbox *sandbox, const struct sbx_observation *observation)
{
    if (observation->state != SBX_STATE_RUNNING && observation->state != SBX_STATE_PAUSED)
        return;
    sandbox->begun = true;
    sandbox->again = false;
    sandbox->wants &= ~WANT_START;
    if (observation->state == SBX_STATE_RUNNING || sandbox->wants & WANT_PAUSE) /* which needs no room */
        quota_stop_waiting(sandbox);
    record_save(sandbox);
}

/* Its start has failed, and nothing goes on with what that left behind until a resume or a delete asks for it:
 * it stays in ERROR, with the reason. */
static bool is_left_over(const struct sandbox *sandbox)
{
    return !sandbox->begun && sandbox->phase == PHASE_IDLE && !(sandbox->wants & WANT_START);
}

void service_observe(struct service *service, struct home *home, const struct sbx_observation *observation)
{
    struct sandbox *sandbox = table_find(&service->table, observation->sandbox_id);
    if (!sandbox) {
        const struct gone *gone = service_recently_gone(service, observation);
        if (observation->state == SBX_STATE_GONE)
            return;
        if (gone) {
            if (was_made_late(gone, observation))
                remove_again(service, home, observation);
            return;
        }
        sandbox = adopt(service, home, observation);
    } else if (sandbox->home != home) {
        service_log(LOG_WARN, sandbox, "backend '%s' reports it too, though it is of backend '%s': ignored",
                    home->name, sandbox->home->name);
        return;
    }
    sandbox->listed = home->listing_number;
    /* It goes, and what is still said of it matters no more; `deleting` alone is a promise that may fail. */
    if (sandbox->phase == PHASE_REMOVING || sandbox->wants & WANT_REMOVE) {
        sandbox_drive(sandbox);
        return;
    }
    if (observation->state == SBX_STATE_STARTING && is_left_over(sandbox))
        return;
    if (!sandbox->begun && !sandbox->deleting &&
        (sandbox->phase == PHASE_IDLE || sandbox->phase == PHASE_WAITING))
        take_over_start(sandbox, observation);
    else if (sandbox->unsaved)
        record_save(sandbox);
    apply(sandbox, observation);
    if (sandbox->adopted && !sandbox->deleting && sandbox->state == SBX_STATE_GONE &&
        sandbox->phase == PHASE_IDLE) {
        service_forget(sandbox);
        return;
    }
    sandbox_refresh(sandbox);
    sandbox_drive(sandbox);
}
