/* mirror/json_walk.c: see json_walk.h. Relies on the text being JSON, and checks nothing of it. */
#include "mirror/json_walk.h"

#include <ctype.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *walk_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at `at`. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at + 1;
}

const char *walk_value(const char *at)
{
    if (*at == '"')
        return skip_string(at);
    if (*at != '{' && *at != '[')
        return at + strcspn(at, ",]} \t\r\n");
    unsigned depth = 0;
    do {
        at += strcspn(at, "\"{}[]");
        if (*at == '"') {
            at = skip_string(at);
        } else {
            depth += *at == '{' || *at == '[' ? 1 : UINT_MAX;
            at++;
        }
    } while (depth > 0);
    return at;
}

const char *walk_comma(const char *at)
{
    at = walk_blanks(at);
    return *at == ',' ? walk_blanks(at + 1) : at;
}

/* A letter or underscore as \u00XX, of which the second digit alone may be a letter. */
static bool is_escape(const char *at, char c)
{
    static const char digits[] = "0123456789abcdef";
    return at[0] == '\\' && at[1] == 'u' && at[2] == '0' && at[3] == '0' && at[4] == digits[c >> 4] &&
           tolower((unsigned char)at[5]) == digits[c & 15];
}

/* Is this string the name, perhaps with characters of it as escapes? There may be very many: none is decoded. */
static bool is_named(const struct walk_span *string, const char *name)
{
    const char *at = string->at + 1, *end = string->at + string->len - 1;
    for (; *name && at < end; name++) {
        if (*at == *name)
            at++;
        else if (is_escape(at, *name))
            at += 6;
        else
            return false;
    }
    return !*name && at == end;
}

void walk_members(const char *at, const char *const *names, struct walk_span *values, size_t count)
{
    memset(values, 0, count * sizeof *values);
    for (at = walk_blanks(at + 1); *at != '}'; at = walk_comma(at)) {
        const char *end = skip_string(at);
        const struct walk_span name = {at, (size_t)(end - at)};
        const char *value = walk_blanks(walk_blanks(end) + 1);
        at = walk_value(value);
        for (size_t i = 0; i < count; i++)
            if (is_named(&name, names[i]))
                values[i] = (struct walk_span){value, (size_t)(at - value)};
    }
}

/* The text of a string with escapes in it. */
static bool decode(const struct walk_span *value, char *out, size_t size)
{
    if (value->len > 6 * size) /* each byte as an escape */
        return false;
    struct json_tokener *tokener = json_tokener_new();
    if (!tokener)
        abort();
    struct json_object *string = json_tokener_parse_ex(tokener, value->at, (int)value->len);
    json_tokener_free(tokener);
    size_t len = (size_t)json_object_get_string_len(string);
    const char *text = json_object_get_string(string);
    bool fits = text && len > 0 && len < size && !memchr(text, '\0', len);
    if (fits)
        memcpy(out, text, len + 1);
    json_object_put(string);
    return fits;
}

bool walk_text(const struct walk_span *value, char *out, size_t size)
{
    if (value->len < 3 || *value->at != '"')
        return false;
    if (memchr(value->at, '\\', value->len))
        return decode(value, out, size);
    size_t len = value->len - 2;
    if (len >= size)
        return false;
    memcpy(out, value->at + 1, len);
    out[len] = '\0';
    return true;
}

bool walk_is_null(const struct walk_span *value)
{
    return !value->at || *value->at == 'n';
}
