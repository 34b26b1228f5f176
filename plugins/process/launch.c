/* launch.c: the job that starts a sandbox's program under a new supervisor (job.h).
 *
 * First all that blocks, on the pool, in an order in which a crash at any point leaves something that is
 * found again: the locked control directory, the record in it, then what the record names. Then, on the
 * loop, the supervisor is spawned with the lock and the port's reservation in its hands; and while it starts
 * the program, the record is synced.
 */
#include "cgroup.h"
#include "command.h"
#include "common/bytes.h"
#include "common/failure.h"
#include "common/tree.h"
#include "control_dir.h"
#include "directory.h"
#include "job.h"
#include "link.h"
#include "owner.h"
#include "port.h"
#include "record.h"
#include "working_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LAUNCH_GUARD_MS = 30000 }; /* a program that is on a slow disk takes its time to be executed */

struct launching {
    struct sandbox *sandbox;
    const struct sbx_host *host;
    struct process_backend *backend; /* only what does not change while it is open */
    char id[SANDBOX_ID_MAX + 1];
    bool fresh; /* a new sandbox; otherwise its record is read */
    struct record record;
    uint32_t attempt;
    uint64_t incarnation;
    uint16_t port; /* before: the one to prefer */
    struct owner owner_dir;

    int fds[WIRE_FD_PORT - WIRE_FD_LAUNCH + 1]; /* in the order of enum wire_fd; -1: not there */
    int dir;                                    /* the control directory again, for syncing */
    int result;
    struct sbx_error error;
};

static int *fd_of(struct launching *job, enum wire_fd fd)
{
    return &job->fds[fd - WIRE_FD_LAUNCH];
}

