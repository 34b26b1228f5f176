/* base/log.c: see log.h. Owns the two settings and the count of dropped lines. */
#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe that poll() calls writable has room for PIPE_BUF (4096) bytes (pipe(7)), so a line of that
 * size never blocks. */
enum { LINE_MAX_BYTES = 4096 };

static atomic_int current_level = LOG_INFO;
static atomic_bool as_json;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long dropped; /* under write_lock */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool full; /* something was left out: nothing more is added, so that no escape is cut in two */
};

void log_configure(enum log_level level, bool json)
{
    atomic_store(&current_level, (int)level);
    atomic_store(&as_json, json);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* Room is kept for what closes a line: a quote, a brace, the newline. */
static void add_bytes(struct line *line, const char *bytes, size_t len)
{
    if (line->full || len > sizeof line->text - 4 - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void add_text(struct line *line, const char *text)
{
    add_bytes(line, text, strlen(text));
}

static void add_escaped(struct line *line, const char *text, bool json)
{
    for (const char *s = text; *s;) {
        size_t len = utf8_length(s, UTF8_MAX);
        unsigned char byte = (unsigned char)*s;
        char escape[8];
        if (len == 0 || byte < 0x20 || byte == 0x7f) {
            snprintf(escape, sizeof escape, json ? "\\u%04x" : "\\x%02x", byte);
            add_text(line, escape);
            s++;
        } else if (json && (*s == '"' || *s == '\\')) {
            snprintf(escape, sizeof escape, "\\%c", *s);
            add_text(line, escape);
            s++;
        } else {
            add_bytes(line, s, len);
            s += len;
        }
    }
}

static void add_field(struct line *line, const char *name, const char *value, bool json)
{
    if (!value)
        return;
    add_text(line, json ? ",\"" : " ");
    add_text(line, name);
    add_text(line, json ? "\":\"" : "=");
    add_escaped(line, value, json);
    if (json)
        add_text(line, "\"");
}

static void emit(struct line *line)
{
    line->text[line->len++] = '\n';
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT)) {
        dropped++;
        return;
    }
    if (write(STDERR_FILENO, line->text, line->len) < 0)
        dropped++;
}

static void format_line(struct line *line, enum log_level level, const struct log_context *about,
                        const char *message, bool json)
{
    char time[CLOCK_ISO_SIZE];
    clock_iso(clock_wall_us(), time);
    line->len = 0;
    line->full = false;
    if (json) {
        add_text(line, "{\"time\":\"");
        add_text(line, time);
        add_text(line, "\",\"level\":\"");
        add_text(line, level_names[level]);
        add_text(line, "\"");
    } else {
        add_text(line, time);
        add_text(line, " ");
        add_text(line, level_names[level]);
    }
    if (about) {
        add_field(line, "backend", about->backend, json);
        add_field(line, "sandbox", about->sandbox, json);
        add_field(line, "request", about->request, json);
    }
    add_text(line, json ? ",\"message\":\"" : ": ");
    add_escaped(line, message, json);
    if (json) { /* into the room that add_bytes() keeps */
        line->text[line->len++] = '"';
        line->text[line->len++] = '}';
    }
}

void log_vline(enum log_level level, const struct log_context *about, const char *format, va_list args)
{
    if (!log_enabled(level))
        return;
    int saved = errno;
    char message[LINE_MAX_BYTES];
    vsnprintf(message, sizeof message, format, args);
    bool json = atomic_load(&as_json);
    struct line line;
    pthread_mutex_lock(&write_lock);
    if (dropped > 0) {
        char note[80];
        snprintf(note, sizeof note, "%lu lines of log were dropped: nobody read them", dropped);
        unsigned long before = dropped;
        format_line(&line, LOG_WARN, NULL, note, json);
        emit(&line);
        if (dropped == before)
            dropped = 0;
    }
    format_line(&line, level, about, message, json);
    emit(&line);
    pthread_mutex_unlock(&write_lock);
    errno = saved;
}

void log_line(enum log_level level, const struct log_context *about, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_vline(level, about, format, args);
    va_end(args);
}
