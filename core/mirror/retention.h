/* mirror/retention.h: lets go of what was reported longer ago than events.retention: at the start, at each change of
 * it, and from time to time, in steps that hold up nothing. Loop thread only. Private. */
#ifndef MIRROR_RETENTION_H
#define MIRROR_RETENTION_H

#include "mirror/mirror.h"

struct retention;

/* `expired` is told after each time that events went: none up to `through_seq` is left. */
struct retention *retention_create(const struct mirror_deps *deps,
                                   void (*expired)(void *arg, int64_t through_seq), void *arg);
void retention_commit(struct retention *retention, const struct config *next);
void retention_destroy(struct retention *retention);

#endif
