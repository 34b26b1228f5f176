/* waiters.c: see waiters.h. */
#include "images/waiters.h"

#include <stdlib.h>

struct image_waiter *waiters_add(struct waiters *waiters, void *work, waiter_progress progress,
                                 waiter_done done, void *arg)
{
    struct image_waiter *waiter = calloc(1, sizeof *waiter);
    if (!waiter)
        abort();
    *waiter = (struct image_waiter){
        .next = waiters->first, .work = work, .progress = progress, .done = done, .arg = arg, .fresh = true};
    waiters->first = waiter;
    return waiter;
}

bool waiters_sweep(struct waiters *waiters)
{
    for (struct image_waiter **at = &waiters->first; *at;) {
        struct image_waiter *waiter = *at;
        if (waiter->left) {
            *at = waiter->next;
            free(waiter);
        } else {
            at = &waiter->next;
        }
    }
    return waiters->first != NULL;
}

void waiters_tell(struct waiters *waiters, const char *detail, bool moved)
{
    waiters->calling = true;
    for (struct image_waiter *waiter = waiters->first; waiter; waiter = waiter->next) {
        bool due = (moved || waiter->fresh) && !waiter->left;
        waiter->fresh = false;
        if (due)
            waiter->progress(waiter->arg, detail);
    }
    waiters->calling = false;
}

void waiters_end(struct waiters *waiters, const struct sbx_error *error)
{
    waiters->calling = true;
    for (struct image_waiter *waiter; (waiter = waiters->first);) {
        waiters->first = waiter->next;
        if (!waiter->left)
            waiter->done(waiter->arg, error);
        free(waiter);
    }
    waiters->calling = false;
}

void waiters_drop(struct waiters *waiters)
{
    for (struct image_waiter *waiter; (waiter = waiters->first);) {
        waiters->first = waiter->next;
        free(waiter);
    }
}
