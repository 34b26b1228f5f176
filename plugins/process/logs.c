/* logs.c: the logs operation; see backend.h. Reads on the pool, a piece at a time, as fast as the stream takes
 * it; at the end of the log it asks the supervisor to be told when there is more. */
#include "backend.h"
#include "common/failure.h"
#include "control_dir.h"
#include "link.h"
#include "logfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 32 * 1024 };

struct follower {
    struct follower *next;
    struct process_backend *backend;
    sbx_op op;
    int state_dir;
    uint32_t tail;
    bool follow, cancelled;
    bool begun;   /* the position is known */
    bool reading; /* a job has this follower */
    bool full;    /* the stream takes nothing now */
    bool waiting; /* for more output */
    bool last;    /* nothing was running any more when the job began */
    bool missing; /* there is no such sandbox */
    uint64_t position;
    char *piece;
    size_t len;
    char id[SANDBOX_ID_MAX + 1];
};

static void finish(struct follower *follower, const struct sbx_error *error)
{
    struct process_backend *backend = follower->backend;
    struct follower **at = &backend->followers;
    while (*at != follower)
        at = &(*at)->next;
    *at = follower->next;
    backend->host->complete(backend->public, follower->op, error);
    struct sandbox *sandbox = sandbox_find(backend, follower->id);
    free(follower);
    if (sandbox && backend->quiesced && sandbox->link >= 0)
        sandbox_step(sandbox); /* the connection was kept for this */
}

/* Will there be no more output, as far as this instance can tell? */
static bool is_over(const struct follower *follower)
{
    struct process_backend *backend = follower->backend;
    const struct sandbox *sandbox = sandbox_find(backend, follower->id);
    return !sandbox || sandbox->life == LIFE_DEAD || sandbox->life == LIFE_ABSENT ||
           (backend->quiesced && sandbox->link < 0);
}

static void read_run(void *arg)
{
    struct follower *follower = arg;
    int dir = control_dir_open(follower->state_dir, follower->id);
    follower->len = 0;
    follower->missing = dir < 0;
    if (dir < 0)
        return;
    if (!follower->begun)
        follower->position = logfile_tail(dir, follower->tail, UINT64_MAX);
    follower->begun = true;
    follower->len = logfile_read(dir, &follower->position, follower->piece, PIECE);
    close(dir);
}

static void step(struct follower *follower);

static void read_done(void *arg)
{
    struct follower *follower = arg;
    const struct sbx_host *host = follower->backend->host;
    follower->reading = false;
    if (follower->len > 0 && !follower->cancelled)
        follower->full = host->stream_write(follower->backend->public, follower->op, follower->piece,
                                            follower->len) == SBX_STREAM_STOP;
    free(follower->piece);
    follower->piece = NULL;
    if (follower->len == 0)
        follower->waiting = true;
    step(follower);
}

static void step(struct follower *follower)
{
    struct process_backend *backend = follower->backend;
    struct sbx_error error;
    if (follower->reading)
        return;
    if (follower->cancelled) {
        failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_INTERNAL, "cancelled");
        finish(follower, &error);
    } else if (follower->missing && !follower->begun) {
        failure_set(&error, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no such sandbox any more");
        finish(follower, &error);
    } else if (follower->waiting && (!follower->follow || follower->last || follower->missing)) {
        finish(follower, NULL);
    } else if (follower->waiting && !is_over(follower)) {
        struct sandbox *sandbox = sandbox_find(backend, follower->id);
        if (sandbox->link >= 0)
            (void)link_send(sandbox, WIRE_OUTPUT, follower->position, 0);
    } else if (!follower->full) {
        follower->waiting = false;
        follower->last = is_over(follower);
        follower->piece = malloc(PIECE);
        if (!follower->piece)
            abort();
        follower->reading = true;
        backend->host->work(backend->public, read_run, read_done, follower);
    }
}

void logs_begin(struct process_backend *backend, const struct sbx_logs *logs, sbx_op op)
{
    struct follower *follower = calloc(1, sizeof *follower);
    if (!follower)
        abort();
    follower->backend = backend;
    follower->op = op;
    follower->state_dir = backend->state_dir;
    follower->tail = logs->tail;
    follower->follow = logs->follow != 0;
    memcpy(follower->id, logs->sandbox_id, strlen(logs->sandbox_id) + 1);
    follower->next = backend->followers;
    backend->followers = follower;
    step(follower);
}

static struct follower *find(struct process_backend *backend, sbx_op op)
{
    struct follower *follower = backend->followers;
    while (follower && follower->op != op)
        follower = follower->next;
    return follower;
}

void logs_ready(struct process_backend *backend, sbx_op op)
{
    struct follower *follower = find(backend, op);
    if (!follower || !follower->full)
        return;
    follower->full = false;
    step(follower);
}

void logs_cancel(struct process_backend *backend, sbx_op op)
{
    struct follower *follower = find(backend, op);
    if (!follower)
        return;
    follower->cancelled = true;
    step(follower);
}

void logs_wake(struct process_backend *backend, const char *sandbox_id)
{
    for (struct follower *follower = backend->followers, *next; follower; follower = next) {
        next = follower->next;
        if (follower->waiting && strcmp(follower->id, sandbox_id) == 0) {
            follower->waiting = false;
            step(follower);
        }
    }
}

bool logs_followed(const struct process_backend *backend, const char *sandbox_id)
{
    for (const struct follower *follower = backend->followers; follower; follower = follower->next)
        if (strcmp(follower->id, sandbox_id) == 0)
            return true;
    return false;
}
