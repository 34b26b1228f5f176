/* sandbox/health.h: is a sandbox's agent server answering?
 *
 * Each sandbox is checked by itself, never in a read's way and each with its own timeout. While it starts,
 * the first check comes 1 ms after the start and each next one after a fifth of the time since then, at
 * least 1 ms and at most 1 s; afterwards one comes every health_interval. Part of a sandbox; has no rules of
 * its own about status.
 */
#ifndef SANDBOX_HEALTH_H
#define SANDBOX_HEALTH_H

#include "base/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct sandbox;
struct client_transfer;
struct backend_operation;

struct health {
    struct event timer;
    struct sandbox *next_due, **due;   /* in the queue for a check; due NULL: it is not */
    struct client_transfer *transfer;  /* the check under way, or NULL */
    struct backend_operation *confirm; /* is it this sandbox that answered? or NULL */
    struct backend_operation *tail;    /* the log's end is being fetched, or NULL */
    uint64_t since_us;                 /* of the start that is watched */
    char *reason;      /* of a check since that start that failed, the best to be told; or NULL */
    unsigned failures; /* in a row, since it last answered */
    bool cut_short;    /* the check under way ends with startup_timeout, and not with its own */
    bool more_tail;    /* it is asked for further back */
    bool first;        /* no check of that start has ended yet */
    bool answered;     /* since that start */
    bool moved;        /* and it is reached elsewhere since, where nobody has answered yet */
    bool timed_out;    /* it did not answer within startup_timeout */
};

void health_init(struct sandbox *sandbox);
/* It runs, or is on its way, and is watched from now on as newly started; not while an operation that is to make
 * it run is in flight, which has a time-out of its own: from its end, by health_go_on(), or from the report that
 * it runs. */
void health_begin(struct sandbox *sandbox);
/* It is the same run, and its agent server is reached elsewhere: it is asked there at once, and is until then what the
 * last checks said. */
void health_move(struct sandbox *sandbox);
/* There may be something to watch where there was not: another path, a backend that came back, an operation that
 * has ended. */
void health_go_on(struct sandbox *sandbox);
/* It does not run: nothing is checked. */
void health_end(struct sandbox *sandbox);
/* All checks of a service: so many at once, that a restart with thousands does not need as many descriptors. Who
 * does not answer holds a place for its timeout and no longer; the others wait in turn. */
struct health_queue {
    unsigned under_way;
    unsigned firsts; /* sandboxes that run and whose first check has not ended */
    struct sandbox *first, **last;
    struct loop_task admit; /* who is first, once there is room */
};
void health_queue_init(struct health_queue *queue);

/* Answered since it started, and not failing twice in a row. */
static inline bool health_good(const struct health *health)
{
    return health->answered && health->failures < 2;
}

/* It did not answer in time, or has stopped to. */
static inline bool health_bad(const struct health *health)
{
    return !health_good(health) && (health->answered || health->timed_out);
}

#endif
