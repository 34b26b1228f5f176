/* mirror/retention.h: lets go of what was reported longer ago than events.retention: at the start, at each change of
 * it, and from time to time, in steps that hold up nothing. Loop thread only. Private. */
#ifndef MIRROR_RETENTION_H
#define MIRROR_RETENTION_H

#include "mirror/mirror.h"

struct retention;

/* `expired` is told of each step; `more` of the last is false, unless the store failed. */
struct retention *retention_create(const struct mirror_deps *deps,
                                   void (*expired)(void *arg, const struct store_expired *what), void *arg);
void retention_commit(struct retention *retention, const struct config *next);
void retention_destroy(struct retention *retention);

#endif
