/* sandbox/health.c: see health.h. Owns the timers and checks; what a result means for the status is
 * status.c's. */
#include "sandbox/internal.h"
#include "sandbox/readiness.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHECKS_AT_ONCE = 256,
    CHECK_TIMEOUT_MS = 5000,
    CONFIRM_TIMEOUT_MS = 5000,
    TAIL_LINES = 20,
    MORE_TAIL_LINES = 2000, /* where health checks are all that it says */
    MORE_TAIL_MAX = 256 * 1024,
    TAIL_TIMEOUT_MS = 2000,
    TAIL_MAX = 4096,
    FIRST_CHECK_US = 1000,
    LONGEST_STEP_US = 1000000
};

static void check(struct sandbox *sandbox);

static uint64_t elapsed_us(const struct health *health)
{
    return clock_us() - health->since_us;
}

static uint64_t startup_left_ms(const struct sandbox *sandbox)
{
    uint64_t limit = home_startup_timeout_ms(sandbox->home);
    uint64_t gone = elapsed_us(&sandbox->health) / 1000;
    return gone >= limit ? 0 : limit - gone;
}

/* When the next check comes: a fifth of the time since the start, then every health_interval, give or take
 * a tenth, so that a thousand sandboxes are not checked in one instant. */
static uint64_t next_delay_us(const struct sandbox *sandbox)
{
    const struct health *health = &sandbox->health;
    if (!health->answered && !health->timed_out) {
        uint64_t step = elapsed_us(health) / 5;
        step = step < FIRST_CHECK_US ? FIRST_CHECK_US : step > LONGEST_STEP_US ? LONGEST_STEP_US : step;
        uint64_t left = startup_left_ms(sandbox) * 1000 + 1000;
        return step < left ? step : left;
    }
    const struct config_backend *settings = sandbox->home->settings;
    uint64_t interval = (settings ? settings->health_interval_ms : 5000) * UINT64_C(1000);
    uint32_t random;
    random_fill(&random, sizeof random);
    return interval - interval / 10 + random % (interval / 5 + 1);
}

static void arm(struct sandbox *sandbox)
{
    loop_arm_us(&sandbox->health.timer, next_delay_us(sandbox));
}

/* ---- turns ---- */

static void enqueue(struct sandbox *sandbox)
{
    struct health_queue *queue = &sandbox->service->checks;
    sandbox->health.next_due = NULL;
    sandbox->health.due = queue->last;
    *queue->last = sandbox;
    queue->last = &sandbox->health.next_due;
}

static void dequeue(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    if (!health->due)
        return;
    *health->due = health->next_due;
    if (health->next_due)
        health->next_due->health.due = health->due;
    else
        sandbox->service->checks.last = health->due;
    health->due = NULL;
}

static void transfer_ended(struct sandbox *sandbox)
{
    struct health_queue *queue = &sandbox->service->checks;
    sandbox->health.transfer = NULL;
    queue->under_way--;
    if (queue->first)
        loop_defer(sandbox->service->deps.loop, &queue->admit);
}

static void admit(void *arg)
{
    struct health_queue *queue = arg;
    for (struct sandbox *next; queue->under_way < CHECKS_AT_ONCE && (next = queue->first);) {
        dequeue(next);
        check(next);
    }
}

void health_queue_init(struct health_queue *queue)
{
    queue->last = &queue->first;
    queue->admit = (struct loop_task){.run = admit, .arg = queue};
}

static void cancel_under_way(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    dequeue(sandbox);
    if (health->transfer) {
        client_cancel(health->transfer);
        transfer_ended(sandbox);
    }
    if (health->confirm)
        backend_cancel(health->confirm, true);
    health->confirm = NULL;
    if (health->tail)
        backend_cancel(health->tail, true);
    health->tail = NULL;
}

static void forget_reason(struct health *health)
{
    free(health->reason);
    health->reason = NULL;
}

/* ---- it did not come up in time ---- */

