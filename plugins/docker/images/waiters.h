/* waiters.h: those who wait for one piece of work on an image (a pull, a build), which is done once for all of them.
 * Knows nothing of the work.
 */
#ifndef DOCKER_WAITERS_H
#define DOCKER_WAITERS_H

#include <sandboxd/error.h>
#include <stdbool.h>

/* What happens comes to them by these, never from inside the call that they joined with. `detail` is a sentence for
 * status_detail. */
typedef void (*waiter_progress)(void *arg, const char *detail);
typedef void (*waiter_done)(void *arg, const struct sbx_error *err);

struct image_waiter {
    struct image_waiter *next;
    void *work;
    waiter_progress progress;
    waiter_done done;
    void *arg;
    bool fresh; /* was told nothing yet */
    bool left;  /* while the work calls: to be freed after that */
};

struct waiters {
    struct image_waiter *first;
    bool calling; /* a waiter's function is on the stack */
};

struct image_waiter *waiters_add(struct waiters *waiters, void *work, waiter_progress progress,
                                 waiter_done done, void *arg);
/* Frees those who left. False: nobody waits any more. */
bool waiters_sweep(struct waiters *waiters);
/* To all where something moved, else to those who were told nothing yet. waiters_sweep() is due afterwards. */
void waiters_tell(struct waiters *waiters, const char *detail, bool moved);
/* done() for each; nobody is left. */
void waiters_end(struct waiters *waiters, const struct sbx_error *error);
/* Frees them without a call. */
void waiters_drop(struct waiters *waiters);

#endif
