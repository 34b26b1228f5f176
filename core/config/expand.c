/* config/expand.c: see expand.h. Owns nothing. */
#include "config/expand.h"

#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128 };

struct output {
    char *bytes; /* NULL: only counted */
    size_t len, max;
    bool full;
};

static void put(struct output *output, const char *bytes, size_t len)
{
    if (len > output->max - output->len) {
        output->full = true;
        return;
    }
    if (output->bytes && len > 0)
        memcpy(output->bytes + output->len, bytes, len);
    output->len += len;
}

static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len >= NAME_MAX_BYTES || (*text >= '0' && *text <= '9'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') ||
              (text[i] >= '0' && text[i] <= '9') || text[i] == '_'))
            return false;
    return true;
}

static bool is_utf8(const char *text, size_t len)
{
    uint32_t character;
    for (size_t at = 0, step; at < len; at += step)
        if (!(step = text_decode(text + at, len - at, &character)))
            return false;
    return true;
}

/* The variable whose "{NAME}" begins at `at`; moves `at` behind it. */
static const char *variable(const char **at, const char *end, char *why, size_t why_size)
{
    const char *name = *at + 1;
    const char *close = memchr(name, '}', (size_t)(end - name));
    if (!close || !is_name(name, (size_t)(close - name))) {
        snprintf(
            why, why_size,
            "between \"${\" and \"}\" stands the name of an environment variable: letters, digits and _");
        return NULL;
    }
    char copy[NAME_MAX_BYTES];
    memcpy(copy, name, (size_t)(close - name));
    copy[close - name] = '\0';
    const char *value = getenv(copy);
    if (!value)
        snprintf(why, why_size, "the environment variable %s is not set", copy);
    else if (!is_utf8(value, strlen(value))) {
        snprintf(why, why_size, "the environment variable %s is not UTF-8 text", copy);
        value = NULL;
    }
    *at = close + 1;
    return value;
}

static bool expand(struct output *output, const char *text, size_t len, bool *replaced, char *why,
                   size_t why_size)
{
    const char *end = text + len;
    for (const char *at = text; at < end && !output->full;) {
        const char *dollar = memchr(at, '$', (size_t)(end - at));
        put(output, at, (size_t)((dollar ? dollar : end) - at));
        if (!dollar)
            break;
        at = dollar + 1;
        if (at < end && *at == '$') {
            put(output, "$", 1);
            at++;
        } else if (at < end && *at == '{') {
            const char *value = variable(&at, end, why, why_size);
            if (!value)
                return false;
            put(output, value, strlen(value));
            *replaced = true;
        } else {
            snprintf(why, why_size,
                     at == end ? "\"$\" must be followed by \"{NAME}\", which needs quotes between \"{\" and "
                                 "\"}\"; for a dollar itself write \"$$\""
                               : "\"$\" must be followed by \"{NAME}\"; for a dollar itself write \"$$\"");
            return false;
        }
    }
    if (output->full)
        snprintf(why, why_size, "the texts of the file are too long after ${NAME} was replaced");
    return !output->full;
}

char *expand_text(struct config_arena *arena, const char *text, size_t len, size_t *budget, size_t *out_len,
                  bool *replaced, char *why, size_t why_size)
{
    *replaced = false;
    *why = '\0';
    struct output count = {.max = *budget};
    if (!expand(&count, text, len, replaced, why, why_size))
        return NULL;
    struct output output = {.bytes = arena_alloc(arena, count.len + 1, 1), .max = count.len};
    if (!output.bytes || !expand(&output, text, len, replaced, why, why_size))
        return NULL;
    *budget -= output.len;
    *out_len = output.len;
    return output.bytes;
}