/* A supervisor of another control directory may have what is in the place of a new sandbox. */
static int check_place(struct launching *job)
{
    char folder[PATH_MAX + SANDBOX_ID_MAX + 2], path[PATH_MAX + SANDBOX_ID_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", record_text(&job->record, "base"), job->id);
    if (!job->fresh || access(path, F_OK) != 0)
        return 0;
    snprintf(folder, sizeof folder, "%s/%s", job->backend->state_path, job->id);
    return owner_is_elsewhere(folder, job->id, NULL, &job->error) ? -1 : 0;
}

static int open_control_dir(struct launching *job)
{
    int *lock = fd_of(job, WIRE_FD_LOCK), *dir = fd_of(job, WIRE_FD_CONTROL_DIR);
    if (job->fresh) {
        *dir = control_dir_make(job->backend->state_dir, job->id, lock);
        if (*dir < 0 && errno == EEXIST && tree_remove(job->backend->state_dir, job->id, &job->error) == 0)
            *dir = control_dir_make(job->backend->state_dir, job->id, lock);
        return *dir >= 0 ? 0 : failure_errno(&job->error, errno, "its control directory can't be made");
    }
    *dir = control_dir_open(job->backend->state_dir, job->id);
    if (*dir >= 0)
        *lock = control_dir_lock(*dir);
    if (*lock < 0)
        return failure_errno(&job->error, errno, "its control directory can't be locked");
    if (record_read(&job->record, job->host->json, *dir) != 0)
        return failure_errno(&job->error, errno, "its record can't be read");
    return owner_is_other(&job->record, *dir, job->id, &job->error) ? -1 : 0;
}

static int open_working_dir(struct launching *job)
{
    const struct options *options = &job->backend->options;
    uid_t uid = options->run_as ? options->uid : geteuid();
    gid_t gid = options->run_as ? options->gid : getegid();
    const char *text =
        job->host->json->string(job->host->json->get(record_spec(&job->record), "working_dir"), NULL);
    struct working_dir where;
    if (working_dir_find(&where, options, text, &job->error) != 0)
        return -1;
    const char *inner = where.shared ? NULL : where.inner;
    int base = directory_open_base(record_text(&job->record, "base"), uid, gid, &job->error);
    if (base < 0)
        return -1;
    if (job->fresh && tree_remove(base, job->id, &job->error) != 0) {
        close(base);
        return -1;
    }
    int *dir = fd_of(job, WIRE_FD_WORKING_DIR);
    *dir = job->fresh ? directory_make(base, job->id, inner, uid, gid, &job->error)
                      : directory_open(base, job->id, inner, &job->error);
    close(base);
    if (*dir < 0 || !where.shared)
        return *dir >= 0 ? 0 : -1;
    close(*dir); /* it has one of its own all the same */
    *dir = open(where.shared, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dir < 0)
        return failure_errno(&job->error, errno, "working_dir: %.200s, which is in shared_dirs",
                             where.shared);
    *dir = directory_enter(*dir, where.inner, true, uid, gid, &job->error);
    return *dir >= 0 ? 0 : -1;
}

static int write_launch(struct launching *job, const struct limits_groups *groups)
{
    struct command command = {
        .options = &job->backend->options,
        .json = job->host->json,
        .spec = record_spec(&job->record),
        .environment = job->backend->environment,
        .sandbox_id = job->id,
        .session_key = record_text(&job->record, "session_key"),
        .owner_mark = owner_recorded(&job->record),
        .port = job->port,
        .incarnation = job->incarnation,
        .groups = groups,
    };
    struct bytes launch = {0};
    int result = command_build(&command, &launch, &job->error), *fd = fd_of(job, WIRE_FD_LAUNCH);
    if (result == 0) {
        *fd = memfd_create("launch", MFD_CLOEXEC);
        if (*fd < 0 || write(*fd, launch.data, launch.len) != (ssize_t)launch.len)
            result = failure_errno(&job->error, errno, "the launch can't be written");
    }
    bytes_finish(&launch);
    return result;
}

static uint64_t times(uint64_t limit, uint64_t factor)
{
    return limit > INT64_MAX / factor ? INT64_MAX : limit * factor;
}

/* The spec's resource_factor counts for what a sandbox as a whole may take. `files` is each process's. */
static struct options scale_limits(const struct options *options, const struct sbx_json_api *json,
                                   const sbx_json *spec)
{
    int64_t factor = json->integer(json->get(spec, "resource_factor"), 1);
    struct options scaled = *options;
    if (factor > 1) {
        scaled.memory = times(options->memory, (uint64_t)factor);
        scaled.cpu_milli = times(options->cpu_milli, (uint64_t)factor);
        scaled.pids = times(options->pids, (uint64_t)factor);
    }
    return scaled;
}

static int prepare(struct launching *job, struct limits_groups *groups)
{
    struct process_backend *backend = job->backend;
    const struct options *options = &backend->options;
    if (check_place(job) != 0 || open_control_dir(job) != 0)
        return -1;
    int *reservation = fd_of(job, WIRE_FD_PORT);
    *reservation = port_reserve((uint16_t)options->base_port, OPTIONS_PORTS, job->port, &backend->port_cursor,
                                &job->port);
    if (*reservation < 0) {
        uint64_t last = options->base_port + OPTIONS_PORTS - 1;
        return failure_set(&job->error, SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED,
                           "no port from %u to %u is free", (unsigned)options->base_port,
                           (unsigned)(last < 65535 ? last : 65535));
    }
    limits_name(groups, &backend->limits, options, job->id, job->incarnation);
    record_set_run(&job->record, job->incarnation, job->port, job->attempt, groups);
    int dir = *fd_of(job, WIRE_FD_CONTROL_DIR);
    if (owner_record(&job->record, dir) != 0)
        return failure_errno(&job->error, errno, "its control directory can't be looked at");
    if (record_write(&job->record, dir) != 0)
        return failure_errno(&job->error, errno, "its record can't be written");
    const struct options scaled = scale_limits(options, job->host->json, record_spec(&job->record));
    if (limits_make(groups, &backend->limits, &scaled, &job->error) != 0 || open_working_dir(job) != 0 ||
        write_launch(job, groups) != 0)
        return -1;
    job->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    (void)owner_of(dir, &job->owner_dir);
    return job->dir >= 0 ? 0 : failure_errno(&job->error, errno, "no descriptor is left");
}

/* A run that never was has ended too: whoever looks at the record finds out why. */
static void record_failure(struct launching *job)
{
    struct wire_status exit = {.size = sizeof exit,
                               .version = WIRE_VERSION,
                               .phase = WIRE_FAILED,
                               .step = WIRE_STEP_PREPARE,
                               .exit_code = -1,
                               .incarnation = (uint64_t)record_integer(&job->record, "incarnation")};
    bool other = strcmp(job->error.code, OWNER_OTHER) == 0;
    if (!job->fresh && !other && *fd_of(job, WIRE_FD_LOCK) >= 0 && job->record.document)
        (void)control_dir_write_exit(*fd_of(job, WIRE_FD_CONTROL_DIR), &exit);
}

static void launch_run(void *arg)
{
    struct launching *job = arg;
    struct limits_groups *groups = calloc(1, sizeof *groups);
    if (!groups)
        abort();
    job->result = prepare(job, groups);
    if (job->result != 0) {
        for (uint32_t i = 0; i < groups->count; i++)
            (void)cgroup_remove(groups->dirs[i], 0);
        record_failure(job);
    }
    free(groups);
}

static int spawn(struct launching *job, int *link)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return failure_errno(&job->error, errno, "no connection to its supervisor can be made");
    *fd_of(job, WIRE_FD_LINK) = pair[1];
    const char *argv[] = {"process-supervisor", job->id, NULL};
    const char *envp[] = {NULL};
    struct sbx_spawn spawn = {
        .size = sizeof spawn,
        .path = job->backend->supervisor,
        .argv = argv,
        .envp = envp,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .pass_fds_count = sizeof job->fds / sizeof *job->fds,
        .pass_fds = job->fds,
    };
    *link = pair[0];
    job->sandbox->child = job->host->child_spawn(job->backend->public, &spawn, NULL, NULL, &job->error);
    if (job->sandbox->child != 0)
        return 0;
    close(pair[0]);
    return -1;
}

