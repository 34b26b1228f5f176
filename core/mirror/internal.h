/* mirror/internal.h: the mirror's state, shared by its files. Private. */
#ifndef MIRROR_INTERNAL_H
#define MIRROR_INTERNAL_H

#include "base/map.h"
#include "mirror/mirror.h"

struct mirror {
    struct mirror_deps deps;
    struct config *config; /* in force; NULL before the first */
    struct map sources;    /* sandboxes with reports on their way (report.c) */
    struct mirror_report *open;
    size_t on_the_way;         /* bytes of all that are here whole */
    uint64_t logged_ms;        /* when a refusal was last logged; 0: never */
    void (*stored)(void *arg); /* NULL: nobody listens */
    void *stored_arg;
    struct mirror_stats stats;
    struct poller *poller;
    struct callbacks *callbacks;
    struct retention *retention;
};

/* Frees what waits, and leaves to the store what it has. */
void reports_finish(struct mirror *mirror);

#endif
