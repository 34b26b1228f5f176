/* watch.c: whether the engine is there, and what it says of containers unasked (GET /events, Engine API 1.41,
 * SystemEvents). Owns the event stream, the heartbeat beside it, and the attempts to get both back. It judges no
 * container: an event is noted in the table, and the container looked at (look.c).
 *
 *   ASKING ──GET /version──> SUBSCRIBING ──head of GET /events──> WATCHING
 *     ^                          │                                   │
 *     └────── 250 ms <───────────┴──────────── no answer <───────────┘
 *
 * A stream that ends while the engine is there is a gap: it is opened anew at once, from the time on at which it was
 * last known to be whole, and everything is listed, since the engine keeps only its last 256 events.
 */
#include "common/failure.h"
#include "docker.h"
#include "engine/events.h"
#include "engine/refusal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RETRY_MS = 250,
    ATTEMPT_MS = 2500, /* for each of the two answers: a frozen engine takes the request, and says nothing */
    BEAT_MS = 3000,
    BEAT_TIMEOUT_MS = 3000,
    LATE_MS = 2000,        /* so much later than due: this process, or the whole machine, was suspended */
    SHORT_LIVED_MS = 1000, /* a stream that ended so soon is as good as none */
    FLAPS_MAX = 4,         /* the next one waits up to 16 times as long */
    HEED_S = 60            /* that a program takes to end after a signal that it may heed or not */
};

enum phase { PHASE_LOST, PHASE_ASKING, PHASE_SUBSCRIBING, PHASE_WATCHING, PHASE_ENDED };

struct watch {
    void (*opened)(struct docker *docker); /* NULL: was called */
    enum phase phase;
    sbx_timer timer;          /* LOST: the next attempt; SUBSCRIBING: its limit; WATCHING: the next beat */
    struct engine_call *call; /* GET /version, or GET /_ping */
    struct engine_call *events;
    struct event_reader reader;
    sbx_json *version; /* the engine's; NULL before the first answer */
    bool lost;         /* the host was told `why` */
    bool listed;       /* the host has listed, or will: what is missed from now on is a gap */
    struct sbx_error why;
    unsigned flaps;       /* streams in a row that were short-lived */
    int64_t since_s;      /* on the engine's clock: all that happened before is known */
    int64_t begun_s;      /* on the engine's clock, not after the stream began; 0: what it repeats has come */
    uint64_t watching_ms; /* host->now_ms() when WATCHING began */
    uint64_t beat_ms;     /* boot_ms() of the last step of the heartbeat */
};

static void ask(struct docker *docker);

/* Goes on while the machine is suspended, as the monotonic clock of the loop does not (clock_gettime(2)). */
static uint64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_timer(struct docker *docker, uint64_t ms, sbx_callback fired)
{
    docker->host->timer_cancel(docker->public, docker->watch->timer);
    docker->watch->timer = docker->host->timer_start(docker->public, ms * 1000, fired, docker);
}

static void disconnect(struct docker *docker)
{
    struct watch *watch = docker->watch;
    docker->host->timer_cancel(docker->public, watch->timer);
    watch->timer = 0;
    engine_cancel(watch->call);
    engine_cancel(watch->events);
    watch->call = watch->events = NULL;
    event_reader_finish(&watch->reader);
}

static void tell_opened(struct docker *docker)
{
    struct watch *watch = docker->watch;
    void (*opened)(struct docker *) = watch->opened;
    watch->opened = NULL;
    watch->listed = true;
    if (opened)
        opened(docker);
}

/* ---- it is not there ---- */

static void try_again(void *arg)
{
    struct docker *docker = arg;
    docker->watch->timer = 0;
    ask(docker);
}

/* For whoever asks for something now, it is 503 whatever became of the call that found out. */
static void lose(struct docker *docker, const struct sbx_error *why)
{
    struct watch *watch = docker->watch;
    uint64_t wait_ms = (uint64_t)RETRY_MS << (watch->phase == PHASE_WATCHING ? watch->flaps : 0);
    failure_set(&watch->why, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, "%s", why->message);
    watch->why.retryable = why->retryable;
    watch->lost = true;
    watch->phase = PHASE_LOST;
    disconnect(docker);
    set_timer(docker, wait_ms, try_again);
    docker->host->available(docker->public, &watch->why);
    tell_opened(docker);
}

