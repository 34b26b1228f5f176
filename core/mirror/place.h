/* mirror/place.h: how far a callback has got in the events: the place in the store, and the sandboxes that are behind it.
 *
 * A sandbox one of whose messages was not taken is held: what it reports waits, and is sent again from where it stopped,
 * while the place moves on with the events of the others. Knows neither the store nor who is told. Private. */
#ifndef MIRROR_PLACE_H
#define MIRROR_PLACE_H

#include "base/buffer.h"

#include <stdint.h>

enum {
    PLACE_HELD_MAX = 256,      /* sandboxes; when one more would be held, all wait for it */
    PLACE_TEXT_MAX = 64 * 1024 /* of a place that is written */
};

struct held {
    struct held *next;
    char *sandbox_id;
    int64_t told;      /* all of its events up to this one were taken, or are gone */
    unsigned failures; /* in a row */
    uint64_t due_ms;   /* when it is tried again, of clock_ms() */
};

struct place {
    int64_t told; /* all events up to this one were taken, or are gone, but for those of held sandboxes */
    struct held *held; /* owned */
    size_t count;      /* of them */
};

/* What place_write() has written. False, and an empty place: it is something else. */
bool place_read(struct place *place, const char *text, size_t len);
void place_write(const struct place *place, struct buffer *out);
void place_finish(struct place *place);

/* NULL: it is not held. */
struct held *place_find(const struct place *place, const char *sandbox_id);
/* Due at once. NULL: there are PLACE_HELD_MAX. */
struct held *place_hold(struct place *place, const char *sandbox_id, int64_t told);
void place_release(struct place *place, struct held *held);
/* The one that is due first; NULL: none is held. */
struct held *place_next(const struct place *place);

#endif
