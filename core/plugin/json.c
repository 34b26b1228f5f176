/* plugin/json.c: see json.h; on json-c. Owns nothing. From any thread.
 *
 * An sbx_json is a json_object. json-c's JSON null is the null pointer, which in our table means "no value":
 * so a null that is there, in a document or as one, is the address of `null_value` instead. */
#include "plugin/json.h"

#include "plugin/json_syntax.h"

#include <json-c/json.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char null_value;

static struct json_object *inside(const sbx_json *value)
{
    return (const void *)value == &null_value ? NULL : (struct json_object *)(uintptr_t)value;
}

static sbx_json *outside(struct json_object *object)
{
    return object ? (sbx_json *)object : (sbx_json *)(void *)&null_value;
}

static sbx_json *parse(const char *text, size_t len, const char **why)
{
    const char *ignored;
    if (!why)
        why = &ignored;
    if (!text || len >= INT32_MAX) {
        *why = "there is no text, or 2 GiB of it";
        return NULL;
    }
    if (!json_syntax(text, len, why))
        return NULL;
    /* json-c counts what is inside of the innermost brackets as a level of its own. */
    struct json_tokener *tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 2);
    if (!tokener)
        abort();
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)len);
    if (json_tokener_get_error(tokener) ==
        json_tokener_continue) /* a number may go on until something else comes */
        object = json_tokener_parse_ex(tokener, "", 1);
    bool ok = json_tokener_get_error(tokener) == json_tokener_success;
    json_tokener_free(tokener);
    if (ok)
        return outside(object);
    *why = "there is no memory for it";
    return NULL;
}

static void json_free(sbx_json *owned)
{
    json_object_put(inside(owned));
}

/* json-c keeps what is beyond int64 as uint64; the table calls it a double. */
static bool is_beyond_int64(struct json_object *object)
{
    return json_object_get_uint64(object) > INT64_MAX && json_object_get_int64(object) == INT64_MAX;
}

static enum sbx_json_type type(const sbx_json *value)
{
    struct json_object *object = inside(value);
    switch (json_object_get_type(object)) {
    case json_type_boolean: return SBX_JSON_BOOL;
    case json_type_int: return is_beyond_int64(object) ? SBX_JSON_DOUBLE : SBX_JSON_INT;
    case json_type_double: return SBX_JSON_DOUBLE;
    case json_type_string: return SBX_JSON_STRING;
    case json_type_array: return SBX_JSON_ARRAY;
    case json_type_object: return SBX_JSON_OBJECT;
    default: return SBX_JSON_NULL;
    }
}

static const sbx_json *get(const sbx_json *value, const char *key)
{
    struct json_object *object = inside(value), *member;
    if (!json_object_is_type(object, json_type_object) || !key ||
        !json_object_object_get_ex(object, key, &member))
        return NULL;
    return outside(member);
}

static size_t length(const sbx_json *value)
{
    struct json_object *object = inside(value);
    switch (json_object_get_type(object)) {
    case json_type_array: return json_object_array_length(object);
    case json_type_object: return (size_t)json_object_object_length(object);
    default: return 0;
    }
}

static const sbx_json *at(const sbx_json *value, size_t index)
{
    struct json_object *object = inside(value);
    if (!json_object_is_type(object, json_type_array) || index >= json_object_array_length(object))
        return NULL;
    return outside(json_object_array_get_idx(object, index));
}

static const char *member(const sbx_json *value, size_t index, const sbx_json **found)
{
    struct json_object *object = inside(value);
    if (found)
        *found = NULL;
    if (!json_object_is_type(object, json_type_object))
        return NULL;
    json_object_object_foreach(object, key, child)
    {
        if (index-- > 0)
            continue;
        if (found)
            *found = outside(child);
        return key;
    }
    return NULL;
}

static const char *string(const sbx_json *value, const char *fallback)
{
    struct json_object *object = inside(value);
    return json_object_is_type(object, json_type_string) ? json_object_get_string(object) : fallback;
}

static int64_t integer(const sbx_json *value, int64_t fallback)
{
    return type(value) == SBX_JSON_INT ? json_object_get_int64(inside(value)) : fallback;
}

static double number(const sbx_json *value, double fallback)
{
    enum sbx_json_type is = type(value);
    return is == SBX_JSON_INT || is == SBX_JSON_DOUBLE ? json_object_get_double(inside(value)) : fallback;
}

static int boolean(const sbx_json *value, int fallback)
{
    struct json_object *object = inside(value);
    return json_object_is_type(object, json_type_boolean) ? json_object_get_boolean(object) : fallback;
}

static sbx_json *made(struct json_object *object)
{
    if (!object)
        abort();
    return (sbx_json *)object;
}

static sbx_json *new_object(void)
{
    return made(json_object_new_object());
}

static sbx_json *new_array(void)
{
    return made(json_object_new_array());
}

static sbx_json *new_string(const char *text)
{
    if (!text || strlen(text) > INT32_MAX)
        return NULL;
    return (sbx_json *)json_object_new_string(text);
}

static sbx_json *new_integer(int64_t value)
{
    return made(json_object_new_int64(value));
}

static sbx_json *new_double(double value)
{
    return isfinite(value) ? made(json_object_new_double(value)) : outside(NULL); /* JSON has no other */
}

static sbx_json *new_boolean(int value)
{
    return made(json_object_new_boolean(value != 0));
}

static sbx_json *copy(const sbx_json *value)
{
    struct json_object *object = inside(value), *result = NULL;
    if (object && json_object_deep_copy(object, &result, NULL) < 0)
        return NULL;
    return outside(result);
}

static int set(sbx_json *value, const char *key, sbx_json *owned)
{
    struct json_object *object = inside(value);
    if (json_object_is_type(object, json_type_object) && key && owned != value &&
        json_object_object_add(object, key, inside(owned)) == 0)
        return 0;
    if (owned != value)
        json_free(owned);
    return -1;
}

static int push(sbx_json *value, sbx_json *owned)
{
    struct json_object *object = inside(value);
    if (json_object_is_type(object, json_type_array) && owned != value &&
        json_object_array_add(object, inside(owned)) == 0)
        return 0;
    if (owned != value)
        json_free(owned);
    return -1;
}

static const char *text(const sbx_json *value, size_t *len)
{
    size_t ignored;
    return json_object_to_json_string_length(
        inside(value), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len ? len : &ignored);
}

const struct sbx_json_api *json_table(void)
{
    static const struct sbx_json_api table = {
        .size = sizeof table,
        .parse = parse,
        .free = json_free,
        .type = type,
        .get = get,
        .length = length,
        .at = at,
        .member = member,
        .string = string,
        .integer = integer,
        .number = number,
        .boolean = boolean,
        .new_object = new_object,
        .new_array = new_array,
        .new_string = new_string,
        .new_integer = new_integer,
        .new_double = new_double,
        .new_boolean = new_boolean,
        .copy = copy,
        .set = set,
        .push = push,
        .text = text,
    };
    return &table;
}
