/* fakes.h: a store in memory and an HTTP client that does what the test says, in place of the real ones. */
#ifndef TESTS_PLUGIN_FAKES_H
#define TESTS_PLUGIN_FAKES_H

#include "net/client.h"
#include "store/store.h"

struct store *fake_store_create(struct loop *loop);
void fake_store_destroy(struct store *store);
/* From now on each answer waits for fake_store_answer(). */
void fake_store_hold(struct store *store);
void fake_store_answer(struct store *store);

struct client_transfer {
    struct client *client;
    struct client_transfer *next;
    char url[256];
    struct client_handler handler;
    void *arg;
    unsigned resumed;
};
struct client {
    struct client_transfer *transfers; /* those under way, newest first */
    unsigned started, cancelled;
    bool refuse;
};
void fake_client_finish(struct client_transfer *transfer, const struct sbx_error *err, int status,
                        const char *body);

#endif
