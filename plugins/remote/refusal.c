/* refusal.c: see refusal.h. Owns the mapping of statuses to kinds of failure. Decides nothing about retries beyond
 * whether one makes sense.
 */
#include "refusal.h"

#include "common/failure.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CODE_NOT_FOUND "NOT_FOUND"
#define CODE_QUOTA "CONCURRENCY_LIMIT_REACHED"

enum { WORDS_SIZE = 300 };

/* ---- its words ---- */

/* The first characters that fit, on one line. What a JSON text holds is UTF-8, so only the end can be cut wrongly. */
static void copy_line(char *to, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);
    if (text[len] != '\0')
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    to[len] = '\0';
}

/* {"detail": text}, {"detail": {"message": text}}, or FastAPI's {"detail": [{"loc": […], "msg": text}]}. "" when
 * `secret` is in it. */
static void read_words(char *to, size_t size, const struct sbx_json_api *json, const sbx_json *document,
                       const char *secret)
{
    const sbx_json *detail = json->get(document, "detail");
    const sbx_json *first = json->type(detail) == SBX_JSON_ARRAY ? json->at(detail, 0) : NULL;
    const sbx_json *place = json->get(first, "loc");
    size_t depth = json->type(place) == SBX_JSON_ARRAY ? json->length(place) : 0;
    const char *field = depth > 0 ? json->string(json->at(place, depth - 1), NULL) : NULL;
    const char *text = json->string(detail, NULL);
    if (!text)
        text = json->string(json->get(detail, "message"), NULL);
    if (!text)
        text = json->string(json->get(first, "msg"), "");
    char line[WORDS_SIZE];
    if (secret && (strstr(text, secret) || (field && strstr(field, secret)))) {
        *to = '\0';
        return;
    }
    copy_line(line, sizeof line, text);
    if (field)
        snprintf(to, size, "%.64s: %.220s", field, line);
    else
        snprintf(to, size, "%s", line);
}

const char *refusal_code(const struct sbx_json_api *json, const sbx_json *value)
{
    const char *code = json->string(json->get(json->get(value, "error"), "code"), NULL);
    size_t len = code ? strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;
    return len > 0 && len < sizeof((struct sbx_error *)NULL)->code && code[len] == '\0' ? code : NULL;
}

/* ---- a body that says nothing ---- */

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Where in the first `len` bytes the value of a secret may begin. */
static size_t safe_length(const char *text, size_t len)
{
    static const char *const words[] = {"key", "token", "secret", "password", "environment"};
    size_t safe = len;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (size_t at = 0; at < safe; at++)
            if (strncasecmp(text + at, words[i], strlen(words[i])) == 0)
                safe = at;
    return safe;
}

void refusal_quote(char to[QUOTE_SIZE], const void *body, size_t len, const char *secret)
{
    enum { SHOWN = 80, LONGEST_WORD = 16 };
    char begin[SHOWN + LONGEST_WORD + 1];
    size_t copied = least(len, sizeof begin - 1);
    const char *found = secret && len > 0 ? memmem(body, len, secret, strlen(secret)) : NULL;
    for (size_t i = 0; i < copied; i++) {
        unsigned char byte = ((const unsigned char *)body)[i];
        begin[i] = byte == '\n' || byte == '\t' || byte == '\r' ? ' '
                   : byte < ' ' || byte > '~'                   ? '?'
                                                                : (char)byte;
    }
    begin[copied] = '\0';
    size_t shown = safe_length(begin, least(copied, SHOWN));
    if (found)
        shown = least(shown, (size_t)(found - (const char *)body));
    snprintf(to, QUOTE_SIZE, "%.*s%s", (int)shown, begin, shown < len ? "…" : "");
}

/* ---- what it means ---- */

static enum sbx_error_kind kind_of(int status, bool from_api, const char **code)
{
    *code = SBX_CODE_BACKEND_REFUSED;
    switch (status) {
    case 404:
        if (!from_api) /* what a proxy says by itself is not about a runtime */
            return SBX_ERR_REFUSED;
        *code = CODE_NOT_FOUND;
        return SBX_ERR_NOT_FOUND;
    case 409: return SBX_ERR_CONFLICT;
    case 429: return SBX_ERR_LIMIT;
    case 501: return SBX_ERR_UNSUPPORTED;
    case 502:
    case 503: *code = SBX_CODE_BACKEND_UNAVAILABLE; return SBX_ERR_UNAVAILABLE;
    case 504: *code = SBX_CODE_BACKEND_TIMEOUT; return SBX_ERR_TIMEOUT;
    default: return SBX_ERR_REFUSED;
    }
}

bool refusal_of(struct sbx_error *err, const struct sbx_json_api *json, int status, const sbx_json *document,
                const char *came, const char *what, const char *secret)
{
    const sbx_json *detail = json->get(document, "detail"); /* each refusal of the protocol has one */
    const char *code, *own = refusal_code(json, document);
    enum sbx_error_kind kind = kind_of(status, detail != NULL, &code);
    bool may_pass = status == 429 || status == 502 || status == 503 || status == 504;
    /* Requests that come too fast do; a quota stays until somebody makes room. */
    if (status == 429 && strcmp(json->string(json->get(detail, "error"), ""), CODE_QUOTA) == 0) {
        may_pass = false;
        code = CODE_QUOTA;
    }
    /* A gateway's 502 passes; one with which the API says that it tried and was refused, does not. */
    if (status == 502 && own && !json->boolean(json->get(json->get(document, "error"), "retryable"), 1)) {
        may_pass = false;
        kind = SBX_ERR_REFUSED;
    }
    char words[WORDS_SIZE] = "";
    read_words(words, sizeof words, json, document, secret);
    bool other_thing = own && strcmp(own, SBX_CODE_IMAGE_NOT_FOUND) == 0; /* that is not there */
    bool of_start = strcmp(what, "POST /start") == 0;
    /* Nothing that a start names can be missing but its image: the API itself is not there. */
    if (status == 404 && of_start && !other_thing) {
        kind = SBX_ERR_REFUSED;
        code = SBX_CODE_BACKEND_REFUSED;
    }
    const char *hint = status == 401 ? " (is the option api_key right?)"
                       : status == 404 && of_start && !other_thing
                           ? " (is the option api_url right? A sandboxd has the API below /runtime-api)"
                       : status / 100 == 3 ? " (it is elsewhere: is the option api_url right?)"
                                           : "";
    failure_set(err, kind, own && ((kind != SBX_ERR_NOT_FOUND && status != 404) || other_thing) ? own : code,
                *words ? "the runtime API refused %s with status %d: %s%s"
                       : "the runtime API refused %s with status %d%s%s",
                what, status, *words ? words : came, hint);
    err->retryable = may_pass;
    return may_pass;
}

bool refusal_is_missing(const struct sbx_error *err)
{
    return err && err->kind == SBX_ERR_NOT_FOUND && strcmp(err->code, CODE_NOT_FOUND) == 0;
}
