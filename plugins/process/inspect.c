/* inspect.c: the job that finds out what there is of a sandbox (job.h). */
#include "cgroup.h"
#include "control_dir.h"
#include "job.h"
#include "link.h"
#include "logfile.h"
#include "record.h"
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct inspection {
    struct sandbox *sandbox;
    const struct sbx_host *host;
    const char *python;
    int state_dir;
    char id[SANDBOX_ID_MAX + 1];

    int dir; /* of what was found; -1: nothing */
    bool exists, locked, swept, sweep_failed;
    bool foreign; /* it belongs to another control directory; `error` says to which */
    struct owner owner_dir;
    struct record record;
    struct wire_status exit;
    struct sbx_error error;
    char tail[3000];
    char program[256]; /* the first word of its command */
};

/* Whether the supervisor saw the end of the program, and the end of all that it left behind. */
static bool has_end(struct inspection *job, uint64_t incarnation, bool *seen)
{
    *seen = control_dir_read_exit(job->dir, incarnation, &job->exit);
    return *seen && !(job->exit.flags & WIRE_LEFT);
}

/* The supervisor was killed, or never ran: ends what may be left, and records that as the end, or
 * that nothing is left behind the end that it saw, so that it is done once. */
static void clean_up(struct inspection *job, bool seen)
{
    struct limits_groups *groups = malloc(sizeof *groups);
    if (!groups)
        abort();
    record_groups(&job->record, groups);
    if (groups->freezer != 0)
        (void)cgroup_kill(groups->dirs[0], groups->freezer);
    job->sweep_failed = sweep_processes(job->id, owner_recorded(&job->record), &job->error) != 0;
    for (uint32_t i = 0; i < groups->count; i++)
        (void)cgroup_remove(groups->dirs[i], 1000);
    free(groups);
    if (!seen)
        job->exit = (struct wire_status){
            .size = sizeof job->exit,
            .version = WIRE_VERSION,
            .phase = WIRE_EXITED,
            .flags = WIRE_SUPERVISOR_LOST,
            .exit_code = -1,
            .incarnation = (uint64_t)record_integer(&job->record, "incarnation"),
        };
    job->exit.flags &= ~(uint32_t)WIRE_LEFT;
    job->swept = !job->sweep_failed;
    if (job->swept)
        (void)control_dir_write_exit(job->dir, &job->exit);
}

static void inspect_run(void *arg)
{
    struct inspection *job = arg;
    job->dir = control_dir_open(job->state_dir, job->id);
    if (job->dir < 0)
        return;
    /* The lock first: whoever begins to launch after this has it before anything else changes. */
    job->locked = control_dir_locked(job->dir);
    job->exists = record_read(&job->record, job->host->json, job->dir) == 0;
    (void)owner_of(job->dir, &job->owner_dir);
    job->foreign = job->exists && owner_is_other(&job->record, job->dir, job->id, &job->error);
    if (job->foreign) {
        logfile_last(job->dir, job->sandbox->backend->public, job->tail, sizeof job->tail);
        return;
    }
    uint64_t incarnation = job->exists ? (uint64_t)record_integer(&job->record, "incarnation") : 0;
    bool seen = false;
    if (job->exists && !job->locked && !has_end(job, incarnation, &seen)) {
        /* Held through the cleaning, so that no launch of another instance comes in between. */
        int lock = control_dir_lock(job->dir);
        job->locked = lock < 0;
        if (lock >= 0 && !has_end(job, incarnation, &seen))
            clean_up(job, seen);
        if (lock >= 0)
            close(lock);
    }
    if (job->exists) {
        const struct sbx_json_api *json = job->host->json;
        snprintf(job->program, sizeof job->program, "%s",
                 json->string(json->at(json->get(record_spec(&job->record), "command"), 0), job->python));
        logfile_last(job->dir, job->sandbox->backend->public, job->tail, sizeof job->tail);
    }
}