static void sync_run(void *arg)
{
    struct launching *job = arg;
    job->result = record_sync(job->backend->state_dir, job->dir);
    if (job->result != 0)
        failure_errno(&job->error, errno, "its record can't be synced");
}

static void launching_free(struct launching *job)
{
    for (size_t i = 0; i < sizeof job->fds / sizeof *job->fds; i++)
        if (job->fds[i] >= 0)
            close(job->fds[i]);
    if (job->dir >= 0)
        close(job->dir);
    if (job->record.document)
        record_finish(&job->record);
    free(job);
}

static void sync_done(void *arg)
{
    struct launching *job = arg;
    struct sandbox *sandbox = job->sandbox;
    if (job->result != 0)
        job->host->log(job->backend->public, SBX_LOG_WARN, sandbox->id, "%s", job->error.message);
    sandbox->jobs--;
    sandbox->syncing = false;
    launching_free(job);
    sandbox_step(sandbox);
}

static void fail(struct launching *job)
{
    struct sandbox *sandbox = job->sandbox;
    struct request *request = sandbox->request;
    job->host->log(job->backend->public, SBX_LOG_WARN, sandbox->id, "could not be started: %s",
                   job->error.message);
    if (request) {
        request->failed = true;
        request->failure = job->error;
    }
    sandbox->end_reported = false;
    sandbox_set_life(sandbox, job->fresh ? LIFE_DEAD : LIFE_UNKNOWN);
    launching_free(job);
    sandbox_step(sandbox);
}

static void take_run(struct sandbox *sandbox, struct launching *job)
{
    sandbox->incarnation = job->incarnation;
    sandbox->attempt = job->attempt;
    sandbox->port = job->port;
    sandbox->owner_dir = job->owner_dir;
    sandbox->status = (struct wire_status){.incarnation = job->incarnation};
    sandbox->end_reported = false;
    free(sandbox->tail);
    sandbox->tail = NULL;
    if (!job->fresh)
        return;
    sandbox->created_at_us = record_integer(&job->record, "created_at_us");
    sandbox_keep_text(&sandbox->owner, record_text(&job->record, "owner"));
    sandbox_keep_text(&sandbox->spec_id, record_text(&job->record, "spec_id"));
    sandbox_keep_text(&sandbox->session_key, record_text(&job->record, "session_key"));
}

static void launch_done(void *arg)
{
    struct launching *job = arg;
    struct sandbox *sandbox = job->sandbox;
    int link = -1;
    sandbox->jobs--;
    sandbox->busy = false;
    if (job->result != 0 || spawn(job, &link) != 0) {
        fail(job);
        return;
    }
    take_run(sandbox, job);
    if (sandbox->request)
        sandbox->request->launched = true;
    /* Now they are the supervisor's: nothing of ours may keep the lock or the port. */
    for (size_t i = 0; i < sizeof job->fds / sizeof *job->fds; i++) {
        close(job->fds[i]);
        job->fds[i] = -1;
    }
    if (link_adopt(sandbox, link) == 0) {
        sandbox_set_life(sandbox, LIFE_LAUNCHING);
        sandbox_arm(sandbox, LAUNCH_GUARD_MS);
    } else {
        sandbox_set_life(sandbox, LIFE_UNKNOWN);
    }
    job->host->log(job->backend->public, SBX_LOG_INFO, sandbox->id, "started on port %u", sandbox->port);
    sandbox->syncing = true;
    sandbox->jobs++;
    job->host->work(job->backend->public, sync_run, sync_done, job);
    sandbox_step(sandbox);
}

void launch_begin(struct sandbox *sandbox, bool retry)
{
    struct process_backend *backend = sandbox->backend;
    struct launching *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    job->sandbox = sandbox;
    job->host = backend->host;
    job->backend = backend;
    memcpy(job->id, sandbox->id, strlen(sandbox->id) + 1);
    job->fresh = sandbox->life == LIFE_ABSENT;
    job->record.json = backend->host->json;
    if (job->fresh) {
        job->record.document = sandbox->request->record;
        sandbox->request->record = NULL;
    }
    job->attempt = retry ? sandbox->attempt + 1 : 0;
    job->port = retry || job->fresh ? 0 : sandbox->port;
    /* Never 0, and within what a JSON integer holds. */
    backend->host->random(&job->incarnation, sizeof job->incarnation);
    job->incarnation = (job->incarnation >> 1) | 1;
    for (size_t i = 0; i < sizeof job->fds / sizeof *job->fds; i++)
        job->fds[i] = -1;
    job->dir = -1;
    sandbox->jobs++;
    sandbox->busy = true;
    backend->host->work(backend->public, launch_run, launch_done, job);
}
