/* failure.h: filling a struct sbx_error. */
#ifndef PLUGINS_FAILURE_H
#define PLUGINS_FAILURE_H

#include <sandboxd/error.h>

/* Each returns -1, so that a function can end with it. `err` NULL: nobody wants to know. */
int failure_set(struct sbx_error *err, enum sbx_error_kind kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "…: what errno says", as START_FAILED; retryable when a resource ran out. */
int failure_errno(struct sbx_error *err, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
