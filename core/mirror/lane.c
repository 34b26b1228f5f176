/* mirror/lane.c: see lane.h. One thing is under way at a time: a question to the store, or a message. Each ends in
 * step(), which sees what is next. */
#include "mirror/lane.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "plugin/sanitize.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_RETRY_MS = 1000, LAST_RETRY_MS = 5 * 60 * 1000 };

const char lane_space[] = "/callbacks";

static void step(struct lane *lane);

/* ---- a lane's life -------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

static void wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void make_key(const char *url, char key[LANE_KEY_SIZE])
{
    unsigned char digest[32];
    if (!EVP_Digest(url, strlen(url), digest, NULL, EVP_sha256(), NULL))
        abort();
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(key + 2 * i, 3, "%02x", digest[i]);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    step(arg);
}

struct lane *lane_create(const struct mirror_deps *deps, const char *url)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        abort();
    lane->deps = deps;
    lane->url = copy_text(url);
    make_key(url, lane->key);
    lane->newest = -1;
    window_init(&lane->window);
    window_init(&lane->again);
    evtimer_assign(&lane->timer, loop_base(deps->loop), on_timer, lane);
    return lane;
}

void lane_free(struct lane *lane)
{
    delivery_cancel(&lane->delivery);
    event_del(&lane->timer);
    window_clear(&lane->window);
    window_clear(&lane->again);
    place_finish(&lane->place);
    wipe(lane->url);
    wipe(lane->secret);
    free(lane);
}

/* Neither what is before an '@' nor the path: both may be a secret. */
void lane_set_name(struct lane *lane, size_t index)
{
    const char *host = strstr(lane->url, "://");
    host = host ? host + 3 : lane->url;
    size_t len = strcspn(host, "/?#");
    const char *at = memchr(host, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    snprintf(lane->name, sizeof lane->name, "events.callbacks[%zu] (%.*s)", index, (int)len, host);
}

static void retry_all(struct lane *lane)
{
    lane->ready_ms = 0;
    for (struct held *held = lane->place.held; held; held = held->next)
        held->due_ms = 0;
}

/* What refused the messages may have been the secret: they are tried again at once, and so is the one under way,
 * which was signed with the other. */
void lane_set_secret(struct lane *lane, const char *secret)
{
    bool same = secret && lane->secret ? strcmp(secret, lane->secret) == 0 : !secret && !lane->secret;
    if (same)
        return;
    wipe(lane->secret);
    lane->secret = copy_text(secret);
    retry_all(lane);
    bool waits = lane->delivery.transfer || event_pending(&lane->timer, EV_TIMEOUT, NULL);
    delivery_cancel(&lane->delivery);
    if (waits)
        loop_arm_ms(&lane->timer, 0);
}

void lane_remove(struct lane *lane, struct lane **removed)
{
    log_info("%s is not in the configuration any more: it is told nothing from now on", lane->name);
    if (lane->asked == 0) {
        lane_free(lane);
        return;
    }
    delivery_cancel(&lane->delivery);
    event_del(&lane->timer);
    lane->removed = removed;
    lane->next = *removed;
    *removed = lane;
}

/* The first thing to do in an answer of the store. False: the lane is not wanted any more, and may be gone. */
static bool answered(struct lane *lane)
{
    lane->asked--;
    if (!lane->removed)
        return true;
    if (lane->asked == 0) {
        struct lane **at = lane->removed;
        while (*at != lane)
            at = &(*at)->next;
        *at = lane->next;
        lane_free(lane);
    }
    return false;
}

/* ---- when ----------------------------------------------------------------------------------- */

/* 1 s after the first failure, then 2 s, … 5 min, give or take a fifth. */
static uint64_t retry_time(unsigned failures)
{
    uint64_t delay_ms = FIRST_RETRY_MS;
    for (unsigned i = 1; i < failures && delay_ms < LAST_RETRY_MS; i++)
        delay_ms *= 2;
    if (delay_ms > LAST_RETRY_MS)
        delay_ms = LAST_RETRY_MS;
    uint32_t random;
    random_fill(&random, sizeof random);
    return clock_ms() + delay_ms - delay_ms / 5 + random % (2 * delay_ms / 5 + 1);
}

static void try_later(struct lane *lane)
{
    lane->ready_ms = retry_time(++lane->failures);
}

/* ---- how it goes ---------------------------------------------------------------------------- */

static void begins_to_fail(struct lane *lane, const char *sandbox_id, const char *why)
{
    if (!lane->stats.failing)
        log_line(LOG_WARN, &(struct log_context){.sandbox = sandbox_id},
                 "%s did not take a message: %s; it is sent again until it is taken, or older than "
                 "events.retention",
                 lane->name, why);
    lane->stats.failing = true;
}

static void may_have_recovered(struct lane *lane)
{
    if (!lane->stats.failing || lane->failures > 0 || lane->place.count > 0)
        return;
    log_info("%s takes events again", lane->name);
    lane->stats.failing = false;
}

/* ---- its place ------------------------------------------------------------------------------ */

/* All events up to this one were read, and those of held sandboxes left out. */
static int64_t reached(const struct lane *lane)
{
    return lane->window.first ? lane->window.through : lane->place.told;
}

static void save(struct lane *lane)
{
    struct buffer text = buffer_init(PLACE_TEXT_MAX);
    place_write(&lane->place, &text);
    store_put(lane->deps->store, lane_space, lane->key, text.data, text.len, NULL, NULL);
    buffer_finish(&text);
}

static void start_from(struct lane *lane)
{
    lane->placed = true;
    lane->unread = true;
    lane->failures = 0;
    lane->stats.failing = lane->place.count > 0;
    step(lane);
}

static void newest_known(void *arg, const struct sbx_error *err, int64_t seq)
{
    struct lane *lane = arg;
    if (answered(lane) && !err && lane->newest < 0)
        lane->newest = seq;
}

static void loaded(void *arg, const struct sbx_error *err, const void *value, size_t len)
{
    struct lane *lane = arg;
    if (!answered(lane))
        return;
    if (!err && value && place_read(&lane->place, value, len)) {
        start_from(lane);
    } else if (err || lane->newest < 0) {
        try_later(lane);
        step(lane);
    } else {
        lane->place.told = lane->newest;
        save(lane);
        start_from(lane);
    }
}

/* Both are asked at once: what is reported, or let go, once the configuration is in force comes to the store behind
 * them. The store answers in order. */
static void load(struct lane *lane)
{
    lane->asked += 2;
    store_events_last_seq(lane->deps->store, newest_known, lane);
    store_get(lane->deps->store, lane_space, lane->key, loaded, lane);
}

/* ---- what is next --------------------------------------------------------------------------- */

static bool is_not_held(const void *arg, const struct store_event *event)
{
    const struct lane *lane = arg;
    return !place_find(&lane->place, event->sandbox_id);
}

static bool is_behind(const void *arg, const struct store_event *event)
{
    return event->seq <= reached(arg);
}

static void window_is_over(struct lane *lane)
{
    lane->place.told = lane->window.through;
    window_clear(&lane->window);
    save(lane);
}

static void were_read(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct lane *lane = arg;
    if (!answered(lane))
        return;
    if (err || window_fill(&lane->window, events, is_not_held, lane)) {
        lane->unread = true;
        try_later(lane);
    } else if (events->count > 0) {
        lane->unread = true;
        if (!lane->window.first)
            window_is_over(lane);
    }
    step(lane);
}

static void read_more(struct lane *lane)
{
    lane->unread = false;
    lane->asked++;
    store_events_after(lane->deps->store, NULL, lane->place.told, WINDOW_EVENTS, were_read, lane);
}

/* The turn of a held sandbox is over. Where it has caught up with the others, it is not held any more. */
static void retried_is_over(struct lane *lane, int64_t told)
{
    struct held *held = lane->retried;
    lane->retried = NULL;
    window_clear(&lane->again);
    held->told = told;
    if (told >= reached(lane))
        place_release(&lane->place, held);
    save(lane);
}

static void were_read_again(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct lane *lane = arg;
    if (!answered(lane))
        return;
    struct held *held = lane->retried;
    if (held && (err || window_fill(&lane->again, events, is_behind, lane))) {
        held->due_ms = retry_time(++held->failures);
        lane->retried = NULL;
    } else if (held) {
        lane->again.through = reached(lane);
        if (events->more && events->place.seq < lane->again.through)
            lane->again.through = events->place.seq;
        if (!lane->again.first)
            retried_is_over(lane, lane->again.through);
        may_have_recovered(lane);
    }
    step(lane);
}

static void read_again(struct lane *lane, struct held *held)
{
    lane->retried = held;
    lane->asked++;
    store_events_after(lane->deps->store, held->sandbox_id, held->told, WINDOW_EVENTS, were_read_again, lane);
}

/* ---- a message ------------------------------------------------------------------------------ */

static void taken(struct lane *lane)
{
    struct window *window = lane->retried ? &lane->again : &lane->window;
    lane->stats.events += window->first->count;
    lane->stats.messages++;
    window_drop_first(window);
    if (lane->failures > 1) /* it was down: those that are held were not to blame */
        retry_all(lane);
    lane->failures = 0;
    lane->ready_ms = 0;
    if (lane->retried)
        lane->retried->failures = 0;
    if (!window->first && lane->retried)
        retried_is_over(lane, window->through);
    else if (!window->first)
        window_is_over(lane);
    may_have_recovered(lane);
    step(lane);
}

static void retried_was_refused(struct lane *lane)
{
    struct held *held = lane->retried;
    held->due_ms = retry_time(++held->failures);
    retried_is_over(lane, window_first_of(&lane->again, held->sandbox_id) - 1);
}

/* Its sandbox is held, and what others have in the window is next; where no more can be held, all of them wait. */
static void first_was_refused(struct lane *lane)
{
    const char *sandbox_id = lane->window.first->sandbox_id;
    struct held *held = place_hold(&lane->place, sandbox_id, window_first_of(&lane->window, sandbox_id) - 1);
    try_later(lane);
    if (held) {
        held->due_ms = retry_time(++held->failures);
        window_drop_sandbox(&lane->window, held->sandbox_id);
    } else {
        lane->window.through = window_first_of(&lane->window, NULL) - 1;
        lane->unread = true;
    }
    if (!held || !lane->window.first)
        window_is_over(lane);
    else
        save(lane);
}

static void refused(struct lane *lane, const char *why)
{
    char sandbox_id[SANDBOX_ID_MAX + 1];
    const struct message *message = lane->retried ? lane->again.first : lane->window.first;
    snprintf(sandbox_id, sizeof sandbox_id, "%s", message->sandbox_id);
    lane->stats.failures++;
    if (lane->retried)
        retried_was_refused(lane);
    else
        first_was_refused(lane);
    begins_to_fail(lane, sandbox_id, why);
    step(lane);
}

static void delivered(void *arg, const char *why)
{
    if (why)
        refused(arg, why);
    else
        taken(arg);
}

static void send_message(struct lane *lane, const struct message *message)
{
    delivery_start(&lane->delivery, lane->deps->client, lane->url, lane->secret, message, delivered, lane);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void wait_until(struct lane *lane, uint64_t time_ms, uint64_t now_ms)
{
    loop_arm_ms(&lane->timer, time_ms > now_ms ? time_ms - now_ms : 0);
}

/* Others and held sandboxes take turns, each when it is ready. */
static void take_turn(struct lane *lane)
{
    uint64_t now_ms = clock_ms();
    struct held *held = place_next(&lane->place);
    bool others = lane->window.first || lane->unread, due = held && held->due_ms <= now_ms;
    bool ready = others && lane->ready_ms <= now_ms;
    if (due && !(ready && lane->others_first)) {
        lane->others_first = true;
        read_again(lane, held);
    } else if (ready) {
        lane->others_first = false;
        if (lane->window.first)
            send_message(lane, lane->window.first);
        else
            read_more(lane);
    } else if (held && (!others || held->due_ms < lane->ready_ms)) {
        wait_until(lane, held->due_ms, now_ms);
    } else if (others) {
        wait_until(lane, lane->ready_ms, now_ms);
    }
}

static void step(struct lane *lane)
{
    uint64_t now_ms = clock_ms();
    if (lane->asked > 0 || lane->delivery.transfer)
        return;
    event_del(&lane->timer);
    if (!lane->placed && lane->ready_ms > now_ms)
        wait_until(lane, lane->ready_ms, now_ms);
    else if (!lane->placed)
        load(lane);
    else if (lane->retried)
        send_message(lane, lane->again.first);
    else
        take_turn(lane);
}

void lane_begin(struct lane *lane)
{
    step(lane);
}

void lane_wake(struct lane *lane)
{
    lane->unread = true;
    step(lane);
}

/* ---- what is gone --------------------------------------------------------------------------- */

static bool waits_in(const struct window *window, int64_t seq)
{
    return !window->first || seq > window->through || window_has(window, seq);
}

static bool was_not_taken(const struct lane *lane, const struct store_expired_event *event)
{
    const struct held *held = place_find(&lane->place, event->sandbox_id);
    if (!held)
        return event->seq > lane->place.told && waits_in(&lane->window, event->seq);
    return event->seq > held->told && (held != lane->retried || waits_in(&lane->again, event->seq));
}

/* What was read of it goes too, and is read again from there on. */
static void move_to(struct lane *lane, int64_t through_seq)
{
    for (struct held *held = lane->place.held, *next; held; held = next) {
        next = held->next;
        if (held->told >= through_seq)
            continue;
        held->told = through_seq;
        if (held == lane->retried) {
            delivery_cancel(&lane->delivery);
            window_clear(&lane->again);
            lane->retried = NULL;
        }
    }
    if (lane->place.told < through_seq) {
        if (!lane->retried)
            delivery_cancel(&lane->delivery);
        window_clear(&lane->window);
        lane->place.told = through_seq;
        lane->unread = true;
    }
    for (struct held *held = lane->place.held, *next; held; held = next) {
        next = held->next;
        if (held->told >= reached(lane) && held != lane->retried)
            place_release(&lane->place, held);
    }
}

static int64_t farthest_behind(const struct lane *lane)
{
    int64_t told = lane->place.told;
    for (const struct held *held = lane->place.held; held; held = held->next)
        if (held->told < told)
            told = held->told;
    return told;
}

void lane_expire(struct lane *lane, const struct store_expired *expired)
{
    if (lane->placed && farthest_behind(lane) < expired->through_seq) {
        for (size_t i = 0; i < expired->events; i++)
            lane->dropped += was_not_taken(lane, &expired->rows[i]);
        move_to(lane, expired->through_seq);
        may_have_recovered(lane);
        save(lane);
        step(lane);
    }
    if (lane->dropped && !expired->more) {
        log_warn("%s: %" PRIu64 " events that it has not taken are older than events.retention, and are "
                 "dropped",
                 lane->name, lane->dropped);
        lane->stats.dropped += lane->dropped;
        lane->dropped = 0;
    }
}