/* A call ended in `error`: an answer that refuses says nothing of what was asked. */
static void lose_refused(struct docker *docker, const char *what, const struct sbx_error *error)
{
    struct sbx_error why = *error;
    if (error->kind != SBX_ERR_UNAVAILABLE && error->kind != SBX_ERR_TIMEOUT)
        failure_set(&why, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, "%.200s refuses %s: %.200s",
                    docker->options.host, what, error->message);
    lose(docker, &why);
}

/* The engine may well be there: it is only said to be lost when it does not answer now. */
static void reconnect(struct docker *docker, const char *why)
{
    docker->host->log(docker->public, SBX_LOG_INFO, NULL, "events may have been missed (%s): listing anew",
                      why);
    disconnect(docker);
    ask(docker);
}

/* ---- the heartbeat ---- */

static void beat(void *arg);

static void next_beat(struct docker *docker)
{
    docker->watch->beat_ms = boot_ms();
    set_timer(docker, BEAT_MS, beat);
}

/* While we slept the engine has dropped the events that we did not take (it waits 100 ms for a reader). */
static bool was_suspended(struct docker *docker)
{
    uint64_t passed = boot_ms() - docker->watch->beat_ms;
    if (passed <= BEAT_MS + LATE_MS)
        return false;
    char why[80];
    snprintf(why, sizeof why, "this process did not run for at least %" PRIu64 " s",
             (passed - BEAT_MS) / 1000);
    reconnect(docker, why);
    return true;
}

static void pinged(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    (void)body;
    struct docker *docker = arg;
    struct watch *watch = docker->watch;
    watch->call = NULL;
    if (was_suspended(docker))
        return;
    if (error && refusal_is_unknown(error)) {
        lose(docker, error);
        return;
    }
    if (!error && docker->engine.date_s > 0)
        watch->since_s = docker->engine.date_s - BEAT_TIMEOUT_MS / 1000; /* events of then have come */
    if (!error)
        watch->begun_s = 0; /* from here on an earlier time is that of a clock which was set back */
    watch->flaps = 0;
    next_beat(docker);
}

static void ping(struct docker *docker)
{
    static const struct engine_request request = {
        .method = "GET", .path = "/_ping", .timeout_ms = BEAT_TIMEOUT_MS, .unversioned = true};
    docker->watch->beat_ms = boot_ms();
    docker->watch->call = engine_call(&docker->engine, &request, pinged, docker);
}

static void beat(void *arg)
{
    struct docker *docker = arg;
    docker->watch->timer = 0;
    if (!was_suspended(docker))
        ping(docker);
}

void watch_doubt(struct docker *docker)
{
    struct watch *watch = docker->watch;
    if (watch->phase != PHASE_WATCHING || watch->call)
        return;
    docker->host->timer_cancel(docker->public, watch->timer);
    watch->timer = 0;
    if (!was_suspended(docker))
        ping(docker);
}

/* ---- events ---- */

static bool ends_programs(int signal)
{
    return signal == SIGTERM || signal == SIGKILL || signal == SIGINT || signal == SIGQUIT || signal == 0;
}

/* A stop ends in SIGKILL, or in an event of its own, and so needs no limit; neither does what we asked for. */
static void note_signal(struct container *container, const struct event *event)
{
    if (!ends_programs(event->signal) || (container->killed && container->killed_until_ns == 0))
        return;
    container->killed = true;
    container->killed_until_ns =
        event->signal == SIGKILL ? 0 : event->time_ns + HEED_S * UINT64_C(1000000000);
}

