/* remove.c: the job that removes a sandbox that has no supervisor (job.h). */
#include "cgroup.h"
#include "common/tree.h"
#include "control_dir.h"
#include "directory.h"
#include "job.h"
#include "record.h"
#include "sweep.h"

#include "common/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct removal {
    struct sandbox *sandbox;
    const struct sbx_host *host;
    int state_dir;
    const char *state_path;
    char base[PATH_MAX]; /* where its directory is when no record says so */
    char id[SANDBOX_ID_MAX + 1];
    char left[OWNER_MARK_SIZE]; /* of a control directory that was removed under its supervisor; "": none */
    int result;
    struct sbx_error error;
};

static int remove_directory(struct removal *job, const char *base)
{
    int dir = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? 0 : failure_errno(&job->error, errno, "%.200s can't be opened", base);
    int result = tree_remove(dir, job->id, &job->error);
    close(dir);
    return result;
}

static void remove_groups(const struct record *record)
{
    struct limits_groups *groups = malloc(sizeof *groups);
    if (!groups)
        abort();
    record_groups(record, groups);
    if (groups->freezer != 0)
        (void)cgroup_kill(groups->dirs[0], groups->freezer);
    for (uint32_t i = 0; i < groups->count; i++)
        (void)cgroup_remove(groups->dirs[i], 1000);
    free(groups);
}

static bool has_other(struct removal *job)
{
    char folder[PATH_MAX + SANDBOX_ID_MAX + 2], path[PATH_MAX + SANDBOX_ID_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", job->base, job->id);
    snprintf(folder, sizeof folder, "%s/%s", job->state_path, job->id);
    return access(path, F_OK) == 0 && owner_is_elsewhere(folder, job->id, job->left, NULL);
}

/* Without a record: what has the mark of this directory, or of one that was removed from here. */
static int sweep_unknown(struct removal *job, int dir)
{
    struct owner own;
    char mark[OWNER_MARK_SIZE];
    if (dir >= 0 && owner_of(dir, &own)) {
        owner_mark(&own, mark);
        if (sweep_processes(job->id, mark, &job->error) != 0)
            return -1;
    }
    return *job->left ? sweep_processes(job->id, job->left, &job->error) : 0;
}

/* What belongs to another control directory stays as it is: only this record of it is removed.
 * What the record is needed for goes first, the record last: cut off anywhere, the rest is found again. */
static int remove_all(struct removal *job, int dir)
{
    struct record record = {.json = job->host->json};
    bool known = dir >= 0 && record_read(&record, job->host->json, dir) == 0;
    bool other = known ? owner_is_other(&record, dir, job->id, NULL) : has_other(job);
    int result = known || other ? 0 : sweep_unknown(job, dir);
    if (known && !other)
        remove_groups(&record);
    if (result == 0 && !other)
        result = remove_directory(job, known ? record_text(&record, "base") : job->base);
    if (known)
        record_finish(&record);
    return result == 0 ? tree_remove(job->state_dir, job->id, &job->error) : -1;
}

/* A copy that was made of links has the lock of the original. */
static bool is_other(struct removal *job, int dir)
{
    struct record record = {.json = job->host->json};
    bool other =
        record_read(&record, job->host->json, dir) == 0 && owner_is_other(&record, dir, job->id, NULL);
    record_finish(&record);
    return other;
}

static void remove_run(void *arg)
{
    struct removal *job = arg;
    int dir = control_dir_open(job->state_dir, job->id);
    int lock = dir >= 0 ? control_dir_lock(dir) : -1;
    bool taken = dir >= 0 && lock < 0 && errno == EAGAIN;
    if (taken && !is_other(job, dir))
        job->result =
            failure_set(&job->error, SBX_ERR_CONFLICT, SBX_CODE_INTERNAL, "it has been started meanwhile");
    else
        job->result = remove_all(job, dir);
    if (lock >= 0)
        close(lock);
    if (dir >= 0)
        close(dir);
}

static void remove_done(void *arg)
{
    struct removal *job = arg;
    struct sandbox *sandbox = job->sandbox;
    struct request *request = sandbox->request;
    sandbox->jobs--;
    sandbox->busy = false;
    if (job->result == 0) {
        sandbox_set_life(sandbox, LIFE_ABSENT);
        request->removed = true;
        sandbox->incarnation = 0; /* nobody need be told that it is gone */
    } else {
        job->host->log(sandbox->backend->public, SBX_LOG_ERROR, sandbox->id, "could not be removed: %s",
                       job->error.message);
        sandbox_set_life(sandbox, LIFE_UNKNOWN);
        sandbox_complete(sandbox, request->failed ? &request->failure : &job->error);
    }
    free(job);
    logs_wake(sandbox->backend, sandbox->id);
    sandbox_step(sandbox);
}

void remove_begin(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    struct removal *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    job->sandbox = sandbox;
    job->host = backend->host;
    job->state_dir = backend->state_dir;
    job->state_path = backend->state_path;
    memcpy(job->base, backend->options.base_working_dir, strlen(backend->options.base_working_dir) + 1);
    memcpy(job->id, sandbox->id, strlen(sandbox->id) + 1);
    sandbox->jobs++;
    sandbox->busy = true;
    backend->host->work(backend->public, remove_run, remove_done, job);
}
