/* base/error.h: filling in and passing on `struct sbx_error`.
 *
 * A function that can fail takes `struct sbx_error *err` as its last argument, leaves it untouched on
 * success, and returns -1 or NULL on failure with it filled in. `err` may be NULL: nobody asks why.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <sandboxd/error.h>

/* A -1 that the compiler knows and that may be ignored. */
static inline int error_result(void)
{
    return -1;
}

/* Fills in a failure. `code` is one of SBX_CODE_… or another text of that form. Is -1, so that
 * `return error_set(err, …);` reads as the failure that it is, to the compiler too. */
#define error_set(...) (error_fill(__VA_ARGS__), error_result())
void error_fill(struct sbx_error *err, enum sbx_error_kind kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " in front of the message of a failure that is passed on. Is -1. */
#define error_wrap(...) (error_prefix(__VA_ARGS__), error_result())
void error_prefix(struct sbx_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The failure of a system call: kind internal, message "context: strerror(saved_errno)". Is -1. */
#define error_errno(...) (error_fill_errno(__VA_ARGS__), error_result())
void error_fill_errno(struct sbx_error *err, int saved_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The HTTP status that a kind of failure becomes. */
int error_http_status(const struct sbx_error *err);

#endif
