/* mirror/retention.c: see retention.h. What is deleted how is the store's business. */
#include "mirror/retention.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum { HOUR_MS = 60 * 60 * 1000 };

struct retention {
    struct mirror_deps deps;
    void (*expired)(void *arg, const struct store_expired *what);
    void *arg;
    uint64_t keep_ms; /* 0: before the first configuration */
    struct event timer;
    bool under_way, again;
    int64_t place;                /* in the conversations */
    size_t events, conversations; /* that the steps so far have deleted */
};

static void begin(struct retention *retention);

/* Each hour; what is kept for less is looked at more often. */
static void finish(struct retention *retention)
{
    uint64_t period_ms = retention->keep_ms / 4;
    retention->under_way = false;
    if (retention->events || retention->conversations)
        log_info("%zu events and %zu conversations are older than events.retention, and were deleted",
                 retention->events, retention->conversations);
    if (retention->again)
        begin(retention);
    else
        loop_arm_ms(&retention->timer, period_ms < HOUR_MS ? period_ms : HOUR_MS);
}

static void step(struct retention *retention);

static void stepped(void *arg, const struct sbx_error *err, const struct store_expired *expired)
{
    struct retention *retention = arg;
    if (!err) { /* else the store has told, and the next time is soon enough */
        retention->events += expired->events;
        retention->conversations += expired->conversations;
        retention->place = expired->place;
        retention->expired(retention->arg, expired);
    }
    if (!err && expired->more)
        step(retention);
    else
        finish(retention);
}

static void step(struct retention *retention)
{
    store_reports_expire(retention->deps.store, clock_wall_us() - (int64_t)retention->keep_ms * 1000,
                         retention->place, stepped, retention);
}

static void begin(struct retention *retention)
{
    event_del(&retention->timer);
    retention->under_way = true;
    retention->again = false;
    retention->place = 0;
    retention->events = retention->conversations = 0;
    step(retention);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    begin(arg);
}

struct retention *retention_create(const struct mirror_deps *deps,
                                   void (*expired)(void *arg, const struct store_expired *what), void *arg)
{
    struct retention *retention = calloc(1, sizeof *retention);
    if (!retention)
        abort();
    retention->deps = *deps;
    retention->expired = expired;
    retention->arg = arg;
    evtimer_assign(&retention->timer, loop_base(deps->loop), on_timer, retention);
    return retention;
}

void retention_commit(struct retention *retention, const struct config *next)
{
    if (retention->keep_ms == next->events_retention_ms)
        return;
    retention->keep_ms = next->events_retention_ms;
    if (retention->under_way)
        retention->again = true;
    else
        begin(retention);
}

void retention_destroy(struct retention *retention)
{
    if (!retention)
        return;
    event_del(&retention->timer);
    free(retention);
}
