/* sandbox/quota.c: room under max_sandboxes, for each user on each backend. Counts the sandboxes that hold
 * room, queues those that find none, and makes room by pausing the oldest that run. */
#include "sandbox/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *make_key(const struct home *home, const char *owner)
{
    char *key = NULL;
    if (asprintf(&key, "%s\n%s", home->name, owner ? owner : "") < 0)
        abort();
    return key;
}

void quota_join(struct sandbox *sandbox)
{
    struct service *service = sandbox->service;
    char *key = make_key(sandbox->home, sandbox->owner->name);
    struct quota *quota = map_get(&service->quotas, key);
    if (quota) {
        free(key);
    } else {
        if (!(quota = calloc(1, sizeof *quota)))
            abort();
        quota->key = key;
        quota->home = sandbox->home;
        quota->owner = sandbox->owner;
        quota->last = &quota->first;
        map_put(&service->quotas, quota->key, quota);
    }
    quota->members++;
    sandbox->quota = quota;
}

void quota_leave(struct sandbox *sandbox)
{
    struct quota *quota = sandbox->quota;
    quota_stop_waiting(sandbox);
    quota_set_holds(sandbox, false);
    sandbox->quota = NULL;
    if (--quota->members > 0)
        return;
    map_remove(&sandbox->service->quotas, quota->key);
    free(quota->key);
    free(quota);
}

static bool has_room(const struct quota *quota)
{
    uint32_t max = home_max_sandboxes(quota->home);
    return max == 0 || quota->active < max;
}

void quota_set_holds(struct sandbox *sandbox, bool holds)
{
    if (sandbox->holds_room == holds)
        return;
    sandbox->holds_room = holds;
    struct quota *quota = sandbox->quota;
    if (holds) {
        quota->active++;
    } else {
        quota->active--;
        quota_make_room(quota);
    }
}

int quota_check(struct service *service, struct home *home, const char *owner, struct sbx_error *err)
{
    uint32_t max = home_max_sandboxes(home);
    if (max == 0 || home->settings->over_limit != OVER_LIMIT_REJECT)
        return 0;
    char *key = make_key(home, owner);
    const struct quota *quota = map_get(&service->quotas, key);
    free(key);
    if (!quota)
        return 0;
    unsigned coming = quota->recording + quota->waiting, taken = quota->active + coming;
    if (taken < max)
        return 0;
    char run[64] = "run";
    if (coming > 0)
        snprintf(run, sizeof run, "run (%u) or are on their way (%u)", quota->active, coming);
    return error_set(err, SBX_ERR_LIMIT, "CONCURRENCY_LIMIT_REACHED",
                     "%u of %u sandboxes %s on backend '%s'; pause or delete one first", taken, max, run,
                     home->name);
}

static void enqueue(struct quota *quota, struct sandbox *sandbox)
{
    sandbox->next_waiting = NULL;
    *quota->last = sandbox;
    quota->last = &sandbox->next_waiting;
    quota->waiting++;
}

static void dequeue(struct quota *quota, struct sandbox *sandbox)
{
    struct sandbox **at = &quota->first;
    while (*at != sandbox)
        at = &(*at)->next_waiting;
    *at = sandbox->next_waiting;
    if (quota->last == &sandbox->next_waiting)
        quota->last = at;
    sandbox->next_waiting = NULL;
    quota->waiting--;
}

static void tell_waiting(struct quota *quota, struct sandbox *sandbox)
{
    char detail[256];
    snprintf(detail, sizeof detail,
             "waiting for room: %u of %u sandboxes of this user run on backend '%.100s'", quota->active,
             home_max_sandboxes(quota->home), quota->home->name);
    sandbox_set_detail(sandbox, detail);
}

bool quota_enter(struct sandbox *sandbox)
{
    struct quota *quota = sandbox->quota;
    if (sandbox->holds_room || (quota->waiting == 0 && has_room(quota)))
        return true;
    sandbox->phase = PHASE_WAITING;
    enqueue(quota, sandbox);
    tell_waiting(quota, sandbox);
    sandbox_refresh(sandbox);
    quota_make_room(quota);
    return false;
}

void quota_stop_waiting(struct sandbox *sandbox)
{
    if (sandbox->phase != PHASE_WAITING)
        return;
    dequeue(sandbox->quota, sandbox);
    sandbox_set_detail(sandbox, NULL);
    sandbox->phase = PHASE_IDLE;
}

static bool may_be_paused(const struct quota *quota, const struct sandbox *sandbox)
{
    return sandbox->quota == quota && sandbox->status == SANDBOX_RUNNING && sandbox->phase == PHASE_IDLE &&
           sandbox->wants == 0 && !sandbox->room_refused;
}

/* The one that waits at that place in the queue, from 0. */
static const struct sandbox *waiting_at(const struct quota *quota, unsigned place)
{
    const struct sandbox *sandbox = quota->first;
    while (place-- > 0)
        sandbox = sandbox->next_waiting;
    return sandbox;
}

static void pause_for(struct sandbox *sandbox, const struct sandbox *whom)
{
    char reason[256];
    snprintf(reason, sizeof reason,
             "paused to make room for sandbox '%.127s' of the same user (max_sandboxes)", whom->id);
    service_log(LOG_INFO, sandbox, "%s", reason);
    sandbox->service->stats.room_pauses++;
    sandbox_set_pause_reason(sandbox, reason);
    sandbox->wants |= WANT_PAUSE;
    sandbox_drive(sandbox);
}

/* Asks the oldest ones that run to pause, one for each that waits and has none on its way yet. */
static void pause_oldest(struct quota *quota)
{
    unsigned pausing = 0;
    const struct sandbox_order *order = &quota->owner->order;
    for (size_t i = 0; i < order->len; i++)
        if (order->items[i]->quota == quota &&
            (order->items[i]->phase == PHASE_PAUSING || order->items[i]->wants & WANT_PAUSE))
            pausing++;
    for (size_t i = 0; i < order->len && pausing < quota->waiting; i++) {
        struct sandbox *sandbox = order->items[i];
        if (!may_be_paused(quota, sandbox))
            continue;
        pause_for(sandbox, waiting_at(quota, pausing));
        pausing++;
    }
}

void quota_make_room(struct quota *quota)
{
    if (quota->home->service->stopping)
        return;
    while (quota->first && has_room(quota)) {
        struct sandbox *sandbox = quota->first;
        quota_stop_waiting(sandbox);
        sandbox_admit(sandbox);
    }
    const struct config_backend *settings = quota->home->settings;
    if (quota->first && settings && settings->over_limit == OVER_LIMIT_PAUSE_OLDEST)
        pause_oldest(quota);
}
