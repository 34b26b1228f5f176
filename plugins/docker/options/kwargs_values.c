/* kwargs_values.c: see kwargs_values.h. Knows kinds of values, and no name of an option.
 */
#include "options/kwargs_values.h"

#include "common/bytes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void push(const struct sbx_json_api *json, sbx_json *list, sbx_json *value)
{
    if (json->push(list, value) != 0)
        abort();
}

static void set(const struct sbx_json_api *json, sbx_json *object, const char *name, sbx_json *value)
{
    if (json->set(object, name, value) != 0)
        abort();
}

/* A scalar as a text. Owned; NULL: it is none. */
static sbx_json *as_text(const struct sbx_json_api *json, const sbx_json *value)
{
    switch (json->type(value)) {
    case SBX_JSON_STRING: return json->copy(value);
    case SBX_JSON_BOOL:
    case SBX_JSON_INT:
    case SBX_JSON_DOUBLE: return json->new_string(json->text(value, NULL));
    default: return NULL;
    }
}

/* ---- numbers ---- */

/* "4g", "512MB", "1.5k": a number, then b, k, m, g or t in any case, then perhaps another b. -1: none of these. */
static int64_t read_bytes(const char *text)
{
    static const char units[] = "bkmgt";
    char *end;
    if (!isdigit((unsigned char)*text) || strpbrk(text, "xX"))
        return -1;
    double number = strtod(text, &end);
    const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : units;
    if (!unit)
        return -1;
    if (*end)
        end += unit > units && tolower((unsigned char)end[1]) == 'b' ? 2 : 1;
    for (; unit > units; unit--)
        number *= 1024;
    return *end == '\0' && number < 0x1p62 ? (int64_t)number : -1;
}

static sbx_json *bytes_value(const struct sbx_json_api *json, const sbx_json *value, bool or_none)
{
    int64_t number =
        json->type(value) == SBX_JSON_STRING ? read_bytes(json->string(value, "")) : json->integer(value, -2);
    bool none = or_none && json->type(value) == SBX_JSON_INT && number == -1;
    return number >= 0 || none ? json->new_integer(number) : NULL;
}

/* ---- lists ---- */

static sbx_json *texts_value(const struct sbx_json_api *json, const sbx_json *value)
{
    if (json->type(value) != SBX_JSON_ARRAY)
        return NULL;
    sbx_json *list = json->new_array();
    for (size_t i = 0; i < json->length(value); i++) {
        sbx_json *text = as_text(json, json->at(value, i));
        if (!text) {
            json->free(list);
            return NULL;
        }
        push(json, list, text);
    }
    return list;
}

static sbx_json *objects_value(const struct sbx_json_api *json, const sbx_json *value)
{
    if (json->type(value) != SBX_JSON_ARRAY)
        return NULL;
    for (size_t i = 0; i < json->length(value); i++)
        if (json->type(json->at(value, i)) != SBX_JSON_OBJECT)
            return NULL;
    return json->copy(value);
}

/* "/dev/a", "/dev/a:rwm", "/dev/a:/dev/b", "/dev/a:/dev/b:rwm" */
static sbx_json *device(const struct sbx_json_api *json, const char *text)
{
    char parts[3][256] = {"", "", "rwm"};
    size_t count = 0;
    for (; count < 3; count++) {
        size_t len = strcspn(text, ":");
        if (len == 0 || len >= sizeof parts[0])
            return NULL;
        snprintf(parts[count], sizeof parts[0], "%.*s", (int)len, text);
        text += len;
        if (*text == '\0')
            break;
        text++;
    }
    if (count == 3 || *parts[0] != '/')
        return NULL;
    if (count == 1 && *parts[1] != '/') { /* permissions alone */
        snprintf(parts[2], sizeof parts[2], "%.255s", parts[1]);
        count = 0;
    }
    if (strspn(parts[2], "rwm") != strlen(parts[2]))
        return NULL;
    sbx_json *object = json->new_object();
    set(json, object, "PathOnHost", json->new_string(parts[0]));
    set(json, object, "PathInContainer", json->new_string(count == 0 ? parts[0] : parts[1]));
    set(json, object, "CgroupPermissions", json->new_string(parts[2]));
    return object;
}

static sbx_json *devices_value(const struct sbx_json_api *json, const sbx_json *value)
{
    if (json->type(value) != SBX_JSON_ARRAY)
        return NULL;
    sbx_json *list = json->new_array();
    for (size_t i = 0; i < json->length(value); i++) {
        sbx_json *one = device(json, json->string(json->at(value, i), ""));
        if (!one) {
            json->free(list);
            return NULL;
        }
        push(json, list, one);
    }
    return list;
}

/* ---- mappings ---- */

static sbx_json *map_value(const struct sbx_json_api *json, const sbx_json *value)
{
    if (json->type(value) != SBX_JSON_OBJECT)
        return NULL;
    sbx_json *object = json->new_object();
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *member;
        const char *name = json->member(value, i, &member);
        sbx_json *text = as_text(json, member);
        if (!text) {
            json->free(object);
            return NULL;
        }
        set(json, object, name, text);
    }
    return object;
}

