/* mirror/callbacks.h: tells each URL of events.callbacks of every new event, at least once.
 *
 * Each callback goes its own way (lane.h), from its place on. That is in the store, under the URL, and so is kept over
 * restarts and reloads: a URL that is new begins with what is stored from then on, one that was removed loses its place.
 * What it has not taken when the store lets go of it is dropped, and counted. Neither URLs nor secrets are in the log.
 * Loop thread only. Private.
 */
#ifndef MIRROR_CALLBACKS_H
#define MIRROR_CALLBACKS_H

#include "mirror/mirror.h"

struct callbacks;

struct callbacks *callbacks_create(const struct mirror_deps *deps);
void callbacks_commit(struct callbacks *callbacks, const struct config *next);
/* There are new events. */
void callbacks_wake(struct callbacks *callbacks);
/* These events are not in the store any more. */
void callbacks_expire(struct callbacks *callbacks, const struct store_expired *expired);
/* In the order of the configuration; false behind the last. */
bool callbacks_at(const struct callbacks *callbacks, size_t index, struct mirror_callback *callback);
/* What is under way is given up, and sent again by the next daemon. */
void callbacks_destroy(struct callbacks *callbacks);

#endif