static bool tail_data(void *arg, const void *bytes, size_t len)
{
    struct sandbox *sandbox = arg;
    struct sandbox_failure *failure = sandbox->failure;
    if (!failure)
        return true;
    size_t had = failure->log_tail ? strlen(failure->log_tail) : 0;
    char *text = malloc(had + len + 1);
    if (!text)
        return true;
    memcpy(text, had > 0 ? failure->log_tail : "", had);
    for (size_t i = 0; i < len; i++) /* it is kept as text */
        text[had + i] = ((const char *)bytes)[i] == '\0' ? ' ' : ((const char *)bytes)[i];
    text[had + len] = '\0';
    free(failure->log_tail);
    failure->log_tail = text;
    if (had + len > MORE_TAIL_MAX)
        memmove(text, text + had + len - MORE_TAIL_MAX, MORE_TAIL_MAX + 1);
    return true;
}

/* The last lines of what came, without those of our own checks. True where there were such. */
static bool trim_tail(const struct sandbox *sandbox)
{
    char *text = sandbox->failure ? sandbox->failure->log_tail : NULL;
    if (!text)
        return false;
    size_t had = strlen(text);
    size_t len = backend_drop_health_checks(sandbox->home->backend, text, had);
    size_t from = len, lines = len > 0 && text[len - 1] != '\n';
    for (; from > 0 && len - from < TAIL_MAX; from--)
        if (text[from - 1] == '\n' && lines++ == TAIL_LINES)
            break;
    memmove(text, text + from, len - from);
    text[len - from] = '\0';
    return len < had;
}

static void ask_for_tail(struct sandbox *sandbox, uint32_t lines);

static void tail_done(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)err;
    (void)result;
    (void)len;
    struct sandbox *sandbox = arg;
    bool asked = sandbox->health.tail != NULL;
    sandbox->health.tail = NULL;
    if (sandbox->health.answered) /* after all */
        return;
    if (asked && sandbox->home->backend && trim_tail(sandbox) && !sandbox->health.more_tail) {
        sandbox->health.more_tail = true;
        free(sandbox->failure->log_tail);
        sandbox->failure->log_tail = NULL;
        ask_for_tail(sandbox, MORE_TAIL_LINES);
        return;
    }
    sandbox->health.timed_out = true;
    sandbox_refresh(sandbox);
}

static void fetch_tail(struct sandbox *sandbox)
{
    struct backend *backend = sandbox->home->backend;
    if (!backend || !backend_has_logs(backend)) {
        tail_done(sandbox, NULL, NULL, 0);
        return;
    }
    sandbox->health.more_tail = false;
    ask_for_tail(sandbox, TAIL_LINES);
}

static void ask_for_tail(struct sandbox *sandbox, uint32_t lines)
{
    struct sbx_logs logs = {.size = sizeof logs, .tail = lines, .sandbox_id = sandbox->id};
    sandbox->health.tail =
        backend_logs(sandbox->home->backend, &logs, TAIL_TIMEOUT_MS, tail_data, tail_done, sandbox);
}

/* It is in ERROR once the tail is there: who waits gets both. */
static void time_out(struct sandbox *sandbox)
{
    struct sbx_error err;
    if (sandbox->health.tail)
        return;
    if (sandbox->state == SBX_STATE_STARTING &&
        sandbox->loops) { /* why it does not stay up is known already */
        tail_done(sandbox, NULL, NULL, 0);
        return;
    }
    uint32_t limit = home_startup_timeout_ms(sandbox->home);
    const char *unit = limit % 1000 == 0 ? "s" : "ms";
    if (limit % 1000 == 0)
        limit /= 1000;
    if (sandbox->state == SBX_STATE_RUNNING)
        error_set(
            &err, SBX_ERR_TIMEOUT, SBX_CODE_HEALTH_TIMEOUT,
            "it runs, but did not answer %s with success within %u %s (startup_timeout); the last time: %s",
            sandbox_health_path(sandbox), limit, unit, sandbox->health.reason);
    else
        error_set(&err, SBX_ERR_TIMEOUT, SBX_CODE_HEALTH_TIMEOUT,
                  "its backend did not have it running within %u %s (startup_timeout)", limit, unit);
    sandbox_set_failure(sandbox, &err, -1, NULL);
    fetch_tail(sandbox);
}

/* ---- a check ---- */

static void first_is_over(struct sandbox *sandbox)
{
    if (!sandbox->health.first)
        return;
    sandbox->health.first = false;
    if (--sandbox->service->checks.firsts == 0)
        service_check_prepared(sandbox->service);
}

