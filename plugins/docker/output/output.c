/* output.c: see output.h. Owns each output until its end. */
#include "output/output.h"

#include "common/failure.h"
#include "engine/refusal.h"
#include "output/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 512, WHOLE = 1000000000 };

struct output {
    struct docker *docker;
    struct output_query query;
    char name[3 * SANDBOX_ID_MAX + 1]; /* encoded */
    const struct output_sink *sink;
    void *arg;
    struct engine_call *call;
    bool framed;
    struct frames frames;
    bool *cancelled; /* set when it is cancelled inside write(); NULL outside */
};

static void end(struct output *output, const struct sbx_error *error)
{
    const struct output_sink *sink = output->sink;
    void *arg = output->arg;
    free(output);
    sink->done(arg, error);
}

static void refuse(struct output *output, const struct sbx_error *error, int status)
{
    struct sbx_error failure = *error;
    if (status == 404 && refusal_is_not_found(error))
        failure_set(&failure, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no such container any more");
    else if (strstr(error->message, "does not support reading"))
        failure_set(&failure, SBX_ERR_UNSUPPORTED, CODE_LOGS_UNREADABLE,
                    "the container's log driver keeps nothing that can be read: %.300s", error->message);
    end(output, &failure);
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* The output in `bytes`, moved together in `to`, which is as long. False: it is no log. */
static bool unframe(struct frames *frames, const void *bytes, size_t len, char *to, size_t *to_len)
{
    const uint8_t *at = bytes, *piece;
    size_t piece_len;
    bool broken;
    *to_len = 0;
    while (frames_next(frames, &at, &len, &piece, &piece_len, &broken)) {
        memcpy(to + *to_len, piece, piece_len);
        *to_len += piece_len;
    }
    return !broken;
}

static enum sbx_stream on_data(void *arg, const void *bytes, size_t len)
{
    struct output *output = arg;
    bool cancelled = false;
    output->cancelled = &cancelled;
    if (!output->framed) {
        enum sbx_stream answer = output->sink->write(output->arg, bytes, len);
        if (!cancelled)
            output->cancelled = NULL;
        return answer;
    }
    char *plain = malloc(len ? len : 1); /* at most what the host's client keeps of a stream: some 64 KiB */
    if (!plain)
        abort();
    size_t plain_len;
    bool sane = unframe(&output->frames, bytes, len, plain, &plain_len);
    enum sbx_stream answer = SBX_STREAM_GO;
    if (plain_len > 0)
        answer = output->sink->write(output->arg, plain, plain_len);
    free(plain);
    if (cancelled)
        return SBX_STREAM_GO;
    output->cancelled = NULL;
    if (!sane) {
        struct sbx_error error;
        failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "what the engine answers as the container's log makes no sense: it has no frames");
        engine_cancel(output->call);
        end(output, &error);
        return SBX_STREAM_GO;
    }
    return answer;
}

static void on_done(void *arg, const struct sbx_error *error, int status)
{
    struct output *output = arg;
    output->call = NULL;
    if (error)
        refuse(output, error, status);
    else
        end(output, NULL);
}

/* `since`: in nanoseconds since 1970-01-01 UTC, on the engine's clock. */
static void ask(struct output *output, bool tty, uint64_t since)
{
    static const struct engine_stream stream = {.data = on_data, .done = on_done};
    char path[PATH_SIZE], tail[24] = "all";
    if (output->query.tail != OUTPUT_ALL)
        snprintf(tail, sizeof tail, "%" PRId64, output->query.tail);
    int len = snprintf(path, sizeof path, "/containers/%s/logs?stdout=1&stderr=1&tail=%s&follow=%d",
                       output->name, tail, output->query.follow);
    if (since > 0)
        snprintf(path + len, sizeof path - (size_t)len, "&since=%" PRIu64 ".%09" PRIu64, since / WHOLE,
                 since % WHOLE);
    const struct engine_request request = {
        .method = "GET", .path = path, .timeout_ms = output->query.silence_ms};
    output->framed = !tty;
    output->call = engine_open(&output->docker->engine, &request, &stream, output);
}

/* ---- the container --------------------------------------------------------------------------- */

static void on_inspected(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    struct output *output = arg;
    struct docker *docker = output->docker;
    output->call = NULL;
    struct facts facts;
    struct sbx_error failure;
    if (error) {
        refuse(output, error, status);
        return;
    }
    if (facts_from_inspect(&facts, docker->host->json, body, &failure) != 0) {
        end(output, &failure);
        return;
    }
    bool ours = ours_is(docker, facts.name, facts.backend, facts.instance);
    bool tty = facts.tty;
    uint64_t since = output->query.this_run ? facts.finished_at_ns : 0;
    facts_finish(&facts);
    if (ours) {
        ask(output, tty, since);
        return;
    }
    failure_set(&failure, SBX_ERR_NOT_FOUND, "NOT_FOUND",
                "there is no such sandbox: it is a container of others");
    end(output, &failure);
}

struct output *output_open(struct docker *docker, const struct output_query *query,
                           const struct output_sink *sink, void *arg)
{
    struct output *output = calloc(1, sizeof *output);
    if (!output)
        abort();
    *output = (struct output){.docker = docker, .query = *query, .sink = sink, .arg = arg};
    engine_encode(output->name, sizeof output->name, query->name);
    output->query.name = NULL; /* not ours to keep */
    const struct container *container = table_find(docker, query->name);
    if (container && container->facts.id[0] && !query->this_run) {
        ask(output, container->facts.tty, 0);
        return output;
    }
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "/containers/%s/json", output->name);
    const struct engine_request request = {.method = "GET", .path = path, .timeout_ms = CALL_TIMEOUT_MS};
    output->call = engine_call(&docker->engine, &request, on_inspected, output);
    return output;
}

void output_resume(struct output *output)
{
    engine_resume(output->call);
}

void output_cancel(struct output *output)
{
    if (!output)
        return;
    if (output->cancelled)
        *output->cancelled = true;
    engine_cancel(output->call);
    free(output);
}