static void take_record(struct sandbox *sandbox, const struct record *record)
{
    sandbox_keep_text(&sandbox->owner, record_text(record, "owner"));
    sandbox_keep_text(&sandbox->spec_id, record_text(record, "spec_id"));
    sandbox_keep_text(&sandbox->session_key, record_text(record, "session_key"));
    sandbox->created_at_us = record_integer(record, "created_at_us");
    sandbox->port = (uint16_t)record_integer(record, "port");
    sandbox->attempt = (uint32_t)record_integer(record, "attempt");
    sandbox->incarnation = (uint64_t)record_integer(record, "incarnation");
}

/* A supervisor, or a launch of another instance, has the lock: connects, or comes back in a little while. */
static void reach(struct sandbox *sandbox, int dir)
{
    if (link_connect(sandbox, dir) == 0) {
        sandbox_arm(sandbox, GUARD_MS);
        return;
    }
    unsigned shift = sandbox->lookups < LOOKUPS_MAX ? sandbox->lookups : LOOKUPS_MAX;
    sandbox->lookups++;
    sandbox_arm(sandbox, UINT64_C(1) << shift);
}

/* In LIFE_DEAD, since it belongs to another control directory (owner.h). */
static void set_foreign(struct sandbox *sandbox, const char *why)
{
    sandbox_keep_text(&sandbox->foreign, why);
    sandbox->status = (struct wire_status){.phase = WIRE_EXITED,
                                           .flags = WIRE_SUPERVISOR_LOST,
                                           .exit_code = -1,
                                           .incarnation = sandbox->incarnation};
    sandbox_set_life(sandbox, LIFE_DEAD);
}

/* Its socket and its lock are those of another control directory: a copy has them as links. */
void inspect_refuse(struct sandbox *sandbox, const struct wire_status *status)
{
    char text[200];
    snprintf(text, sizeof text,
             "the state of this sandbox is a copy: its supervisor (pid %d) belongs to another folder",
             (int)status->supervisor);
    link_close(sandbox);
    set_foreign(sandbox, text);
    sandbox_step(sandbox);
}

static void inspect_done(void *arg)
{
    struct inspection *job = arg;
    struct sandbox *sandbox = job->sandbox;
    const struct sbx_host *host = job->host;
    struct sbx_backend *public = sandbox->backend->public;
    sandbox->jobs--;
    sandbox->busy = false;
    if (job->exists)
        take_record(sandbox, &job->record);
    sandbox->owner_dir = job->owner_dir;
    sandbox_keep_text(&sandbox->foreign, NULL);
    if (sandbox->link >= 0) {
        sandbox_keep_text(&sandbox->tail, job->tail); /* all that was wanted */
    } else if (job->foreign) {
        set_foreign(sandbox, job->error.message);
    } else if (job->locked) {
        reach(sandbox, job->dir);
    } else if (!job->exists) {
        sandbox_set_life(sandbox, LIFE_ABSENT);
    } else if (job->sweep_failed) {
        host->log(public, SBX_LOG_ERROR, job->id, "its supervisor is gone: %s", job->error.message);
        sandbox->lookups = LOOKUPS_MAX;
        reach(sandbox, job->dir);
    } else {
        if (job->swept)
            host->log(public, SBX_LOG_WARN, job->id,
                      "its supervisor is gone; what was left of it has been ended");
        sandbox->status = job->exit;
        sandbox_keep_text(&sandbox->tail, job->tail);
        sandbox_keep_text(&sandbox->program, job->exit.phase == WIRE_FAILED ? job->program : NULL);
        sandbox_set_life(sandbox, LIFE_DEAD);
    }
    record_finish(&job->record);
    if (job->dir >= 0)
        close(job->dir);
    free(job);
    logs_wake(sandbox->backend, sandbox->id);
    sandbox_step(sandbox);
}

void inspect_begin(struct sandbox *sandbox)
{
    const struct sbx_host *host = sandbox->backend->host;
    struct inspection *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    job->sandbox = sandbox;
    job->host = host;
    job->python = sandbox->backend->options.python_executable;
    job->state_dir = sandbox->backend->state_dir;
    job->dir = -1;
    memcpy(job->id, sandbox->id, strlen(sandbox->id) + 1);
    sandbox->jobs++;
    sandbox->busy = true;
    host->work(sandbox->backend->public, inspect_run, inspect_done, job);
}
