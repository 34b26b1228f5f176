/* base/log.h: the daemon's log, one line of text or JSON a fact, on stderr.
 *
 * May be called from any thread. A line is written at once and in one piece of at most 4 KiB; where
 * nobody reads the pipe behind stderr, lines are dropped and counted instead of holding up the loop.
 * Control characters and invalid UTF-8 in what is logged are escaped: a line stays a line. Secrets
 * must not be handed in.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* What a line is about; null members are left out. */
struct log_context {
    const char *sandbox;
    const char *request;
    const char *backend;
};

void log_configure(enum log_level level, bool json);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const struct log_context *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_vline(enum log_level level, const struct log_context *about, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#define log_error(...) log_line(LOG_ERROR, NULL, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, NULL, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, NULL, __VA_ARGS__)

#endif
