/* list.c: the list operation; see backend.h. Finds sandboxes that this instance does not know yet. */
#include "backend.h"
#include "common/failure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MS = 3000 }; /* for all supervisors to say how they are; one that does not is STARTING */

struct listing {
    struct listing *next;
    struct process_backend *backend;
    sbx_op op;
    uint64_t number;
    sbx_timer timer;
    int state_dir;
    bool scanning; /* the job has what follows */
    char **names;  /* of the control directories */
    size_t count, capacity;
    bool scanned, over;
};

bool list_is_id(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= SANDBOX_ID_MAX && *name != '.' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

static void scan_run(void *arg)
{
    struct listing *listing = arg;
    int copy = openat(listing->state_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return;
    }
    listing->scanned = true;
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (!list_is_id(entry->d_name))
            continue;
        if (listing->count == listing->capacity) {
            listing->capacity = listing->capacity ? listing->capacity * 2 : 64;
            char **more = reallocarray(listing->names, listing->capacity, sizeof *more);
            if (!more)
                abort();
            listing->names = more;
        }
        listing->names[listing->count] = strdup(entry->d_name);
        if (!listing->names[listing->count++])
            abort();
    }
    closedir(stream);
}

static void finish(struct listing *listing)
{
    struct process_backend *backend = listing->backend;
    struct listing **at = &backend->listings;
    while (*at != listing)
        at = &(*at)->next;
    *at = listing->next;
    /* Most that have ended were reported when they were looked at again, with the tails of their logs. */
    for (size_t i = 0; i < SANDBOX_BUCKETS; i++)
        for (struct sandbox *sandbox = backend->buckets[i]; sandbox; sandbox = sandbox->next)
            if (sandbox->request || (sandbox->life != LIFE_DEAD && sandbox->life != LIFE_ABSENT) ||
                (sandbox->life == LIFE_DEAD && sandbox->listed < listing->number))
                report_state(sandbox);
    struct sbx_error error;
    if (!listing->scanned)
        failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the state directory can't be read");
    else if (backend->quiesced)
        failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the backend is being replaced");
    bool failed = !listing->scanned || backend->quiesced;
    backend->host->timer_cancel(backend->public, listing->timer);
    backend->host->complete(backend->public, listing->op, failed ? &error : NULL);
    free(listing);
}

void list_check(struct process_backend *backend)
{
    for (struct listing *listing = backend->listings, *next; listing; listing = next) {
        next = listing->next;
        if (!listing->scanning && (listing->over || backend->quiesced || backend->unknown == 0))
            finish(listing);
    }
}

static void timer_fired(void *arg)
{
    struct listing *listing = arg;
    listing->timer = 0;
    listing->over = true;
    list_check(listing->backend);
}

/* What has ended is looked at again: its directory may be gone, or an older instance may have started it. */
static void look_again(struct process_backend *backend)
{
    for (size_t i = 0; i < SANDBOX_BUCKETS; i++)
        for (struct sandbox *sandbox = backend->buckets[i]; sandbox; sandbox = sandbox->next)
            if (sandbox->life == LIFE_DEAD && !sandbox->request && !sandbox->busy) {
                sandbox->end_reported = false;
                sandbox_set_life(sandbox, LIFE_UNKNOWN);
            }
}

static void scan_done(void *arg)
{
    struct listing *listing = arg;
    struct process_backend *backend = listing->backend;
    if (!backend->quiesced) {
        look_again(backend);
        for (size_t i = 0; i < listing->count; i++)
            if (!sandbox_find(backend, listing->names[i]))
                sandbox_add(backend, listing->names[i]);
    }
    /* Until they have all begun list_check() leaves this listing alone. */
    for (size_t i = 0; i < SANDBOX_BUCKETS; i++)
        for (struct sandbox *sandbox = backend->buckets[i], *next; sandbox; sandbox = next) {
            next = sandbox->next;
            if (sandbox->life == LIFE_UNKNOWN)
                sandbox_step(sandbox);
        }
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
    listing->names = NULL;
    listing->scanning = false;
    listing->timer = backend->host->timer_start(backend->public, LIST_MS * 1000, timer_fired, listing);
    list_check(backend);
}

void list_begin(struct process_backend *backend, sbx_op op)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing)
        abort();
    listing->scanning = true;
    listing->backend = backend;
    listing->op = op;
    listing->number = ++backend->listings_begun;
    listing->state_dir = backend->state_dir;
    listing->next = backend->listings;
    backend->listings = listing;
    backend->host->work(backend->public, scan_run, scan_done, listing);
}

void list_cancel(struct process_backend *backend, sbx_op op)
{
    for (struct listing *listing = backend->listings; listing; listing = listing->next)
        if (listing->op == op)
            listing->over = true;
    list_check(backend);
}
