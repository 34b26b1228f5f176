/* failure.c: see failure.h. */
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void fill(struct sbx_error *err, enum sbx_error_kind kind, const char *code)
{
    *err = (struct sbx_error){.kind = (int32_t)kind};
    snprintf(err->code, sizeof err->code, "%s", code);
}

int failure_set(struct sbx_error *err, enum sbx_error_kind kind, const char *code, const char *format, ...)
{
    if (!err)
        return -1;
    fill(err, kind, code);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return -1;
}

int failure_errno(struct sbx_error *err, int error, const char *format, ...)
{
    if (!err)
        return -1;
    bool exhausted = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOSPC ||
                     error == EDQUOT || error == EAGAIN;
    fill(err, exhausted ? SBX_ERR_UNAVAILABLE : SBX_ERR_REFUSED, SBX_CODE_START_FAILED);
    err->retryable = exhausted;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    char reason[128];
    const char *text = strerror_r(error, reason, sizeof reason);
    if (len >= 0 && (size_t)len < sizeof err->message)
        snprintf(err->message + len, sizeof err->message - (size_t)len, ": %s", text);
    return -1;
}
