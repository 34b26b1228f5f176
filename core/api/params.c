/* api/params.c: see params.h. */
#include "api/params.h"

#include "api/errors.h"
#include "api/text.h"
#include "api/values.h"

#include <stdio.h>

const char *params_text(const struct params *params, const char *name)
{
    const char *last = NULL, *value;
    for (size_t i = 0; (value = http_query(params->call->request, name, i)); i++)
        last = value;
    return last;
}

void params_problem(struct params *params, const char *type, const char *name, const char *msg,
                    const char *input)
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
    if (!params->problems)
        params->problems = json_object_new_array();
    text_push(params->problems, problem);
}

bool params_reject(struct params *params)
{
    if (!params->problems)
        return false;
    errors_reply_parameters(params->call, params->problems);
    return true;
}

uint32_t params_integer(struct params *params, const char *name, uint32_t least, uint32_t most,
                        uint32_t otherwise)
{
    const char *text = params_text(params, name);
    if (!text)
        return otherwise;
    int64_t value;
    const char *type = NULL;
    if (!value_integer(text, &value))
        type = "int_parsing";
    else if (value < least)
        type = "greater_than_equal";
    else if (value > most)
        type = "less_than_equal";
    if (!type)
        return (uint32_t)value;
    char msg[80];
    snprintf(msg, sizeof msg, "must be a whole number from %u to %u", least, most);
    params_problem(params, type, name, msg, text);
    return otherwise;
}

bool params_flag(struct params *params, const char *name)
{
    const char *text = params_text(params, name);
    bool value = false;
    if (text && !value_flag(text, &value))
        params_problem(params, "bool_parsing", name, "must be true or false", text);
    return value;
}

uint32_t params_duration_ms(struct params *params, const char *name, uint32_t most_ms)
{
    const char *text = params_text(params, name);
    if (!text)
        return 0;
    int64_t value;
    if (!value_duration_ms(text, &value)) {
        params_problem(params, "duration_parsing", name,
                       "must be a duration: 500ms, 30s, 2m, or a bare number of seconds", text);
        return 0;
    }
    if (value > most_ms) {
        char msg[80];
        snprintf(msg, sizeof msg, "must be at most %u ms, the backend's startup_timeout", most_ms);
        params_problem(params, "less_than_equal", name, msg, text);
        return 0;
    }
    return (uint32_t)value;
}

size_t params_ids(struct params *params, const char **out)
{
    size_t count = 0;
    const char *value;
    for (; (value = http_query(params->call->request, "id", count)); count++)
        if (count < PAGE_MAX)
            out[count] = value;
    if (count == 0)
        params_problem(params, "missing", "id", "is needed, once for each thing asked for", NULL);
    if (params_reject(params))
        return 0;
    if (count > PAGE_MAX) {
        errors_reply(params->call, 400, "at most 100 ids may be asked for at once");
        return 0;
    }
    return count;
}
