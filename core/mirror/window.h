/* mirror/window.h: the next events that a callback is to be told of, as messages.
 *
 * A window is what one read of the store gave. Its events go into one message for each conversation (more where they
 * are many), so that many agents that report at once don't make as many messages as events. Messages of one
 * conversation follow each other in the order of its events. Knows nothing of who gets them. */
#ifndef MIRROR_WINDOW_H
#define MIRROR_WINDOW_H

#include "base/buffer.h"
#include "mirror/mirror.h"

enum {
    WINDOW_EVENTS = 500,        /* in a window */
    MESSAGE_EVENTS = 100,       /* in a message */
    MESSAGE_BYTES = 1024 * 1024 /* a larger event is a message of its own */
};

struct message {
    struct message *next;
    char *sandbox_id;
    char conversation_id[MIRROR_CONVERSATION_ID_SIZE];
    int64_t seqs[MESSAGE_EVENTS];
    size_t count;
    struct buffer body; /* a JSON array of the events, each as it was reported */
};

struct window {
    struct message *first, **last;
    int64_t through; /* the last event that was read for it */
};

void window_init(struct window *window);
/* The window is empty; of the events those come into it that are `wanted`. -1: no memory for so much; it is empty
 * again then. */
int window_fill(struct window *window, const struct store_events *events,
                bool (*wanted)(const void *arg, const struct store_event *event), const void *arg);
void window_drop_first(struct window *window);
void window_drop_sandbox(struct window *window, const char *sandbox_id);
/* The first event that is still there, of this sandbox or (NULL) of any: there is one. */
int64_t window_first_of(const struct window *window, const char *sandbox_id);
bool window_has(const struct window *window, int64_t seq);
void window_clear(struct window *window);

#endif
