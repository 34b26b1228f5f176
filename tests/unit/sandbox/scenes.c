/* See scenes.h. */
#include "scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const struct viewer anybody = {.everything = true};

void answered(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    struct answer *answer = arg;
    assert_false(answer->given);
    answer->given = true;
    if (sandbox) {
        snprintf(answer->id, sizeof answer->id, "%s", sandbox->id);
        answer->status = sandbox->status;
    }
    if (err) {
        answer->failed = true;
        answer->err = *err;
    }
}

void start(struct world *world, struct answer *answer)
{
    struct sbx_error err;
    *answer = (struct answer){0};
    assert_non_null(service_start(world->service, world->config, &anybody, NULL, 0, answered, answer, &err));
}

const struct sandbox *get(struct world *world, const char *id)
{
    return table_get(service_table(world->service), &anybody, id);
}

size_t how_many(struct world *world, enum sandbox_status status)
{
    size_t counts[SANDBOX_STATUSES];
    table_count(service_table(world->service), NULL, counts);
    return counts[status];
}

struct world *begin(uint32_t max, enum over_limit over_limit)
{
    struct world *world = world_create(max, over_limit);
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    return world;
}

void start_one(struct world *world, char *id)
{
    struct answer answer;
    start(world, &answer);
    store_flush(world, NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_true(answer.given && !answer.failed);
    strcpy(id, answer.id);
}
