/* poll.c: when sandboxes are asked about, and whether the API is there; see remote.h. The API tells nothing by itself, so
 * that all are asked about every refresh_interval, and those that start in a growing interval, all of them in one
 * request. The same answers tell whether the API can be reached.
 *
 * One failure may be an accident: it is asked again after a second, and taken for lost after the second one. An API
 * that is lost is asked each second, or when it says by Retry-After; so is one that says 429.
 */
#include "remote.h"

enum {
    OPEN_MS = 5000, /* the host gives an opening 10 s */
    AGAIN_MS = 1000,
    LOST_AFTER = 2,
    HOLD_OFF_MOST_MS = 60000, /* an API that is back earlier than it said is seen all the same */
    STARTING_LEAST_MS = 50,
    STARTING_MOST_MS = 2000
};

static void ask_all(void *arg);
static void ask_starting(void *arg);

/* ---- timers ---- */

/* The delay, made longer where the API asked for more. */
static uint64_t held_off_ms(const struct remote *remote, uint64_t delay_ms)
{
    uint64_t now = remote->host->now_ms(), not_before = remote->poll.not_before_ms;
    return not_before > now + delay_ms ? not_before - now : delay_ms;
}

static void arm_all(struct remote *remote, uint64_t delay_ms)
{
    struct poll *poll = &remote->poll;
    delay_ms = held_off_ms(remote, delay_ms);
    remote->host->timer_cancel(remote->public, poll->all_timer);
    poll->all_timer = remote->host->timer_start(remote->public, delay_ms * 1000, ask_all, remote);
}

/* A fifth of the time that the youngest has been starting: readiness is seen at most so much later. */
static uint64_t starting_delay_ms(const struct remote *remote)
{
    uint64_t now = remote->host->now_ms(), least = UINT64_MAX;
    const struct sandbox *sandbox = NULL;
    while ((sandbox = table_next(remote, sandbox))) {
        if (sandbox->state != SBX_STATE_STARTING || sandbox->busy > 0)
            continue;
        uint64_t since = sandbox->starting_since_ms ? sandbox->starting_since_ms : now;
        uint64_t delay = (now - since) / 5;
        delay = delay < STARTING_LEAST_MS  ? STARTING_LEAST_MS
                : delay > STARTING_MOST_MS ? STARTING_MOST_MS
                                           : delay;
        least = delay < least ? delay : least;
    }
    return least;
}

void poll_starting(struct remote *remote)
{
    struct poll *poll = &remote->poll;
    const struct sbx_host *host = remote->host;
    if (poll->stopped || poll->lost || poll->starting)
        return;
    uint64_t delay = starting_delay_ms(remote);
    if (delay == UINT64_MAX)
        return;
    delay = held_off_ms(remote, delay);
    uint64_t due = host->now_ms() + delay;
    if (poll->starting_timer && poll->starting_due_ms <= due)
        return;
    host->timer_cancel(remote->public, poll->starting_timer);
    poll->starting_due_ms = due;
    poll->starting_timer = host->timer_start(remote->public, delay * 1000, ask_starting, remote);
}

/* ---- is it there? ---- */

static void tell_open(struct remote *remote)
{
    void (*opened)(struct remote *) = remote->poll.opened;
    remote->poll.opened = NULL;
    if (opened)
        opened(remote);
}

static void lose(struct remote *remote, const struct sbx_error *error)
{
    struct poll *poll = &remote->poll;
    poll->failures++;
    if (poll->lost ? poll->why.kind == error->kind : poll->failures < LOST_AFTER && !poll->opened)
        return; /* it was told, or may be an accident */
    poll->lost = true;
    poll->why = *error;
    poll->why.retryable = 1;
    remote->host->available(remote->public, &poll->why);
}

/* An API that says "too many requests" is there; and one that this process had no descriptor for was not asked. */
static bool means_loss(const struct sbx_error *error)
{
    return error && error->kind != SBX_ERR_LIMIT && error->kind != SBX_ERR_INTERNAL;
}

/* Whether it is lost is found out first, as fast as ever. */
void poll_hold_off(struct remote *remote, const struct sbx_error *error, uint64_t delay_ms)
{
    struct poll *poll = &remote->poll;
    uint64_t delay = delay_ms < HOLD_OFF_MOST_MS ? delay_ms : HOLD_OFF_MOST_MS;
    uint64_t not_before = remote->host->now_ms() + delay;
    if ((poll->lost || !means_loss(error)) && not_before > poll->not_before_ms)
        poll->not_before_ms = not_before;
}

void poll_heard(struct remote *remote, const struct sbx_error *error)
{
    struct poll *poll = &remote->poll;
    if (poll->stopped)
        return;
    if (means_loss(error)) {
        lose(remote, error);
    } else if (!error) {
        poll->failures = 0;
        poll->not_before_ms = 0;
        if (poll->lost)
            remote->host->available(remote->public, NULL);
        poll->lost = false;
    }
    if (error && !poll->all)
        arm_all(remote, AGAIN_MS);
    tell_open(remote);
    poll_starting(remote);
}

void poll_doubt(void *arg)
{
    struct remote *remote = arg;
    if (!remote->poll.stopped && remote->poll.failures == 0 && !remote->poll.all)
        arm_all(remote, 0);
}

/* ---- asking ---- */

static void all_asked(void *arg, const struct sbx_error *error)
{
    struct remote *remote = arg;
    remote->poll.all = NULL;
    arm_all(remote, error ? AGAIN_MS : remote->options.refresh_interval_ms);
    poll_heard(remote, error);
}

static void ask_all(void *arg)
{
    struct remote *remote = arg;
    struct poll *poll = &remote->poll;
    poll->all_timer = 0;
    if (poll->all)
        return;
    /* The host lists after an opening, and that asks about all. */
    enum sweep_scope scope = poll->opened || remote->table.count == 0 ? SWEEP_PROBE : SWEEP_ALL;
    uint64_t time = poll->opened ? OPEN_MS : sweep_time_ms(remote);
    poll->all = sweep_begin(remote, scope, remote->host->now_ms() + time, all_asked, remote);
}

static void starting_asked(void *arg, const struct sbx_error *error)
{
    struct remote *remote = arg;
    remote->poll.starting = NULL;
    if (error)
        poll_doubt(remote); /* all are asked about instead, and go on from there */
    else
        poll_starting(remote);
}

static void ask_starting(void *arg)
{
    struct remote *remote = arg;
    struct poll *poll = &remote->poll;
    poll->starting_timer = 0;
    if (held_off_ms(remote, 0) > 0) { /* it was armed before that was asked for */
        poll_starting(remote);
        return;
    }
    uint64_t deadline_ms = remote->host->now_ms() + sweep_time_ms(remote);
    poll->starting = sweep_begin(remote, SWEEP_STARTING, deadline_ms, starting_asked, remote);
}

/* ---- beginning and end ---- */

void poll_begin(struct remote *remote, void (*opened)(struct remote *remote))
{
    remote->poll.opened = opened;
    ask_all(remote);
}

void poll_stop(struct remote *remote)
{
    struct poll *poll = &remote->poll;
    poll->stopped = true;
    remote->host->timer_cancel(remote->public, poll->all_timer);
    remote->host->timer_cancel(remote->public, poll->starting_timer);
    poll->all_timer = poll->starting_timer = 0;
    sweep_cancel(poll->all);
    sweep_cancel(poll->starting);
    poll->all = poll->starting = NULL;
    tell_open(remote);
}
