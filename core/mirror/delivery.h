/* mirror/delivery.h: one message on its way to a callback, and whether it was taken. Loop thread only. Private. */
#ifndef MIRROR_DELIVERY_H
#define MIRROR_DELIVERY_H

#include "mirror/window.h"

/* `why` NULL: the answer was 2xx. Else why it was not; valid during the call, and without what may be secret. */
typedef void (*delivery_done)(void *arg, const char *why);

/* One at a time; all zero before the first. */
struct delivery {
    struct client_transfer *transfer; /* NULL: none is under way */
    int status;                       /* of the answer that is coming in */
    size_t answer_size;               /* bytes of it */
    delivery_done done;
    void *arg;
};

/* The message is only looked at. `secret` NULL: it is not signed. `done` is called once, perhaps before this has
 * returned, unless the delivery is cancelled first. */
void delivery_start(struct delivery *delivery, struct client *client, const char *url, const char *secret,
                    const struct message *message, delivery_done done, void *arg);
void delivery_cancel(struct delivery *delivery); /* also where none is under way */

#endif
