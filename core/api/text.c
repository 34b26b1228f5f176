/* api/text.c: see text.h. A value that can't be allocated aborts: all that is made here is small. */
#include "api/text.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "plugin/json_syntax.h"

#include <json-c/json_visit.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PARSE_DEPTH = 16 };

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

static size_t valid_prefix(const char *bytes)
{
    size_t at = 0;
    while (bytes[at]) {
        size_t len = utf8_length(bytes + at, UTF8_MAX);
        if (len == 0)
            break;
        at += len;
    }
    return at;
}

static struct json_object *must(struct json_object *value)
{
    if (!value)
        abort();
    return value;
}

static struct json_object *string(const char *text, size_t len)
{
    if (len > INT_MAX)
        abort();
    return must(json_object_new_string_len(text, (int)len));
}

struct json_object *text_string(const char *bytes)
{
    if (!bytes)
        return NULL;
    size_t valid = valid_prefix(bytes);
    if (!bytes[valid])
        return string(bytes, valid);
    char *repaired = malloc(strlen(bytes) * (sizeof replacement - 1) + 1);
    if (!repaired)
        abort();
    size_t len = 0;
    for (;;) {
        memcpy(repaired + len, bytes, valid);
        len += valid;
        bytes += valid;
        if (!*bytes)
            break;
        memcpy(repaired + len, replacement, sizeof replacement - 1);
        len += sizeof replacement - 1;
        bytes++;
        valid = valid_prefix(bytes);
    }
    struct json_object *value = string(repaired, len);
    free(repaired);
    return value;
}

struct json_object *text_time(int64_t wall_us)
{
    char iso[CLOCK_ISO_SIZE];
    clock_iso(wall_us, iso);
    return string(iso, strlen(iso));
}

void text_put(struct json_object *object, const char *key, struct json_object *value)
{
    if (json_object_object_add_ex(object, key, value,
                                  JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY) < 0)
        abort();
}

void text_push(struct json_object *array, struct json_object *value)
{
    if (json_object_array_add(array, value) < 0)
        abort();
}

const char *text_of(struct json_object *value, size_t *len)
{
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
    if (!text)
        abort();
    return text;
}

/* JSON has no such numbers, but json-c reads and writes them; 1e999 becomes one too. */
static int stop_at_infinite(struct json_object *value, int flags, struct json_object *parent, const char *key,
                            size_t *index, void *arg)
{
    (void)flags;
    (void)parent;
    (void)key;
    (void)index;
    (void)arg;
    bool finite = !json_object_is_type(value, json_type_double) || isfinite(json_object_get_double(value));
    return finite ? JSON_C_VISIT_RETURN_CONTINUE : JSON_C_VISIT_RETURN_ERROR;
}

struct json_object *text_parse_object(const char *text, size_t len)
{
    const char *why;
    /* Not by json-c's strict mode, which takes no letter but ASCII's in some releases (0.18). */
    if (len > INT_MAX || !json_syntax(text, len, &why))
        return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(PARSE_DEPTH);
    if (!tokener)
        abort();
    struct json_object *value = json_tokener_parse_ex(tokener, text, (int)len);
    bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
                 json_tokener_get_parse_end(tokener) == len && json_object_is_type(value, json_type_object) &&
                 json_c_visit(value, 0, stop_at_infinite, NULL) == 0;
    json_tokener_free(tokener);
    if (whole)
        return value;
    json_object_put(value);
    return NULL;
}
