/* mirror/callbacks.c: see callbacks.h. Owns the lanes, one a URL; what is in a message is window.c's. */
#include "mirror/callbacks.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "mirror/signature.h"
#include "mirror/window.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEND_TIMEOUT_MS = 30000,
    FIRST_RETRY_MS = 1000,
    LAST_RETRY_MS = 5 * 60 * 1000,
    ANSWER_MAX = 64 * 1024, /* bytes of an answer that are waited for: only its status matters */
    KEY_SIZE = 65,
    NAME_SIZE = 320
};

/* No backend is called so: their names begin with a letter or a digit. */
static const char space[] = "/callbacks";

/* What a lane does. */
enum state {
    LANE_LOADING, /* its place is read from the store */
    LANE_IDLE,    /* it has told everything */
    LANE_READING, /* the next events are read from the store */
    LANE_SENDING, /* a message is under way */
    LANE_WAITING  /* until the time for another try */
};

struct lane {
    struct callbacks *callbacks;
    struct lane *next;
    char *url;
    char *secret;         /* NULL: not signed */
    char key[KEY_SIZE];   /* in the store: the SHA-256 of the URL, in which there may be a secret */
    char name[NAME_SIZE]; /* for people: its place in the configuration, and the host */
    enum state state;
    bool removed;         /* goes once `asked` is 0 */
    unsigned asked;       /* questions to the store without an answer yet */
    bool placed;          /* `told` is known */
    int64_t told;         /* all events up to this one were taken, or are gone */
    bool again;           /* there are new events since the read that is under way */
    struct window window; /* read, and not taken yet */
    unsigned failures;    /* in a row */
    struct event retry;
    struct client_transfer *transfer;
    int status;         /* of the answer that is coming in */
    size_t answer_size; /* bytes of it */
    struct mirror_callback stats;
};

struct callbacks {
    struct mirror_deps deps;
    struct lane *lanes;   /* in the order of the configuration */
    struct lane *removed; /* the store still has a question of theirs */
};

static void load(struct lane *lane);
static void read_more(struct lane *lane);
static void send_first(struct lane *lane);

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

static void make_key(const char *url, char key[KEY_SIZE])
{
    unsigned char digest[32];
    if (!EVP_Digest(url, strlen(url), digest, NULL, EVP_sha256(), NULL))
        abort();
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(key + 2 * i, 3, "%02x", digest[i]);
}

/* Neither what is before an '@' nor the path: both may be a secret. */
static void make_name(struct lane *lane, size_t index)
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

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct lane *lane = arg;
    if (!lane->placed)
        load(lane);
    else
        send_first(lane);
}

static struct lane *new_lane(struct callbacks *callbacks, const char *url)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        abort();
    lane->callbacks = callbacks;
    lane->url = copy_text(url);
    make_key(url, lane->key);
    window_init(&lane->window);
    evtimer_assign(&lane->retry, loop_base(callbacks->deps.loop), on_retry, lane);
    return lane;
}

static void free_lane(struct lane *lane)
{
    client_cancel(lane->transfer);
    event_del(&lane->retry);
    window_clear(&lane->window);
    wipe(lane->url);
    wipe(lane->secret);
    free(lane);
}

/* The first thing to do in an answer of the store. False: the lane is not wanted any more, and may be gone. */
static bool answered(struct lane *lane)
{
    lane->asked--;
    if (!lane->removed)
        return true;
    if (lane->asked == 0) {
        struct lane **at = &lane->callbacks->removed;
        while (*at != lane)
            at = &(*at)->next;
        *at = lane->next;
        free_lane(lane);
    }
    return false;
}

static void remove_lane(struct lane *lane)
{
    struct callbacks *callbacks = lane->callbacks;
    log_info("%s is not in the configuration any more: it is told nothing from now on", lane->name);
    if (lane->asked == 0) {
        free_lane(lane);
        return;
    }
    client_cancel(lane->transfer);
    lane->transfer = NULL;
    event_del(&lane->retry);
    lane->removed = true;
    lane->next = callbacks->removed;
    callbacks->removed = lane;
}

/* ---- its place ------------------------------------------------------------------------------ */