/* The difference between a program that ended and one that somebody ended is in the order of events alone. */
static void note(struct docker *docker, struct container *container, const struct event *event)
{
    switch (event->kind) {
    case EVENT_START:
        container->killed = container->died_alone = false;
        ending_forget(docker, container);
        break;
    case EVENT_KILL: note_signal(container, event); break;
    case EVENT_STOP:
        container->killed = true;
        container->killed_until_ns = 0;
        break;
    case EVENT_DIE:
        container->has_ended = true;
        container->last_exit = event->exit_code;
        if (!ending_was_asked_for(container, event->time_ns)) {
            container->killed = false;
            container->died_alone = true;
            ending_note_alone(docker, container);
        }
        break;
    case EVENT_CREATE:
    case EVENT_OOM:
    case EVENT_DESTROY: break;
    }
}

static void forget(struct docker *docker, struct container *container)
{
    if (container->busy > 0) {
        container->missed = true; /* the operation's end looks */
        return;
    }
    start_log_end(docker, container->name);
    ending_forget(docker, container);
    report_gone(docker, container->name);
    table_remove(docker, container);
}

/* What the engine repeats from before the stream began is found by the listing: only the order of it is news. */
static bool is_repeated(const struct docker *docker, const struct event *event)
{
    return event->time_ns < (uint64_t)docker->watch->begun_s * 1000000000;
}

/* A copy of our state that is served where we can't see it (in a container, on another machine) has our id. */
static void tell_of_copy(struct docker *docker, const struct event *event)
{
    const struct container *container = table_find(docker, event->name);
    if (event->kind != EVENT_CREATE || !event->instance || !docker->instance_id ||
        strcmp(event->instance, docker->instance_id) != 0 || (container && container->busy > 0) ||
        table_find_id(docker, event->id) || is_repeated(docker, event))
        return;
    docker->host->log(
        docker->public, SBX_LOG_WARN, event->name,
        "its container bears our id and is none of this daemon's starts: unless it is of a start "
        "that was cut off, another daemon serves a copy of our state on this engine");
}

static void on_event(void *arg, const struct event *event)
{
    struct docker *docker = arg;
    if (event->kind == EVENT_CREATE) { /* or it was renamed */
        struct container *before = table_find_id(docker, event->id);
        if (before && strcmp(before->name, event->name) != 0)
            forget(docker, before);
    }
    if (!ours_is(docker, event->name, event->backend, event->instance)) {
        const struct container *lost = table_find_id(docker, event->id);
        if (lost && lost->busy == 0) /* its own daemon runs again: a look finds that it is not ours */
            look_at(docker, event->name, NULL, NULL);
        return;
    }
    tell_of_copy(docker, event);
    struct container *container = table_find(docker, event->name);
    /* Its name may have gone to another container since: where it was not looked at yet, a look tells. */
    bool known = container && container->facts.id[0];
    bool stale = known && strcmp(container->facts.id, event->id) != 0;
    bool repeated = is_repeated(docker, event);
    if (event->kind == EVENT_DESTROY && (known || !container)) {
        if (known && !stale)
            forget(docker, container);
        return;
    }
    if (!container && !repeated)
        container = table_add(docker, event->name);
    if (container && !stale)
        note(docker, container, event);
    if (!container || event->kind == EVENT_KILL)
        return;
    if (container->busy > 0)
        container->missed |= !repeated; /* the operation's end looks */
    else if (repeated)
        look_doubt(docker, container);
    else
        look_at(docker, event->name, NULL, NULL);
}

static void events_head(void *arg)
{
    struct docker *docker = arg;
    struct watch *watch = docker->watch;
    bool was_lost = watch->lost;
    watch->phase = PHASE_WATCHING;
    watch->watching_ms = docker->host->now_ms();
    watch->lost = false;
    next_beat(docker);
    if (was_lost)
        docker->host->available(docker->public, NULL); /* it lists then */
    else if (watch->listed)
        docker->host->relist(docker->public);
    tell_opened(docker);
}

static void events_ended(struct docker *docker, const struct sbx_error *why)
{
    struct watch *watch = docker->watch;
    if (watch->phase == PHASE_WATCHING) {
        if (docker->host->now_ms() - watch->watching_ms >= SHORT_LIVED_MS) {
            reconnect(docker, why->message);
            return;
        }
        watch->flaps += watch->flaps < FLAPS_MAX;
    }
    lose_refused(docker, "GET /events", why);
}

