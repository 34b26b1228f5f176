/* remove.h: taking away what belongs to a sandbox, for its removal and for a start that failed. */
#ifndef DOCKER_REMOVE_H
#define DOCKER_REMOVE_H

#include "docker.h"

enum removal_scope {
    REMOVAL_ALL,
    REMOVAL_CONTAINER, /* another one of that name follows, and takes over the rest */
    REMOVAL_REST       /* the container of that name is somebody else's */
};

struct removal_order {
    const char *name; /* the sandbox's id; borrowed for the call */
    enum removal_scope scope;
    bool gracefully;      /* its program is asked to end first, and has its time for that */
    bool settle;          /* where nothing is found, something may be on its way: looks again after a while */
    uint64_t deadline_ms; /* what is not done by then fails as SBX_ERR_TIMEOUT; each call gets 1 s at least */
};

/* `err` NULL: nothing is left; the table, the store and the start's log forget it too (but for
 * REMOVAL_CONTAINER). Never calls `done` from inside. */
void removal_run(struct docker *docker, const struct removal_order *order,
                 void (*done)(void *arg, const struct sbx_error *err), void *arg);

#endif
