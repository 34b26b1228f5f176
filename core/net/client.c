/* net/client.c: see client.h. Owns every transfer and the order in which its handler hears of things.
 *
 * curl's callbacks below only note what came and queue the transfer's task; the handler is called from that
 * task, outside curl, where it may start, resume and cancel as it likes.
 */
#include "net/client.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/transfer.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    DEFAULT_MAX_BODY = 1024 * 1024,
    SCRATCH_KEPT = 2 * TRANSFER_HIGH_WATER,
    BURST = 64, /* requests at once that are worth giving memory back for */
    TRIM_DELAY_MS = 1000
};

static void tell(void *arg);

static bool is_streamed(const struct client_transfer *t)
{
    return t->handler.data != NULL;
}

static void leave_curl(struct client_transfer *t)
{
    if (t->in_curl)
        multi_remove(t->client->multi, t->easy);
    t->in_curl = false;
}

/* Nothing more comes; the handler hears of it in its turn. Not inside curl. */
static void end(struct client_transfer *t, CURLcode result, enum transfer_failure failure)
{
    leave_curl(t);
    resolver_cancel(&t->query);
    event_del(&t->timer);
    t->ended = true;
    t->result = result;
    if (t->failure == FAILURE_NONE)
        t->failure = failure;
    loop_defer(t->client->loop, &t->task);
}

/* A request takes 14 KiB while it is under way, which the allocator would keep: some time after a burst of
 * them it goes back to the system. */
static void on_trim(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct client *client = arg;
    if (client->count > client->most / BURST)
        return; /* the next burst; its end comes */
    client->most = client->count;
    malloc_trim(0);
}

static void consider_trim(struct client *client)
{
    if (client->most >= BURST && client->count <= client->most / BURST &&
        !event_pending(&client->trim, EV_TIMEOUT, NULL))
        loop_arm_ms(&client->trim, TRIM_DELAY_MS);
}

static void free_transfer(struct client_transfer *t)
{
    struct client *client = t->client;
    leave_curl(t);
    if (t->easy)
        multi_give_handle(client->multi, t->easy);
    resolver_cancel(&t->query);
    event_del(&t->timer);
    loop_undefer(client->loop, &t->task);
    upload_close(&t->upload);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->addresses);
    buffer_finish(&t->head);
    buffer_finish(&t->body);
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else if (!client->transfers)
        buffer_finish(&client->scratch);
    free(t);
    client->count--;
    consider_trim(client);
}

/* ---- curl's callbacks ----------------------------------------------------------------------- */

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_transfer *t = arg;
    size_t len = size * count, text = len;
    t->last_byte_ms = clock_ms();
    t->head_len += len;
    if (t->head_len > TRANSFER_HEAD_MAX) {
        t->failure = FAILURE_HEAD_TOO_LARGE;
        return 0;
    }
    if (t->head_complete)
        return len; /* a trailer */
    while (text > 0 && (bytes[text - 1] == '\r' || bytes[text - 1] == '\n'))
        text--;
    if (text == 0) {
        long status = 0;
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 100 && status < 200 && status != 101) {
            buffer_clear(&t->head); /* an interim answer; the real one follows */
            return len;
        }
        t->status = (int)status;
        t->head_complete = true;
        loop_defer(t->client->loop, &t->task);
    } else if (t->handler.head) {
        bool folded = bytes[0] == ' ' || bytes[0] == '\t';
        if (folded && t->head.len > 0)
            t->head.data[t->head.len - 1] = ' ';  /* goes on on the line before (RFC 9112, section 5.2) */
        if (folded || memchr(bytes, ':', text)) { /* not so the status line */
            buffer_add(&t->head, bytes, text);
            buffer_add(&t->head, "", 1);
        }
    }
    return len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct client_transfer *t = arg;
    size_t len = size * count;
    t->last_byte_ms = clock_ms();
    if (t->discard_body)
        return len;
    if (is_streamed(t)) {
        if (t->stopped || t->body.len >= TRANSFER_HIGH_WATER) {
            t->paused = true;
            return CURL_WRITEFUNC_PAUSE; /* curl keeps the piece */
        }
        loop_defer(t->client->loop, &t->task);
    }
    if (buffer_add(&t->body, bytes, len)) {
        t->failure = FAILURE_BODY_TOO_LARGE;
        return CURL_WRITEFUNC_ERROR;
    }
    return len;
}

/* curl's own sockets would be inherited by every child. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct client_transfer *t = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd >= 0)
        return fd;
    if (errno != EAFNOSUPPORT) /* no IPv6 here: the other address is tried */
        t->socket_errno = errno;
    return CURL_SOCKET_BAD;
}

