/* api/params.c: see params.h. */
#include "api/params.h"

#include "api/errors.h"
#include "api/router.h"
#include "api/text.h"
#include "api/values.h"
#include "base/buffer.h"
#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

enum { PROBLEMS_MAX = 20, MESSAGE_MAX = 512 };

const char *params_text(const struct params *params, const char *name)
{
    const char *last = NULL, *value;
    for (size_t i = 0; (value = http_query(params->call->request, name, i)); i++)
        last = value;
    return last;
}

/* Takes `ctx`; NULL: there is none. */
static void add_problem(struct params *params, const char *type, const char *name, const char *msg,
                        const char *input, struct json_object *ctx)
{
    struct json_object *loc = json_object_new_array();
    text_push(loc, text_string(params->place));
    if (name)
        text_push(loc, text_string(name));
    struct json_object *problem = json_object_new_object();
    text_put(problem, "type", text_string(type));
    text_put(problem, "loc", loc);
    text_put(problem, "msg", text_string(msg));
    text_put(problem, "input", text_string(input));
    if (ctx)
        text_put(problem, "ctx", ctx);
    if (!params->problems)
        params->problems = json_object_new_array();
    text_push(params->problems, problem);
}

void params_problem(struct params *params, const char *type, const char *name, const char *msg,
                    const char *input)
{
    add_problem(params, type, name, msg, input, NULL);
}

void params_problem_because(struct params *params, const char *type, const char *name, const char *msg,
                            const char *key, const char *value, const char *input)
{
    struct json_object *ctx = json_object_new_object();
    text_put(ctx, key, text_string(value));
    add_problem(params, type, name, msg, input, ctx);
}

bool params_reject(struct params *params)
{
    if (!params->problems)
        return false;
    errors_reply_parameters(params->call, params->problems);
    return true;
}

/* A bound from below is what the app server's documents make of it: above 0, and not at least 1. */
static void refuse_bound(struct params *params, const char *name, const char *text, bool below,
                         uint32_t bound)
{
    bool above = below && bound == 1;
    char msg[80];
    snprintf(msg, sizeof msg, "Input should be %s %u",
             above   ? "greater than"
             : below ? "greater than or equal to"
                     : "less than or equal to",
             above ? 0 : bound);
    struct json_object *ctx = json_object_new_object();
    text_put(ctx, above ? "gt" : below ? "ge" : "le", json_object_new_int64(above ? 0 : bound));
    add_problem(params,
                above   ? "greater_than"
                : below ? "greater_than_equal"
                        : "less_than_equal",
                name, msg, text, ctx);
}

uint32_t params_integer(struct params *params, const char *name, uint32_t least, uint32_t most,
                        uint32_t otherwise)
{
    const char *text = params_text(params, name);
    int64_t value;
    if (!text)
        return otherwise;
    if (!value_integer(text, &value))
        params_problem(params, "int_parsing", name,
                       "Input should be a valid integer, unable to parse string as an integer", text);
    else if (value < least || value > most)
        refuse_bound(params, name, text, value < least, value < least ? least : most);
    else
        return (uint32_t)value;
    return otherwise;
}

bool params_flag(struct params *params, const char *name)
{
    const char *text = params_text(params, name);
    bool value = false;
    if (text && !value_flag(text, &value))
        params_problem(params, "bool_parsing", name,
                       "Input should be a valid boolean, unable to interpret input", text);
    return value;
}

bool params_read_duration(struct params *params, const char *name, const char *text, uint32_t most_ms,
                          uint32_t *ms)
{
    int64_t value;
    if (!value_duration_ms(text, &value)) {
        params_problem(params, "duration_parsing", name,
                       "Input should be a duration: 500ms, 30s, 2m, 1h, or a bare number of seconds", text);
        return false;
    }
    if (value > most_ms) {
        refuse_bound(params, name, text, false, most_ms / 1000);
        return false;
    }
    *ms = (uint32_t)value;
    return true;
}

static bool is_one_of(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Parameters that stand for a list: each of them may be there many times. */
static bool is_list(const char *name)
{
    static const char *const lists[] = {"id", "ids", "id[]", "ids[]", NULL};
    return is_one_of(lists, name);
}

static void refuse_unknown(struct params *params, const char *const *known, const char *name,
                           const char *value)
{
    /* A body may have hundreds of thousands of them. */
    if (params->problems && json_object_array_length(params->problems) >= PROBLEMS_MAX)
        return;
    size_t count = 0;
    while (known && known[count])
        count++;
    const char *meant = count > 0 ? suggest(name, known, count, sizeof *known) : NULL;
    struct buffer msg = buffer_init(MESSAGE_MAX);
    buffer_add_format(&msg, "Extra inputs are not permitted: ");
    if (meant)
        buffer_add_format(&msg, "did you mean '%s'?", meant);
    else if (count == 0)
        buffer_add_format(&msg, "there are no parameters here");
    else
        buffer_add_format(&msg, "there are only ");
    for (size_t i = 0; i < count && !meant; i++)
        buffer_add_format(&msg, "%s'%s'", i > 0 ? ", " : "", known[i]);
    params_problem(params, "extra_forbidden", name, buffer_text(&msg), value);
    buffer_finish(&msg);
}

void params_refuse_unknown(struct params *params, const char *const *known, const char *name)
{
    refuse_unknown(params, known, name, NULL);
}

/* Whether an earlier one of the same name says something else. */
static bool contradicts(const struct http_request *request, size_t index, const char *name, const char *value)
{
    const char *other, *said;
    for (size_t i = 0; i < index && http_query_at(request, i, &other, &said); i++)
        if (strcmp(other, name) == 0 && strcmp(said, value) != 0)
            return true;
    return false;
}

bool params_known(struct call *call)
{
    struct params params = params_of(call);
    const struct route *route = call->route;
    const char *name, *value;
    size_t told = 0;
    for (size_t i = 0; route->params != router_any && http_query_at(call->request, i, &name, &value); i++) {
        bool known = route->params && is_one_of(route->params, name);
        bool twice = known && !is_list(name) && contradicts(call->request, i, name, value);
        if ((known && !twice) || (!*name && !*value))
            continue;
        if (twice)
            params_problem(&params, "value_error", name, "must not be given twice, with different values",
                           value);
        else
            refuse_unknown(&params, route->params, name, value);
        if (++told == PROBLEMS_MAX)
            break;
    }
    return !params_reject(&params);
}

size_t params_list(const struct params *params, const char **out, size_t most)
{
    const char *name, *value;
    size_t count = 0;
    for (size_t i = 0; http_query_at(params->call->request, i, &name, &value); i++)
        if (is_list(name) && count++ < most)
            out[count - 1] = value;
    return count;
}

size_t params_ids(struct params *params, const char *things, const char **out)
{
    size_t count = params_list(params, out, PAGE_MAX);
    if (count == 0)
        params_problem(params, "missing", "id", "Field required", NULL);
    if (params_reject(params))
        return 0;
    if (count > PAGE_MAX) {
        char detail[96];
        snprintf(detail, sizeof detail, "Cannot request more than %d %s at once, got %zu", PAGE_MAX, things,
                 count);
        errors_reply(params->call, 400, detail);
        return 0;
    }
    return count;
}
