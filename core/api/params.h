/* api/params.h: the query parameters of a call, and what is wrong with them or with its body.
 *
 * Each reader gives the parameter's value, or what counts when it is not given; what is wrong is
 * collected, so that one answer tells all of it. Types, messages and `ctx` are those of the app server
 * (pydantic's) wherever it knows the mistake.
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
bool params_flag(struct params *params, const char *name); /* not given: false */
/* Reads the text of a duration. False: it is none, or over `most_ms` (whole seconds); that is collected. */
bool params_read_duration(struct params *params, const char *name, const char *text, uint32_t most_ms,
                          uint32_t *ms);

/* Adds a problem of one's own. `type` is a machine's word for it; `input` NULL: not given,
 * or not to be repeated. `name` NULL: the whole. */
void params_problem(struct params *params, const char *type, const char *name, const char *msg,
                    const char *input);
/* The same, with `ctx`: {KEY: VALUE}. */
void params_problem_because(struct params *params, const char *type, const char *name, const char *msg,
                            const char *key, const char *value, const char *input);
/* Adds that there is nothing of this name, and what is there: `known` ends in NULL. Of very many the
 * first are told. */
void params_refuse_unknown(struct params *params, const char *const *known, const char *name);
/* Answers 422 and returns true where anything was wrong; the call is over then. */
bool params_reject(struct params *params);

/* Looks at the names in the call's query by what its route takes. False: there is one that it does not take, or
 * that is there twice with different values; that was answered. */
bool params_known(struct call *call);
/* The values of a batch's `id`, as clients spell it: id, ids, id[], ids[]. At most `most` in `out`; how many there
 * are. */
size_t params_list(const struct params *params, const char **out, size_t most);
/* Those of a batch of `things`, which have to be there, in `out` of PAGE_MAX; the call's last parameter. 0: the
 * call was answered, since there are none or too many, or anything else was wrong. */
size_t params_ids(struct params *params, const char *things, const char **out);

#endif
