/* logs.c: a sandbox's output for clients and for reports (docker.h). Owns each stream until its end. */
#include "common/bytes.h"
#include "common/failure.h"
#include "output/output.h"

#include <stdlib.h>
#include <string.h>

/* An engine that says nothing for so long has hung: of a log that is not followed it sends all it has. */
enum { SILENCE_MS = 30000, TAIL_SILENCE_MS = 5000, TAIL_LINES = 20, TAIL_MAX = 4095 };

struct log_stream { /* docker->logs */
    struct log_stream *next;
    struct docker *docker;
    struct output *output;
    sbx_op op;           /* 0: a tail, which has what follows */
    struct bytes newest; /* the end of what came: up to twice TAIL_MAX */
    bool cut;            /* there was more before that */
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
    if (len > TAIL_MAX) {
        bytes += len - TAIL_MAX;
        len = TAIL_MAX;
        stream->cut = true;
    }
    if (stream->newest.len > TAIL_MAX)
        drop_oldest(stream, stream->newest.len - TAIL_MAX);
    bytes_add(&stream->newest, bytes, len);
    return SBX_STREAM_GO;
}

/* What came is worth having also where the rest did not. */
static void on_tail_done(void *arg, const struct sbx_error *error)
{
    (void)error;
    struct log_stream *stream = arg;
    struct bytes *newest = &stream->newest;
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
    static const struct output_sink sink = {on_tail_write, on_tail_done};
    struct log_stream *stream = stream_new(docker);
    stream->done = done;
    stream->arg = arg;
    const struct output_query query = {
        .name = container->name, .tail = TAIL_LINES, .silence_ms = TAIL_SILENCE_MS};
    stream->output = output_open(docker, &query, &sink, stream);
}

void logs_finish(struct docker *docker)
{
    while (docker->logs) {
        output_cancel(docker->logs->output);
        stream_free(docker->logs);
    }
}
