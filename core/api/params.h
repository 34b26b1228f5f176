/* api/params.h: the query parameters of a call, and what is wrong with them or with its body.
 *
 * Each reader gives the parameter's value, or what counts when it is not given; what is wrong is
 * collected, so that one answer tells all of it. Of a parameter given several times the last counts, and
 * parameters that a route does not know are left alone.
 */
#ifndef API_PARAMS_H
#define API_PARAMS_H

#include "api/call.h"

struct params {
    struct call *call;
    const char *place;            /* where what is wrong stands, for `loc`: "query" or "body" */
    struct json_object *problems; /* NULL: none */
};

static inline struct params params_of(struct call *call)
{
    return (struct params){.call = call, .place = "query"};
}

const char *params_text(const struct params *params, const char *name); /* NULL: not given */
uint32_t params_integer(struct params *params, const char *name, uint32_t least, uint32_t most,
                        uint32_t otherwise);
bool params_flag(struct params *params, const char *name);                              /* not given: false */
uint32_t params_duration_ms(struct params *params, const char *name, uint32_t most_ms); /* not given: 0 */

/* Adds a problem of one's own. `type` is a machine's word for it; `input` NULL: not given,
 * or not to be repeated. `name` NULL: the whole. */
void params_problem(struct params *params, const char *type, const char *name, const char *msg,
                    const char *input);
/* Answers 422 and returns true where anything was wrong; the call is over then. */
bool params_reject(struct params *params);
/* The values of `id`, which has to be there, in `out` of PAGE_MAX; the call's last parameter. 0: the call was
 * answered, since there are none or too many, or anything else was wrong. */
size_t params_ids(struct params *params, const char **out);

#endif