static void failed(struct sandbox *sandbox, const char *reason)
{
    struct health *health = &sandbox->health;
    sandbox->service->stats.health_failures++;
    if (health->answered && ++health->failures == 2) {
        struct sbx_error err;
        error_set(&err, SBX_ERR_UNAVAILABLE, SBX_CODE_UNHEALTHY, "it stopped answering its health check: %s",
                  reason);
        sandbox_set_failure(sandbox, &err, -1, NULL);
        sandbox_refresh(sandbox);
    } else if (!health->answered && !health->timed_out && startup_left_ms(sandbox) == 0) {
        time_out(sandbox);
    }
    arm(sandbox);
    first_is_over(sandbox);
}

static void fail(struct sandbox *sandbox, const char *reason)
{
    struct health *health = &sandbox->health;
    if (!health->answered && !health->timed_out) {
        forget_reason(health);
        if (!(health->reason = strdup(reason)))
            abort();
    }
    failed(sandbox, reason);
}

/* The start's time was over before the check's: that it did not answer says less than what came before. */
static void fail_cut_short(struct sandbox *sandbox, const char *reason)
{
    if (sandbox->health.reason)
        failed(sandbox, reason);
    else
        fail(sandbox, reason);
}

static void succeed(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    bool was_good = health_good(health);
    health->answered = true;
    health->moved = health->timed_out = false;
    health->failures = 0;
    forget_reason(health);
    if (!was_good)
        sandbox_refresh(sandbox);
    arm(sandbox);
    first_is_over(sandbox);
}

static void confirmed(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct sandbox *sandbox = arg;
    sandbox->health.confirm = NULL;
    if (err)
        fail(sandbox, err->message);
    else
        succeed(sandbox);
}

static void answered(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    if ((health->answered && !health->moved) || !sandbox->home->backend) {
        succeed(sandbox);
        return;
    }
    health->confirm = backend_act(sandbox->home->backend, BACKEND_CONFIRM, sandbox->id, CONFIRM_TIMEOUT_MS,
                                  confirmed, sandbox);
}

