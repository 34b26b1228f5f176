/* start_log.c: the output of a sandbox that starts, line by line into the log where that shows debug lines
 * (docker.h). Owns each such log until the sandbox answered, its time is over, its container ended or it said
 * LINES_MAX lines. Failures end it without a word: nothing depends on it.
 *
 * Many a program prints its environment, and with it the sandbox's key, which must not stand in a log. */
#include "output/output.h"

#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 1000, LINE_MAX_BYTES = 4096 };

struct start_log { /* docker->start_logs */
    struct start_log *next;
    struct docker *docker;
    struct output *output;
    sbx_timer deadline;
    unsigned lines;
    size_t len; /* of `line`; what is over is left out */
    char id[SANDBOX_ID_MAX + 1];
    char *session_key;
    char line[LINE_MAX_BYTES];
};

static struct start_log *find(const struct docker *docker, const char *sandbox_id)
{
    struct start_log *log = docker->start_logs;
    while (log && strcmp(log->id, sandbox_id) != 0)
        log = log->next;
    return log;
}

static void end(struct start_log *log)
{
    struct docker *docker = log->docker;
    struct start_log **at = &docker->start_logs;
    while (*at != log)
        at = &(*at)->next;
    *at = log->next;
    output_cancel(log->output);
    docker->host->timer_cancel(docker->public, log->deadline);
    explicit_bzero(log->session_key, strlen(log->session_key));
    free(log->session_key);
    explicit_bzero(log->line, sizeof log->line);
    free(log);
}

static void hide_key(struct start_log *log)
{
    const char *key = log->session_key;
    char *at = log->line, *end = log->line + log->len;
    size_t len = strlen(key);
    for (char *found; len > 0 && (found = memmem(at, (size_t)(end - at), key, len)); at = found + len)
        memset(found, '*', len);
    if (log->len < sizeof log->line)
        return;
    for (size_t part = len; part-- > 1;) /* the line may have been cut amid it */
        if (memcmp(end - part, key, part) == 0)
            memset(end - part, '*', part);
}

static void end_line(struct start_log *log)
{
    hide_key(log);
    while (log->len > 0 && log->line[log->len - 1] == '\r')
        log->len--;
    for (char *zero; (zero = memchr(log->line, '\0', log->len));)
        *zero = '?';
    log->docker->host->log(log->docker->public, SBX_LOG_DEBUG, log->id, "output: %.*s", (int)log->len,
                           log->line);
    log->len = 0;
    log->lines++;
}

static void add(struct start_log *log, const char *bytes, size_t len)
{
    size_t room = sizeof log->line - log->len;
    len = len < room ? len : room;
    memcpy(log->line + log->len, bytes, len);
    log->len += len;
}

static enum sbx_stream on_write(void *arg, const char *bytes, size_t len)
{
    struct start_log *log = arg;
    while (len > 0 && log->lines < LINES_MAX) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline ? (size_t)(newline - bytes) : len;
        add(log, bytes, part);
        if (newline) {
            end_line(log);
            part++;
        }
        bytes += part;
        len -= part;
    }
    if (log->lines < LINES_MAX)
        return SBX_STREAM_GO;
    log->docker->host->log(log->docker->public, SBX_LOG_DEBUG, log->id,
                           "output: these were its first %d lines; what follows is not logged", LINES_MAX);
    end(log);
    return SBX_STREAM_GO;
}

static void on_done(void *arg, const struct sbx_error *error)
{
    (void)error;
    struct start_log *log = arg;
    log->output = NULL;
    if (log->len > 0)
        end_line(log);
    end(log);
}

static void on_deadline(void *arg)
{
    struct start_log *log = arg;
    log->deadline = 0;
    end(log);
}

void start_log_begin(struct docker *docker, const char *sandbox_id, const char *session_key,
                     uint64_t deadline_ms)
{
    static const struct output_sink sink = {on_write, on_done};
    const struct sbx_host *host = docker->host;
    size_t len = strlen(sandbox_id);
    if (!host->log_enabled(SBX_LOG_DEBUG) || len > SANDBOX_ID_MAX)
        return;
    start_log_end(docker, sandbox_id); /* of an earlier start */
    struct start_log *log = calloc(1, sizeof *log);
    if (!log || !(log->session_key = strdup(session_key)))
        abort();
    log->docker = docker;
    memcpy(log->id, sandbox_id, len + 1);
    log->next = docker->start_logs;
    docker->start_logs = log;
    uint64_t now = host->now_ms();
    log->deadline = host->timer_start(docker->public, deadline_ms > now ? (deadline_ms - now) * 1000 : 0,
                                      on_deadline, log);
    const struct output_query query = {
        .name = sandbox_id, .tail = OUTPUT_ALL, .follow = true, .this_run = true};
    log->output = output_open(docker, &query, &sink, log);
}

void start_log_end(struct docker *docker, const char *sandbox_id)
{
    struct start_log *log = find(docker, sandbox_id);
    if (log)
        end(log);
}

void start_log_finish(struct docker *docker)
{
    while (docker->start_logs)
        end(docker->start_logs);
}
