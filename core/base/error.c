/* base/error.c: see error.h. Owns nothing. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* strerror() may share a buffer between threads; the name of each errno is constant. */
static const char *errno_text(int number)
{
    const char *text = strerrordesc_np(number);
    return text ? text : "unknown error";
}

static void fill(struct sbx_error *err, enum sbx_error_kind kind, const char *code)
{
    memset(err, 0, sizeof *err);
    err->kind = kind;
    err->retryable = kind == SBX_ERR_UNAVAILABLE || kind == SBX_ERR_TIMEOUT || kind == SBX_ERR_LIMIT;
    snprintf(err->code, sizeof err->code, "%s", code);
}

void error_fill(struct sbx_error *err, enum sbx_error_kind kind, const char *code, const char *format, ...)
{
    if (!err)
        return;
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fill(err, kind, code);
    memcpy(err->message, message, sizeof message);
}

void error_prefix(struct sbx_error *err, const char *format, ...)
{
    if (!err)
        return;
    char context[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    char inner[sizeof err->message];
    memcpy(inner, err->message, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    size_t used = strlen(context);
    size_t room = sizeof err->message - 1;
    memcpy(err->message, context, used + 1);
    if (used < room)
        snprintf(err->message + used, sizeof err->message - used, ": %.*s", (int)(room - used), inner);
}

void error_fill_errno(struct sbx_error *err, int saved_errno, const char *format, ...)
{
    if (!err)
        return;
    char context[256];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    error_fill(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "%s: %s", context, errno_text(saved_errno));
}

int error_http_status(const struct sbx_error *err)
{
    switch (err->kind) {
    case SBX_ERR_INVALID: return 400;
    case SBX_ERR_NOT_FOUND: return 404;
    case SBX_ERR_CONFLICT: return 409;
    case SBX_ERR_LIMIT: return 429;
    case SBX_ERR_UNSUPPORTED: return 501;
    case SBX_ERR_REFUSED: return 502;
    case SBX_ERR_UNAVAILABLE: return 503;
    case SBX_ERR_TIMEOUT: return 504;
    default: return 500;
    }
}