static void events_fail(struct docker *docker, const char *why)
{
    struct sbx_error error;
    failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                "the engine's events can't be followed: %s", why);
    error.retryable = 1;
    events_ended(docker, &error);
}

static enum sbx_stream events_data(void *arg, const void *bytes, size_t len)
{
    struct docker *docker = arg;
    if (!event_reader_feed(&docker->watch->reader, bytes, len, on_event, docker))
        events_fail(docker, "what it sends makes no sense");
    return SBX_STREAM_GO;
}

static void events_done(void *arg, const struct sbx_error *error, int status)
{
    (void)status;
    struct docker *docker = arg;
    docker->watch->events = NULL;
    if (error)
        events_ended(docker, error);
    else
        events_fail(docker, "it ended the stream");
}

/* ---- connecting ---- */

static void subscribe_timeout(void *arg)
{
    struct docker *docker = arg;
    docker->watch->timer = 0;
    events_fail(docker, "it did not answer GET /events in time");
}

static void subscribe(struct docker *docker)
{
    static const char filters[] = "{\"type\":[\"container\"],\"event\":[\"create\",\"rename\",\"start\","
                                  "\"restart\",\"pause\",\"unpause\","
                                  "\"kill\",\"oom\",\"die\",\"stop\",\"destroy\"]}";
    static const struct engine_stream stream = {
        .head = events_head, .data = events_data, .done = events_done};
    struct watch *watch = docker->watch;
    char encoded[3 * sizeof filters];
    char path[sizeof encoded + 64];
    engine_encode(encoded, sizeof encoded, filters);
    /* The head of the answer may come before the engine has subscribed us: `since` has it repeat what was between
     * them. A time that is too early only has it repeat more. */
    watch->begun_s = docker->engine.date_s > 0 ? docker->engine.date_s : docker->host->now_us() / 1000000 - 1;
    if (watch->since_s == 0)
        watch->since_s = watch->begun_s;
    snprintf(path, sizeof path, "/events?since=%" PRId64 "&filters=%s", watch->since_s, encoded);
    watch->phase = PHASE_SUBSCRIBING;
    event_reader_init(&watch->reader, docker->host->json);
    set_timer(docker, ATTEMPT_MS, subscribe_timeout);
    watch->events = engine_open(&docker->engine, &(struct engine_request){.method = "GET", .path = path},
                                &stream, docker);
}

static void agreed(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    struct docker *docker = arg;
    struct watch *watch = docker->watch;
    struct sbx_error why;
    watch->call = NULL;
    if (error) {
        lose_refused(docker, "GET /version", error);
        return;
    }
    if (engine_agree(&docker->engine, body, &why) != 0) {
        lose(docker, &why);
        return;
    }
    docker->host->json->free(watch->version);
    watch->version = docker->host->json->copy(body);
    subscribe(docker);
}

static void ask(struct docker *docker)
{
    static const struct engine_request request = {
        .method = "GET", .path = "/version", .timeout_ms = ATTEMPT_MS, .unversioned = true};
    docker->watch->phase = PHASE_ASKING;
    docker->watch->call = engine_call(&docker->engine, &request, agreed, docker);
}

/* ---- its life ---- */

void watch_begin(struct docker *docker, void (*opened)(struct docker *docker))
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        abort();
    watch->opened = opened;
    event_reader_init(&watch->reader, docker->host->json);
    docker->watch = watch;
    ask(docker);
}

void watch_quiesce(struct docker *docker)
{
    struct watch *watch = docker->watch;
    disconnect(docker);
    watch->phase = PHASE_ENDED;
    tell_opened(docker); /* open() is completed once, even when it was given up */
}

void watch_end(struct docker *docker)
{
    struct watch *watch = docker->watch;
    disconnect(docker);
    docker->host->json->free(watch->version);
    free(watch);
    docker->watch = NULL;
}

const struct sbx_error *watch_lost(const struct docker *docker)
{
    return docker->watch->lost ? &docker->watch->why : NULL;
}

const struct sbx_json *watch_version(const struct docker *docker)
{
    return docker->watch->version;
}
