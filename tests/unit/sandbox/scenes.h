/* What tests of the service say again and again, on top of the world of fakes.h. */
#ifndef TEST_SANDBOX_SCENES_H
#define TEST_SANDBOX_SCENES_H

#include "fakes.h"

extern const struct viewer anybody;

/* The answer to one call; given twice fails the test. */
struct answer {
    bool given, failed;
    char id[64];
    enum sandbox_status status;
    struct sbx_error err;
};
void answered(void *arg, const struct sandbox *sandbox, const struct sbx_error *err);

/* A world whose first generation is in force. */
struct world *begin(uint32_t max, enum over_limit over_limit);
void start(struct world *world, struct answer *answer);
void start_one(struct world *world, char *id); /* until it runs; its id in `id` */
const struct sandbox *get(struct world *world, const char *id);
size_t how_many(struct world *world, enum sandbox_status status);

#endif
