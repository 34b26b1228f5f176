/* mirror/callbacks.c: see callbacks.h. Owns the lanes, one a URL; how each goes is lane.c's. */
#include "mirror/callbacks.h"

#include "mirror/lane.h"

#include <stdlib.h>
#include <string.h>

struct callbacks {
    struct mirror_deps deps;
    struct lane *lanes;   /* in the order of the configuration */
    struct lane *removed; /* the store still has a question of theirs */
};

struct callbacks *callbacks_create(const struct mirror_deps *deps)
{
    struct callbacks *callbacks = calloc(1, sizeof *callbacks);
    if (!callbacks)
        abort();
    callbacks->deps = *deps;
    return callbacks;
}

static struct lane *take_lane(struct lane **lanes, const char *url)
{
    for (; *lanes; lanes = &(*lanes)->next) {
        struct lane *lane = *lanes;
        if (strcmp(lane->url, url) == 0) {
            *lanes = lane->next;
            lane->next = NULL;
            return lane;
        }
    }
    return NULL;
}

/* Places of URLs that are not in the configuration. */
static void listed(void *arg, const struct sbx_error *err, const char *const *keys, size_t count)
{
    struct callbacks *callbacks = arg;
    for (size_t i = 0; !err && i < count; i++) {
        const struct lane *lane = callbacks->lanes;
        while (lane && strcmp(lane->key, keys[i]) != 0)
            lane = lane->next;
        if (!lane)
            store_delete(callbacks->deps.store, lane_space, keys[i], NULL, NULL);
    }
}

void callbacks_commit(struct callbacks *callbacks, const struct config *next)
{
    struct lane *before = callbacks->lanes, **last = &callbacks->lanes;
    callbacks->lanes = NULL;
    for (size_t i = 0; i < next->callbacks_len; i++) {
        const struct config_callback *wanted = &next->callbacks[i];
        struct lane *lane = take_lane(&before, wanted->url);
        bool is_new = !lane;
        if (is_new)
            lane = lane_create(&callbacks->deps, wanted->url);
        lane_set_name(lane, i);
        lane_set_secret(lane, wanted->secret);
        if (is_new)
            lane_begin(lane);
        *last = lane;
        last = &lane->next;
    }
    for (struct lane *lane = before, *following; lane; lane = following) {
        following = lane->next;
        lane_remove(lane, &callbacks->removed);
    }
    store_list(callbacks->deps.store, lane_space, "", listed, callbacks);
}

void callbacks_wake(struct callbacks *callbacks)
{
    for (struct lane *lane = callbacks->lanes; lane; lane = lane->next)
        lane_wake(lane);
}

void callbacks_expire(struct callbacks *callbacks, const struct store_expired *expired)
{
    for (struct lane *lane = callbacks->lanes; lane; lane = lane->next)
        lane_expire(lane, expired);
}

bool callbacks_at(const struct callbacks *callbacks, size_t index, struct mirror_callback *callback)
{
    const struct lane *lane = callbacks->lanes;
    while (lane && index-- > 0)
        lane = lane->next;
    if (!lane)
        return false;
    *callback = lane->stats;
    callback->name = lane->name;
    return true;
}

static void free_lanes(struct lane *lane)
{
    for (struct lane *next; lane; lane = next) {
        next = lane->next;
        lane_free(lane);
    }
}

void callbacks_destroy(struct callbacks *callbacks)
{
    if (!callbacks)
        return;
    free_lanes(callbacks->lanes);
    free_lanes(callbacks->removed);
    free(callbacks);
}