static void save(struct lane *lane)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, lane->told);
    store_put(lane->callbacks->deps.store, space, lane->key, text, (size_t)len, NULL, NULL);
}

/* After 1 s, 2 s, … 5 min, give or take a fifth. */
static void try_later(struct lane *lane)
{
    uint64_t delay_ms = FIRST_RETRY_MS;
    for (unsigned i = 0; i < lane->failures && delay_ms < LAST_RETRY_MS; i++)
        delay_ms *= 2;
    if (delay_ms > LAST_RETRY_MS)
        delay_ms = LAST_RETRY_MS;
    uint32_t random;
    random_fill(&random, sizeof random);
    lane->failures++;
    lane->state = LANE_WAITING;
    loop_arm_ms(&lane->retry, delay_ms - delay_ms / 5 + random % (2 * delay_ms / 5 + 1));
}

static void place(struct lane *lane, int64_t told)
{
    lane->placed = true;
    lane->told = told;
    lane->failures = 0;
    read_more(lane);
}

static void last_known(void *arg, const struct sbx_error *err, int64_t seq)
{
    struct lane *lane = arg;
    if (!answered(lane))
        return;
    if (err) {
        try_later(lane);
        return;
    }
    place(lane, seq);
    save(lane);
}

static void loaded(void *arg, const struct sbx_error *err, const void *value, size_t len)
{
    struct lane *lane = arg;
    char text[24] = "";
    if (!answered(lane))
        return;
    if (err) {
        try_later(lane);
        return;
    }
    if (value && len < sizeof text)
        memcpy(text, value, len);
    char *end;
    long long told = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && told >= 0) {
        place(lane, told);
        return;
    }
    lane->asked++;
    store_events_last_seq(lane->callbacks->deps.store, last_known, lane);
}

static void load(struct lane *lane)
{
    lane->state = LANE_LOADING;
    lane->asked++;
    store_get(lane->callbacks->deps.store, space, lane->key, loaded, lane);
}

/* ---- what is next ---------------------------------------------------------------------------- */

static void were_read(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct lane *lane = arg;
    if (!answered(lane))
        return;
    if (err) {
        try_later(lane);
    } else if (events->count == 0) {
        lane->state = LANE_IDLE;
        if (lane->again)
            read_more(lane);
    } else if (window_fill(&lane->window, events)) {
        try_later(lane);
    } else {
        send_first(lane);
    }
}

static void read_more(struct lane *lane)
{
    lane->state = LANE_READING;
    lane->again = false;
    lane->asked++;
    store_events_after(lane->callbacks->deps.store, lane->told, WINDOW_EVENTS, were_read, lane);
}

/* ---- a message ------------------------------------------------------------------------------- */

static void taken(struct lane *lane)
{
    if (lane->stats.failing)
        log_info("%s takes events again", lane->name);
    lane->stats.failing = false;
    lane->failures = 0;
    lane->stats.events += lane->window.first->count;
    lane->stats.messages++;
    window_drop_first(&lane->window);
    if (!lane->window.first) {
        lane->told = lane->window.through;
        save(lane);
    }
    send_first(lane);
}

static void refused(struct lane *lane, const char *why)
{
    lane->stats.failures++;
    if (!lane->stats.failing)
        log_warn("%s did not take a message: %s; it is sent again until it is taken, or older than "
                 "events.retention",
                 lane->name, why);
    lane->stats.failing = true;
    try_later(lane);
}

static void ended(struct lane *lane, const char *why)
{
    char text[64];
    lane->transfer = NULL;
    if (lane->status >= 200 && lane->status <= 299) {
        taken(lane);
        return;
    }
    if (lane->status) {
        snprintf(text, sizeof text, "its answer has status %d", lane->status);
        why = text;
    }
    refused(lane, why);
}

static void on_head(void *arg, int status, const char *const *headers)
{
    (void)headers;
    struct lane *lane = arg;
    lane->status = status;
}

/* The answer is read so that the connection can be kept; how it goes on says nothing any more. */
static bool on_data(void *arg, const void *bytes, size_t len)
{
    (void)bytes;
    struct lane *lane = arg;
    lane->answer_size += len;
    if (lane->answer_size <= ANSWER_MAX)
        return true;
    client_cancel(lane->transfer);
    ended(lane, NULL);
    return true;
}

