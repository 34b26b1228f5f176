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
#include "docker.h"
#include "events.h"
#include "refusal.h"

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
    LATE_MS = 2000,       /* so much later than due: this process, or the whole machine, was suspended */
    SHORT_LIVED_MS = 1000 /* a stream that ended so soon is as good as none */
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
    int64_t since_s;      /* on the engine's clock: all that happened before is known */
    uint64_t watching_ms; /* host->now_ms() when WATCHING began */
    uint64_t beat_ms;     /* boot_ms() of the last step of the heartbeat */
};

static void connect(struct docker *docker);

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

static void disconnect(struct watch *watch, struct docker *docker)
{
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
    connect(docker);
}

static void lose(struct docker *docker, const struct sbx_error *why)
{
    struct watch *watch = docker->watch;
    struct sbx_error copy = *why; /* it may be a call's that ends here */
    disconnect(watch, docker);
    watch->phase = PHASE_LOST;
    watch->lost = true;
    watch->why = copy;
    set_timer(docker, RETRY_MS, try_again);
    docker->host->available(docker->public, &watch->why);
    tell_opened(docker);
}

/* The engine may well be there: it is only said to be lost when it does not answer now. */
static void reconnect(struct docker *docker, const char *why)
{
    docker->host->log(docker->public, SBX_LOG_INFO, NULL, "events may have been missed (%s): listing anew",
                      why);
    disconnect(docker->watch, docker);
    connect(docker);
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
    snprintf(why, sizeof why, "this process did not run for about %" PRIu64 " s", (passed - BEAT_MS) / 1000);
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

/* The difference between a program that ended and one that somebody ended is in the order of events alone. */
static void note(struct docker *docker, struct container *container, const struct event *event)
{
    switch (event->kind) {
    case EVENT_START:
        container->killed = container->died_alone = false;
        ending_forget(docker, container);
        break;
    case EVENT_KILL: container->killed |= ends_programs(event->signal); break;
    case EVENT_STOP: container->killed = true; break;
    case EVENT_DIE:
        if (!container->killed) {
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
    if (container->busy > 0)
        return; /* the operation's end looks */
    start_log_end(docker, container->name);
    report_gone(docker, container->name);
    table_remove(docker, container);
}

static void on_event(void *arg, const struct event *event)
{
    struct docker *docker = arg;
    if (event->kind == EVENT_CREATE) { /* or it was renamed */
        struct container *before = table_find_id(docker, event->id);
        if (before && strcmp(before->name, event->name) != 0)
            forget(docker, before);
    }
    if (!container_is_ours(&docker->options, docker->public->name, event->name, event->backend))
        return;
    struct container *container = table_find(docker, event->name);
    /* Its name may have gone to another container since. */
    bool stale = container && container->facts.id[0] && strcmp(container->facts.id, event->id) != 0;
    if (event->kind == EVENT_DESTROY) {
        if (container && !stale)
            forget(docker, container);
        return;
    }
    if (!container)
        container = table_add(docker, event->name);
    if (!stale)
        note(docker, container, event);
    if (container->busy == 0 && event->kind != EVENT_KILL)
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

static void events_ended(struct docker *docker, const char *why)
{
    struct watch *watch = docker->watch;
    if (watch->phase == PHASE_WATCHING && docker->host->now_ms() - watch->watching_ms >= SHORT_LIVED_MS) {
        reconnect(docker, why);
        return;
    }
    struct sbx_error error = {.kind = SBX_ERR_UNAVAILABLE, .retryable = 1};
    snprintf(error.code, sizeof error.code, "%s", SBX_CODE_BACKEND_UNAVAILABLE);
    snprintf(error.message, sizeof error.message, "the engine's events can't be followed: %.400s", why);
    lose(docker, &error);
}

static enum sbx_stream events_data(void *arg, const void *bytes, size_t len)
{
    struct docker *docker = arg;
    if (!event_reader_feed(&docker->watch->reader, bytes, len, on_event, docker))
        events_ended(docker, "what it sends are no events");
    return SBX_STREAM_GO;
}

static void events_done(void *arg, const struct sbx_error *error, int status)
{
    (void)status;
    struct docker *docker = arg;
    docker->watch->events = NULL;
    events_ended(docker, error ? error->message : "the engine ended the stream");
}

/* ---- connecting ---- */

static void subscribe_timeout(void *arg)
{
    struct docker *docker = arg;
    docker->watch->timer = 0;
    events_ended(docker, "GET /events was not answered in time");
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
     * them. A time that is too early only repeats more, of what notes and looks take twice as well as once. */
    if (watch->since_s == 0)
        watch->since_s =
            docker->engine.date_s > 0 ? docker->engine.date_s : docker->host->now_us() / 1000000 - 1;
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
    if (error || engine_agree(&docker->engine, body, &why) != 0) {
        lose(docker, error ? error : &why);
        return;
    }
    docker->host->json->free(watch->version);
    watch->version = docker->host->json->copy(body);
    subscribe(docker);
}

static void connect(struct docker *docker)
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
    connect(docker);
}

void watch_quiesce(struct docker *docker)
{
    struct watch *watch = docker->watch;
    disconnect(watch, docker);
    watch->phase = PHASE_ENDED;
    tell_opened(docker); /* open() is completed once, even when it was given up */
}

void watch_end(struct docker *docker)
{
    struct watch *watch = docker->watch;
    disconnect(watch, docker);
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