static bool is_shut(const struct sbx_error *err)
{
    static const char *const ends[] = {": Connection refused", ": Connection reset by peer",
                                       ": closed the connection without an answer"};
    size_t len = strlen(err->message);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (len >= strlen(ends[i]) && strcmp(err->message + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

static int32_t port_inside(const struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->urls_len; i++)
        if (strcmp(sandbox->urls[i].name, "AGENT_SERVER") == 0)
            return sandbox->urls[i].port;
    return 0;
}

/* Nobody listens where it is asked. A container's own network refuses what does not go to its address, and docker's
 * proxy takes each connection and resets it then. */
static void explain_shut(const struct sandbox *sandbox, const struct sbx_error *err, char *reason,
                         size_t size)
{
    char inside[16] = "";
    const struct backend *backend = sandbox->home->backend;
    int32_t port = port_inside(sandbox);
    if (port > 0)
        snprintf(inside, sizeof inside, " %d", port);
    if (backend && backend_isolates(backend))
        snprintf(
            reason, size,
            "%.220s (does its program listen on 0.0.0.0, and not on 127.0.0.1 alone, and on port%s inside?)",
            err->message, port > 0 ? inside : " AGENT_SERVER");
    else
        snprintf(reason, size, "%.220s (does its program listen on port%s, which {port} in its command is?)",
                 err->message, port > 0 ? inside : " {port}");
}

static void check_done(void *arg, const struct sbx_error *err, int status, const void *body, size_t len)
{
    struct sandbox *sandbox = arg;
    const char *wanted = home_health_body(sandbox->home);
    char reason[READINESS_WHY_SIZE + 128];
    transfer_ended(sandbox);
    if (err && sandbox->health.answered && strcmp(err->code, SBX_CODE_INTERNAL) == 0) {
        /* It was not asked, for want of a descriptor here: that says nothing about it. */
        arm(sandbox);
        first_is_over(sandbox);
    } else if (err && err->kind == SBX_ERR_TIMEOUT && sandbox->health.cut_short) {
        fail_cut_short(sandbox, err->message);
    } else if (err && is_shut(err) && !sandbox->health.answered) {
        explain_shut(sandbox, err, reason, sizeof reason);
        fail(sandbox, reason);
    } else if (err) {
        fail(sandbox, err->message);
    } else if (status < 200 || status > 299) {
        snprintf(reason, sizeof reason, "it answered with status %d", status);
        fail(sandbox, reason);
    } else if (wanted && !readiness_holds(wanted, body, len, reason)) {
        fail(sandbox, reason);
    } else {
        answered(sandbox);
    }
}

const char *sandbox_health_path(const struct sandbox *sandbox)
{
    return sandbox->unreached ? NULL : home_health_path(sandbox->home);
}

const char *sandbox_agent_url(const struct sandbox *sandbox)
{
    if (sandbox->agent_url)
        return sandbox->agent_url;
    for (size_t i = 0; i < sandbox->urls_len; i++)
        if (strcmp(sandbox->urls[i].name, "AGENT_SERVER") == 0)
            return sandbox->urls[i].url;
    return NULL;
}

static void check(struct sandbox *sandbox)
{
    static const struct client_handler handler = {.done = check_done};
    struct health *health = &sandbox->health;
    const char *path = sandbox_health_path(sandbox);
    const char *base = sandbox_agent_url(sandbox);
    if (sandbox->state != SBX_STATE_RUNNING || !path || !base) {
        /* Nothing to ask yet; that this does not last for ever is watched all the same. */
        if (path || sandbox->state != SBX_STATE_RUNNING)
            fail(sandbox, "it has no agent server");
        return;
    }
    if (sandbox->service->checks.under_way >= CHECKS_AT_ONCE) {
        enqueue(sandbox);
        return;
    }
    char *url = NULL;
    if (asprintf(&url, "%s%s", base, path) < 0)
        abort();
    uint64_t timeout_ms = CHECK_TIMEOUT_MS;
    health->cut_short = !health->answered && !health->timed_out && startup_left_ms(sandbox) < timeout_ms;
    if (health->cut_short)
        timeout_ms = startup_left_ms(sandbox) + 1;
    struct client_request request = {.url = url,
                                     .purpose = "health check", /* which access_log.c knows */
                                     .timeout_ms = (uint32_t)timeout_ms,
                                     .cut_short = health->cut_short,
                                     .max_body = READINESS_BODY_MAX,
                                     .no_reuse = true,
                                     .discard_body = !home_health_body(sandbox->home)};
    struct sbx_error err;
    sandbox->service->stats.health_checks++;
    health->transfer = client_start(sandbox->service->deps.client, &request, &handler, sandbox, &err);
    free(url);
    if (health->transfer)
        sandbox->service->checks.under_way++;
    else
        fail(sandbox, err.message);
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    check(arg);
}

void health_init(struct sandbox *sandbox)
{
    evtimer_assign(&sandbox->health.timer, loop_base(sandbox->service->deps.loop), timer_fired, sandbox);
}

void health_begin(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    health_end(sandbox);
    if (sandbox_is_beginning(sandbox))
        return; /* the operation's own time-out is the judge, however long that gets on */
    health->since_us = clock_us();
    if (sandbox_health_path(sandbox) && sandbox->state == SBX_STATE_RUNNING) {
        health->first = true;
        sandbox->service->checks.firsts++;
    }
    if (sandbox_health_path(sandbox) || sandbox->state != SBX_STATE_RUNNING)
        arm(sandbox);
}

static bool is_watched(const struct health *health)
{
    return event_pending(&health->timer, EV_TIMEOUT, NULL) || health->due || health->transfer ||
           health->confirm;
}

void health_move(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    if (!is_watched(health))
        return;
    cancel_under_way(sandbox);
    health->moved = true;
    if (health_good(health))
        health->failures = 0;
    loop_arm_us(&health->timer, FIRST_CHECK_US);
}

void health_go_on(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    bool leaving = sandbox->phase == PHASE_REMOVING || sandbox->wants & WANT_REMOVE;
    bool watched = sandbox->state == SBX_STATE_STARTING ||
                   (sandbox->state == SBX_STATE_RUNNING && sandbox_health_path(sandbox));
    if (!watched || leaving || is_watched(health))
        return;
    if (health->answered || health->timed_out)
        arm(sandbox);
    else
        health_begin(sandbox);
}

void health_end(struct sandbox *sandbox)
{
    struct health *health = &sandbox->health;
    event_del(&health->timer);
    cancel_under_way(sandbox);
    health->answered = health->moved = health->timed_out = false;
    health->failures = 0;
    forget_reason(health);
    first_is_over(sandbox);
}
