/* plugin/sanitize.c: see sanitize.h. Owns nothing. */
#include "plugin/sanitize.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

bool sanitize_is_utf8(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t step = utf8_length(text + i, len - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

void sanitize_text(char *out, size_t size, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        size_t step = utf8_length(text + i, len - i);
        bool control = s[i] == 0x7f || (s[i] < 0x20 && s[i] != '\n' && s[i] != '\t');
        if (used + (step ? step : 1) >= size)
            break;
        if (step == 0 || control) {
            out[used++] = '?';
            i++;
        } else {
            memcpy(out + used, s + i, step);
            used += step;
            i += step;
        }
    }
    out[used] = '\0';
}

bool sanitize_is_id_prefix(const char *prefix, size_t max)
{
    if (!prefix)
        return false;
    size_t len = strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return prefix[len] == '\0' && len <= max;
}

bool sanitize_is_sandbox_id(const char *id)
{
    return sanitize_is_id_prefix(id, SANDBOX_ID_MAX) && *id;
}

static const char *code_of_kind(int32_t kind)
{
    switch (kind) {
    case SBX_ERR_REFUSED: return SBX_CODE_BACKEND_REFUSED;
    case SBX_ERR_UNAVAILABLE: return SBX_CODE_BACKEND_UNAVAILABLE;
    case SBX_ERR_TIMEOUT: return SBX_CODE_BACKEND_TIMEOUT;
    case SBX_ERR_INVALID:
    case SBX_ERR_NOT_FOUND:
    case SBX_ERR_CONFLICT:
    case SBX_ERR_LIMIT: return SBX_CODE_START_FAILED;
    default: return SBX_CODE_INTERNAL;
    }
}

static bool is_code(const char *code, size_t size)
{
    size_t len = strnlen(code, size);
    if (len == 0 || len == size)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!(code[i] >= 'A' && code[i] <= 'Z') && !(code[i] >= '0' && code[i] <= '9') && code[i] != '_')
            return false;
    return true;
}

void sanitize_error(struct sbx_error *out, const struct sbx_error *in)
{
    memset(out, 0, sizeof *out);
    out->kind = in->kind > SBX_ERR_NONE && in->kind <= SBX_ERR_CANCELLED ? in->kind : SBX_ERR_INTERNAL;
    out->retryable = in->retryable != 0;
    const char *code = is_code(in->code, sizeof in->code) ? in->code : code_of_kind(out->kind);
    memcpy(out->code, code, strlen(code) + 1);
    size_t len = strnlen(in->message, sizeof in->message);
    if (len > 0)
        sanitize_text(out->message, sizeof out->message, in->message, len);
    else
        memcpy(out->message, "The backend gave no reason.", sizeof "The backend gave no reason.");
}