static void on_done(void *arg, const struct sbx_error *err, int status, const void *body, size_t len)
{
    (void)status;
    (void)body;
    (void)len;
    ended(arg, err ? err->message : "it has no status");
}

static void send_first(struct lane *lane)
{
    static const struct client_handler handler = {on_head, on_data, on_done};
    const struct message *message = lane->window.first;
    char sandbox[192], conversation[96], signature[SIGNATURE_SIZE], signed_by[SIGNATURE_SIZE + 32];
    const char *headers[] = {"Content-Type: application/json", sandbox, conversation, NULL, NULL};
    if (!message) {
        read_more(lane);
        return;
    }
    snprintf(sandbox, sizeof sandbox, "X-Sandboxd-Sandbox: %s", message->sandbox_id);
    snprintf(conversation, sizeof conversation, "X-Sandboxd-Conversation: %s", message->conversation_id);
    if (lane->secret) {
        signature_make(lane->secret, message->body.data, message->body.len, signature);
        snprintf(signed_by, sizeof signed_by, "X-Sandboxd-Signature: %s", signature);
        headers[3] = signed_by;
    }
    struct client_request request = {.method = "POST",
                                     .url = lane->url,
                                     .headers = headers,
                                     .body = message->body.data,
                                     .body_len = message->body.len,
                                     .timeout_ms = SEND_TIMEOUT_MS};
    struct sbx_error err;
    lane->state = LANE_SENDING;
    lane->status = 0;
    lane->answer_size = 0;
    lane->transfer = client_start(lane->callbacks->deps.client, &request, &handler, lane, &err);
    if (!lane->transfer)
        refused(lane, err.message);
}

/* ---- the interface ---------------------------------------------------------------------------- */

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

/* What refused the messages may have been the secret: they are tried again at once. */
static void set_secret(struct lane *lane, const char *secret)
{
    bool same = secret && lane->secret ? strcmp(secret, lane->secret) == 0 : !secret && !lane->secret;
    if (same)
        return;
    wipe(lane->secret);
    lane->secret = copy_text(secret);
    if (lane->state == LANE_WAITING)
        loop_arm_ms(&lane->retry, 0);
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
            store_delete(callbacks->deps.store, space, keys[i], NULL, NULL);
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
            lane = new_lane(callbacks, wanted->url);
        make_name(lane, i);
        set_secret(lane, wanted->secret);
        if (is_new)
            load(lane);
        *last = lane;
        last = &lane->next;
    }
    for (struct lane *lane = before, *following; lane; lane = following) {
        following = lane->next;
        remove_lane(lane);
    }
    store_list(callbacks->deps.store, space, "", listed, callbacks);
}

void callbacks_wake(struct callbacks *callbacks)
{
    for (struct lane *lane = callbacks->lanes; lane; lane = lane->next) {
        if (lane->state == LANE_IDLE)
            read_more(lane);
        else
            lane->again = true;
    }
}

/* What was read of it goes too, and is read again from there on. */
static void let_go(struct lane *lane, int64_t through_seq)
{
    int64_t beyond = lane->window.first ? lane->window.through : lane->told;
    uint64_t dropped = window_count(&lane->window, through_seq);
    if (through_seq > beyond)
        dropped += (uint64_t)(through_seq - beyond); /* seqs have no holes */
    window_clear(&lane->window);
    lane->told = through_seq;
    lane->stats.dropped += dropped;
    save(lane);
    if (dropped)
        log_warn("%s: %" PRIu64 " events that it has not taken are older than events.retention, and are "
                 "dropped",
                 lane->name, dropped);
    if (lane->state == LANE_SENDING) {
        client_cancel(lane->transfer);
        lane->transfer = NULL;
        read_more(lane);
    }
}

void callbacks_expired(struct callbacks *callbacks, int64_t through_seq)
{
    for (struct lane *lane = callbacks->lanes; lane; lane = lane->next)
        if (lane->placed && lane->told < through_seq)
            let_go(lane, through_seq);
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
        free_lane(lane);
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
