/* sandbox/readiness.c: see readiness.h. */
#include "sandbox/readiness.h"

#include "plugin/json_syntax.h"
#include "plugin/sanitize.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTED = 80, NAMED = 40 };

/* NULL: it is no object. */
static struct json_object *parse_object(const char *text, size_t len)
{
    const char *why;
    if (!text || len > READINESS_BODY_MAX || !json_syntax(text, len, &why))
        return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 2);
    if (!tokener)
        abort();
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)len);
    json_tokener_free(tokener);
    if (json_object_is_type(object, json_type_object))
        return object;
    json_object_put(object);
    return NULL;
}

static bool is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

/* 1 and 1.0 are one number. */
static bool is_equal(struct json_object *one, struct json_object *other)
{
    if (is_number(one) && is_number(other) && json_object_get_type(one) != json_object_get_type(other)) {
        double left = json_object_get_double(one), right = json_object_get_double(other);
        return left <= right && left >= right;
    }
    return json_object_equal(one, other);
}

/* The name of a member that `got` lacks or has otherwise; NULL: there is none. */
static const char *differing_member(struct json_object *wanted, struct json_object *got)
{
    struct json_object_iterator at = json_object_iter_begin(wanted), end = json_object_iter_end(wanted);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *name = json_object_iter_peek_name(&at);
        struct json_object *value;
        if (!json_object_object_get_ex(got, name, &value) ||
            !is_equal(json_object_iter_peek_value(&at), value))
            return name;
    }
    return NULL;
}

static void copy_printable(char *out, size_t size, const char *text, size_t len)
{
    sanitize_text(out, size, text, len);
    for (; *out; out++)
        if (*out == '\n' || *out == '\t')
            *out = ' ';
}

bool readiness_holds(const char *wanted, const void *body, size_t len, char *why)
{
    char quoted[QUOTED + 1], name[NAMED + 1] = "";
    struct json_object *want = parse_object(wanted, strlen(wanted)), *got = parse_object(body, len);
    const char *differs = want && got ? differing_member(want, got) : NULL;
    bool holds = want && got && !differs;
    if (differs)
        copy_printable(name, sizeof name, differs, strlen(differs));
    copy_printable(quoted, sizeof quoted, body ? body : "", len);
    const char *more = strlen(quoted) < len ? "…" : "";
    if (!got && !holds)
        snprintf(why, READINESS_WHY_SIZE,
                 len > 0 ? "its answer is no JSON object, as health_check_body wants one, but '%s%s'"
                         : "its answer is empty, where health_check_body wants a JSON object%s%s",
                 quoted, more);
    else if (!holds)
        snprintf(why, READINESS_WHY_SIZE, "health_check_body wants another \"%s\" in its answer than '%s%s'",
                 name, quoted, more);
    json_object_put(want);
    json_object_put(got);
    return holds;
}