/* A list of names becomes a mapping of them to an empty text. */
static sbx_json *map_or_names(const struct sbx_json_api *json, const sbx_json *value)
{
    if (json->type(value) != SBX_JSON_ARRAY)
        return map_value(json, value);
    sbx_json *object = json->new_object();
    for (size_t i = 0; i < json->length(value); i++) {
        const char *name = json->string(json->at(value, i), "");
        if (*name == '\0') {
            json->free(object);
            return NULL;
        }
        set(json, object, name, json->new_string(""));
    }
    return object;
}

/* A mapping becomes a list of NAME, `between` and its text; a null is the name alone, where that means something. */
static sbx_json *pairs_value(const struct sbx_json_api *json, const sbx_json *value, const char *between,
                             bool names_alone)
{
    if (json->type(value) == SBX_JSON_ARRAY)
        return texts_value(json, value);
    if (json->type(value) != SBX_JSON_OBJECT)
        return NULL;
    sbx_json *list = json->new_array();
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *member;
        struct bytes pair = {.max = SIZE_MAX / 2};
        bytes_add_text(&pair, json->member(value, i, &member));
        sbx_json *text = as_text(json, member);
        bool right = text || (names_alone && json->type(member) == SBX_JSON_NULL);
        if (text) {
            bytes_add_text(&pair, between);
            bytes_add_text(&pair, json->string(text, ""));
        }
        bytes_add(&pair, "", 1);
        json->free(text);
        if (right && !pair.failed)
            push(json, list, json->new_string(pair.data));
        bytes_finish(&pair);
        if (!right) {
            json->free(list);
            return NULL;
        }
    }
    return list;
}

/* docker-py's names are the engine's in small letters, but for one. */
static sbx_json *health_value(const struct sbx_json_api *json, const sbx_json *value)
{
    if (json->type(value) != SBX_JSON_OBJECT)
        return NULL;
    sbx_json *object = json->new_object();
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *member;
        const char *name = json->member(value, i, &member);
        sbx_json *copy = json->copy(member);
        if (strcasecmp(name, "test") == 0 && json->type(member) == SBX_JSON_STRING) {
            sbx_json *list = json->new_array();
            push(json, list, json->new_string("CMD-SHELL"));
            push(json, list, copy);
            copy = list;
        }
        set(json, object, strcmp(name, "start_period") == 0 ? "StartPeriod" : name, copy);
    }
    return object;
}

static sbx_json *of_type(const struct sbx_json_api *json, const sbx_json *value, enum sbx_json_type type)
{
    return json->type(value) == type ? json->copy(value) : NULL;
}

sbx_json *kwarg_value(const struct sbx_json_api *json, enum kwarg_kind kind, const sbx_json *value,
                      const char **must)
{
    switch (kind) {
    case KWARG_BOOLEAN: *must = "must be true or false"; return of_type(json, value, SBX_JSON_BOOL);
    case KWARG_INTEGER: *must = "must be a whole number"; return of_type(json, value, SBX_JSON_INT);
    case KWARG_TEXT:
        *must = "must be a text";
        return json->type(value) == SBX_JSON_BOOL ? NULL : as_text(json, value);
    case KWARG_TEXTS: *must = "must be a list of texts"; return texts_value(json, value);
    case KWARG_OBJECTS:
        *must = "must be a list of mappings, with the engine's names";
        return objects_value(json, value);
    case KWARG_OBJECT:
        *must = "must be a mapping, with the engine's names";
        return of_type(json, value, SBX_JSON_OBJECT);
    case KWARG_BYTES:
        *must = "must be a number of bytes, or one with a unit: b, k, m, g or t, as in 512m";
        return bytes_value(json, value, false);
    case KWARG_SWAP:
        *must = "must be a number of bytes, one with a unit such as 4g, or -1 for no limit";
        return bytes_value(json, value, true);
    case KWARG_TEXT_MAP: *must = "must be a mapping of names to texts"; return map_value(json, value);
    case KWARG_LABELS:
        *must = "must be a mapping of names to texts, or a list of names";
        return map_or_names(json, value);
    case KWARG_ENVIRONMENT:
        *must = "must be a mapping of names to texts, or a list of NAME=VALUE";
        return pairs_value(json, value, "=", true);
    case KWARG_HOSTS:
        *must = "must be a mapping of names to addresses, or a list of NAME:ADDRESS";
        return pairs_value(json, value, ":", false);
    case KWARG_DEVICES:
        *must = "must be a list of devices such as /dev/fuse or /dev/sda:/dev/xvda:rwm";
        return devices_value(json, value);
    case KWARG_TMPFS:
        *must = "must be a mapping of folders to mount options, or a list of folders";
        return map_or_names(json, value);
    case KWARG_HEALTH:
        *must = "must be a mapping of test, interval, timeout, retries and start_period";
        return health_value(json, value);
    default: *must = "can't be given here"; return NULL;
    }
}