static void on_ended(void *transfer, CURLcode result)
{
    struct client_transfer *t = transfer;
    t->in_curl = false;
    end(t, result, FAILURE_NONE);
}

/* ---- telling the handler -------------------------------------------------------------------- */

static void tell_head(struct client_transfer *t)
{
    t->head_told = true;
    if (!t->handler.head)
        return;
    size_t count = 0;
    for (size_t i = 0; i < t->head.len; i++)
        count += t->head.data[i] == '\0';
    const char **lines = calloc(count + 1, sizeof *lines);
    if (!lines)
        abort();
    const char *line = t->head.data;
    for (size_t i = 0; i < count; i++, line += strlen(line) + 1)
        lines[i] = line;
    t->handler.head(t->arg, t->status, lines);
    free(lines);
    buffer_finish(&t->head);
}

/* The piece is taken out first: what curl brings while the handler runs goes into a buffer of its own. */
static void tell_data(struct client_transfer *t)
{
    struct buffer *scratch = &t->client->scratch;
    struct buffer piece = t->body;
    t->body = *scratch;
    t->body.max = piece.max;
    *scratch = piece;
    t->resumed = false;
    bool go_on = t->handler.data(t->arg, scratch->data, scratch->len);
    t->stopped = !go_on && !t->resumed;
    if (scratch->capacity > SCRATCH_KEPT)
        buffer_finish(scratch);
    else
        buffer_clear(scratch);
}

static void tell_done(struct client_transfer *t)
{
    struct sbx_error err;
    if (transfer_failure(t, &err))
        t->handler.done(t->arg, &err, t->status, NULL, 0);
    else
        t->handler.done(t->arg, NULL, t->status, buffer_text(&t->body), t->body.len);
}

/* Lets curl go on, which may bring the next piece at once. */
static void unpause(struct client_transfer *t)
{
    t->paused = false;
    CURLcode result = curl_easy_pause(t->easy, CURLPAUSE_CONT);
    if (result)
        end(t, result, FAILURE_NONE);
}

/* Returns false when the transfer is over: done() was called, or the handler cancelled it. */
static bool tell_all(struct client_transfer *t)
{
    if (t->head_complete && !t->head_told) {
        tell_head(t);
        if (t->cancelled)
            return false;
        if (t->discard_body && !t->ended)
            end(t, CURLE_OK, FAILURE_NONE);
    }
    if (is_streamed(t) && !t->stopped && t->body.len > 0) {
        tell_data(t);
        if (t->cancelled)
            return false;
    }
    if (t->stopped)
        return true;
    if (t->paused && !t->ended)
        unpause(t);
    if (is_streamed(t) && t->body.len > 0) {
        loop_defer(t->client->loop, &t->task); /* others first */
        return true;
    }
    if (!t->ended)
        return true;
    tell_done(t);
    return false;
}

static void tell(void *arg)
{
    struct client_transfer *t = arg;
    t->busy = true;
    bool goes_on = tell_all(t);
    t->busy = false;
    if (!goes_on)
        free_transfer(t);
}

/* ---- timers and names ----------------------------------------------------------------------- */

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct client_transfer *t = arg;
    uint64_t last = t->last_byte_ms > t->upload.last_byte_ms ? t->last_byte_ms : t->upload.last_byte_ms;
    uint64_t silent_ms = clock_ms() - last;
    if (t->stopped || t->paused)
        loop_arm_ms(&t->timer, t->idle_timeout_ms); /* the silence is ours */
    else if (silent_ms < t->idle_timeout_ms)
        loop_arm_ms(&t->timer, t->idle_timeout_ms - silent_ms);
    else
        end(t, CURLE_OK, FAILURE_IDLE);
}

static void on_lookup_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    end(arg, CURLE_OK, FAILURE_LOOKUP_TIMEOUT);
}

/* Hands the transfer to curl. */
static void begin(struct client_transfer *t)
{
    t->last_byte_ms = clock_ms();
    if (multi_add(t->client->multi, t->easy)) {
        end(t, CURLE_OK, FAILURE_START);
        return;
    }
    t->in_curl = true;
    evtimer_assign(&t->timer, loop_base(t->client->loop), on_idle, t);
    if (t->idle_timeout_ms)
        loop_arm_ms(&t->timer, t->idle_timeout_ms);
}

static void begin_at(struct client_transfer *t, const char *addresses)
{
    struct buffer entry = buffer_init(2048);
    buffer_add_format(&entry, "+%s:%s", t->name, addresses); /* the name is host:port */
    t->addresses = curl_slist_append(NULL, buffer_text(&entry));
    buffer_finish(&entry);
    curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->addresses);
    begin(t);
}

