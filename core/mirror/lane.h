/* mirror/lane.h: one of events.callbacks: reads the store from its place on (place.h), sends message after message
 * (window.h), one at a time, and keeps its place in the store, under the URL.
 *
 * What is not taken is sent again, after a growing while, until the answer is 2xx. Meanwhile its sandbox alone is held,
 * and others are tried: a message that the receiver never takes, which one agent may make, holds up nobody else. Once
 * none of them is taken either, that while grows for all. Loop thread only. Private. */
#ifndef MIRROR_LANE_H
#define MIRROR_LANE_H

#include "mirror/delivery.h"
#include "mirror/mirror.h"
#include "mirror/place.h"

enum { LANE_KEY_SIZE = 65, LANE_NAME_SIZE = 320 };

/* No backend is called so: their names begin with a letter or a digit. The places are in it, by their lane's key. */
extern const char lane_space[];

struct lane {
    const struct mirror_deps *deps;
    struct lane *next;
    char *url;
    char *secret;              /* NULL: not signed */
    char key[LANE_KEY_SIZE];   /* in the store: the SHA-256 of the URL, in which there may be a secret */
    char name[LANE_NAME_SIZE]; /* for people: its place in the configuration, and the host */
    struct lane **removed;     /* the list that it is in, until `asked` is 0; NULL: it is wanted */
    unsigned asked;            /* questions to the store without an answer yet */
    unsigned failures;         /* in a row, of sandboxes that are not held */
    uint64_t ready_ms;         /* when those are tried again, of clock_ms() */
    int64_t newest;            /* event when it began, from which a new one goes on; -1: not known yet */
    struct place place;
    struct window window; /* read, and not taken yet, of those */
    struct held *retried; /* the held sandbox whose turn it is; NULL: none */
    struct window again;  /* its events, read and not taken yet */
    struct event timer;   /* for the next turn */
    struct delivery delivery;
    bool placed;       /* `place` is known */
    bool unread;       /* there are events behind the place, and behind the window */
    bool others_first; /* the last turn was one of a held sandbox */
    uint64_t dropped;  /* that the log has no line about */
    struct mirror_callback stats;
};

/* `deps` stays as long as the lane. */
struct lane *lane_create(const struct mirror_deps *deps, const char *url);
void lane_set_name(struct lane *lane, size_t index);
void lane_set_secret(struct lane *lane, const char *secret);
void lane_begin(struct lane *lane); /* after both of them */
/* There are new events. */
void lane_wake(struct lane *lane);
void lane_expire(struct lane *lane, const struct store_expired *expired);
/* It is not wanted any more. It is freed, at once or once the store has answered: until then it is in `removed`. */
void lane_remove(struct lane *lane, struct lane **removed);
void lane_free(struct lane *lane); /* when the store gives no answers any more */

#endif
