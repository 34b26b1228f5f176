/* logs.c: a sandbox's output for clients and for reports (docker.h). Owns each stream until its end. */
#include "common/bytes.h"
#include "common/failure.h"
#include "output/output.h"

#include <stdlib.h>
#include <string.h>

/* An engine that says nothing for so long has hung: of a log that is not followed it sends all it has. */
enum { SILENCE_MS = 30000, TAIL_SILENCE_MS = 5000, TAIL_LINES = 20, TAIL_MAX = 4095 };
/* Where the host's health checks are in it, more is asked for. */
enum { MORE_LINES = 2000, MORE_MAX = 256 * 1024 };

struct log_stream { /* docker->logs */
    struct log_stream *next;
    struct docker *docker;
    struct output *output;
    sbx_op op;           /* 0: a tail, which has what follows */
    struct bytes newest; /* the end of what came: up to twice TAIL_MAX */
    bool cut;            /* there was more before that */
    char *name;          /* a tail: of the container, to ask for more; owned */
    bool more;           /* it was asked for */
    void (*done)(void *arg, const char *tail);
    void *arg;
};

static struct log_stream *stream_new(struct docker *docker)
{
    struct log_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        abort();
    stream->docker = docker;
    stream->newest.max = 2 * TAIL_MAX;
    stream->next = docker->logs;
    docker->logs = stream;
    return stream;
}

static void stream_free(struct log_stream *stream)
{
    struct log_stream **at = &stream->docker->logs;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    bytes_finish(&stream->newest);
    free(stream->name);
    free(stream);
}

/* ---- the logs operation ---------------------------------------------------------------------- */

static enum sbx_stream on_write(void *arg, const char *bytes, size_t len)
{
    const struct log_stream *stream = arg;
    return stream->docker->host->stream_write(stream->docker->public, stream->op, bytes, len);
}

static void on_done(void *arg, const struct sbx_error *error)
{
    struct log_stream *stream = arg;
    struct docker *docker = stream->docker;
    sbx_op op = stream->op;
    stream_free(stream);
    docker->host->complete(docker->public, op, error);
}

void logs_begin(struct docker *docker, const struct sbx_logs *logs, sbx_op op)
{
    static const struct output_sink sink = {on_write, on_done};
    bool follow = logs->follow != 0;
    struct log_stream *stream = stream_new(docker);
    stream->op = op;
    const struct output_query query = {.name = logs->sandbox_id,
                                       .tail = logs->tail,
                                       .follow = follow,
                                       .silence_ms = follow ? 0 : SILENCE_MS};
    stream->output = output_open(docker, &query, &sink, stream);
}

static struct log_stream *find(const struct docker *docker, sbx_op op)
{
    struct log_stream *stream = docker->logs;
    while (stream && stream->op != op)
        stream = stream->next;
    return stream;
}

void logs_ready(struct docker *docker, sbx_op op)
{
    struct log_stream *stream = find(docker, op);
    if (stream)
        output_resume(stream->output);
}

void logs_cancel(struct docker *docker, sbx_op op)
{
    struct log_stream *stream = find(docker, op);
    if (!stream)
        return;
    struct sbx_error error;
    failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_INTERNAL, "cancelled");
    output_cancel(stream->output);
    on_done(stream, &error);
}

/* ---- tails ----------------------------------------------------------------------------------- */

static void drop_oldest(struct log_stream *stream, size_t len)
{
    struct bytes *newest = &stream->newest;
    memmove(newest->data, newest->data + len, newest->len - len);
    newest->len -= len;
    stream->cut = true;
}

static enum sbx_stream on_tail_write(void *arg, const char *bytes, size_t len)
{
    struct log_stream *stream = arg;
    size_t most = stream->newest.max / 2;
    if (len > most) {
        bytes += len - most;
        len = most;
        stream->cut = true;
    }
    if (stream->newest.len > most)
        drop_oldest(stream, stream->newest.len - most);
    bytes_add(&stream->newest, bytes, len);
    return SBX_STREAM_GO;
}

/* Takes the lines of the host's health checks out; true where there were such. */
static bool drop_checks(struct log_stream *stream)
{
    const struct docker *docker = stream->docker;
    struct bytes *newest = &stream->newest;
    size_t had = newest->len;
    if (had > 0 && SBX_HAS(docker->host, drop_health_checks))
        newest->len = docker->host->drop_health_checks(docker->public, newest->data, had);
    return newest->len < had;
}

/* Leaves the last lines. */
static void keep_last(struct log_stream *stream)
{
    const struct bytes *newest = &stream->newest;
    size_t lines = newest->len > 0 && newest->data[newest->len - 1] != '\n', at = newest->len;
    for (; at > 0; at--)
        if (newest->data[at - 1] == '\n' && lines++ == TAIL_LINES)
            break;
    if (at > 0)
        drop_oldest(stream, at);
    stream->cut = false; /* it begins with a line */
}

static void ask_for_tail(struct log_stream *stream, int64_t lines);

/* What came is worth having also where the rest did not. */
static void on_tail_done(void *arg, const struct sbx_error *error)
{
    (void)error;
    struct log_stream *stream = arg;
    struct bytes *newest = &stream->newest;
    bool dropped = drop_checks(stream);
    if (dropped && !stream->more) {
        stream->more = true;
        stream->cut = false;
        newest->len = 0;
        newest->max = 2 * MORE_MAX;
        ask_for_tail(stream, MORE_LINES);
        return;
    }
    if (stream->more)
        keep_last(stream);
    if (newest->len > TAIL_MAX)
        drop_oldest(stream, newest->len - TAIL_MAX);
    const char *line = stream->cut ? memchr(newest->data, '\n', newest->len) : NULL;
    if (line && line + 1 < newest->data + newest->len) /* else it is one very long line */
        drop_oldest(stream, (size_t)(line + 1 - newest->data));
    for (char *zero; newest->len > 0 && (zero = memchr(newest->data, '\0', newest->len));)
        *zero = '?';
    bytes_add(newest, "", 1);
    stream->done(stream->arg, newest->data);
    stream_free(stream);
}

void logs_tail(struct docker *docker, const struct container *container,
               void (*done)(void *arg, const char *tail), void *arg)
{
    struct log_stream *stream = stream_new(docker);
    stream->done = done;
    stream->arg = arg;
    if (!(stream->name = strdup(container->name)))
        abort();
    ask_for_tail(stream, TAIL_LINES);
}

static void ask_for_tail(struct log_stream *stream, int64_t lines)
{
    static const struct output_sink sink = {on_tail_write, on_tail_done};
    const struct output_query query = {.name = stream->name, .tail = lines, .silence_ms = TAIL_SILENCE_MS};
    stream->output = output_open(stream->docker, &query, &sink, stream);
}

void logs_finish(struct docker *docker)
{
    while (docker->logs) {
        output_cancel(docker->logs->output);
        stream_free(docker->logs);
    }
}