static void on_looked_up(void *arg, const char *addresses, const char *why)
{
    struct client_transfer *t = arg;
    event_del(&t->timer);
    t->why = why;
    if (addresses)
        begin_at(t, addresses);
    else
        end(t, CURLE_OK, FAILURE_LOOKUP);
}

static void find_and_begin(struct client_transfer *t, const struct request_target *target)
{
    struct client *client = t->client;
    if (!target->needs_lookup) {
        begin(t);
        return;
    }
    if (!client->resolver)
        client->resolver = resolver_create(client->loop);
    const char *addresses = resolver_known(client->resolver, target->host);
    if (addresses) {
        begin_at(t, addresses);
        return;
    }
    resolver_lookup(client->resolver, &t->query, target->host);
    uint32_t limit = t->connect_timeout_ms;
    loop_arm_ms(&t->timer, t->timeout_ms && t->timeout_ms < limit ? t->timeout_ms : limit);
}

/* ---- the interface -------------------------------------------------------------------------- */

struct client *client_create(struct loop *loop)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        abort();
    client->loop = loop;
    client->multi = multi_create(loop, on_ended);
    client->scratch = buffer_init(0);
    evtimer_assign(&client->trim, loop_base(loop), on_trim, client);
    return client;
}

void client_destroy(struct client *client)
{
    if (!client)
        return;
    while (client->transfers)
        free_transfer(client->transfers);
    event_del(&client->trim);
    multi_destroy(client->multi);
    resolver_destroy(client->resolver);
    buffer_finish(&client->scratch);
    free(client);
}

static struct client_transfer *new_transfer(struct client *client, const struct client_request *request,
                                            const struct request_target *target)
{
    char tcp[REQUEST_HOST_SIZE + 8];
    snprintf(tcp, sizeof tcp, "%s:%u", target->host, target->port);
    const char *name = request->unix_socket ? request->unix_socket : tcp;
    size_t name_size = strlen(name) + 1;
    struct client_transfer *t = calloc(1, sizeof *t + name_size);
    if (!t)
        abort();
    memcpy(t->name, name, name_size);
    t->upload.fd = -1;
    t->client = client;
    t->next = client->transfers;
    t->prev = &client->transfers;
    if (t->next)
        t->next->prev = &t->next;
    client->transfers = t;
    if (++client->count > client->most)
        client->most = client->count;
    t->task = (struct loop_task){.run = tell, .arg = t};
    t->query = (struct resolver_query){.done = on_looked_up, .arg = t};
    evtimer_assign(&t->timer, loop_base(client->loop), on_lookup_timeout, t);
    return t;
}

static int prepare(struct client_transfer *t, const struct client_request *request,
                   const struct request_target *target, struct sbx_error *err)
{
    bool streamed = is_streamed(t);
    t->timeout_ms = request_timeout_ms(request, streamed);
    t->connect_timeout_ms = request_connect_timeout_ms(request);
    t->idle_timeout_ms = streamed ? request->idle_timeout_ms : 0;
    t->discard_body = request->discard_body;
    t->cut_short = request->cut_short;
    t->max_body = request->max_body ? request->max_body : DEFAULT_MAX_BODY;
    t->head = buffer_init(2 * TRANSFER_HEAD_MAX);
    t->body = buffer_init(streamed ? TRANSFER_HIGH_WATER + CURL_MAX_WRITE_SIZE : t->max_body);
    t->easy = multi_take_handle(t->client->multi);
    if (!t->easy)
        return error_set(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "no memory for a request");
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->curl_says);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    if (request_apply(t->easy, request, target, streamed, &t->headers, err))
        return -1;
    if (request->body_file && upload_open(&t->upload, request->body_file, err))
        return -1;
    if (request->body_file)
        upload_apply(&t->upload, t->easy);
    return 0;
}

struct client_transfer *client_start(struct client *client, const struct client_request *request,
                                     const struct client_handler *handler, void *arg, struct sbx_error *err)
{
    struct request_target target;
    if (request_check(request, &target, err))
        return NULL;
    struct client_transfer *t = new_transfer(client, request, &target);
    t->handler = *handler;
    t->arg = arg;
    if (prepare(t, request, &target, err)) {
        free_transfer(t);
        return NULL;
    }
    find_and_begin(t, &target);
    return t;
}

void client_resume(struct client_transfer *t)
{
    t->resumed = true;
    if (!t->stopped)
        return;
    t->stopped = false;
    t->last_byte_ms = clock_ms();
    loop_defer(t->client->loop, &t->task);
}

void client_cancel(struct client_transfer *t)
{
    if (!t)
        return;
    if (t->busy) {
        leave_curl(t);
        t->cancelled = true; /* freed when the handler has returned */
    } else {
        free_transfer(t);
    }
}
