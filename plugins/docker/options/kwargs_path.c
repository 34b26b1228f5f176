/* kwargs_path.c: see kwargs_path.h.
 */
#include "options/kwargs_path.h"

#include "operations/create_parts.h"
#include "options/kwargs_names.h"

#include <stdio.h>

void kwargs_path(char *path, size_t size, const struct sbx_json_api *json, const sbx_json *given,
                 const char *member, bool host, const char *inner)
{
    const struct kwarg *kwarg = kwarg_of_engine(member, host);
    const char *outer = create_same_member(json, given, "HostConfig");
    const sbx_json *in = host && outer ? json->get(given, outer) : given;
    const char *written = json->type(in) == SBX_JSON_OBJECT ? create_same_member(json, in, member) : NULL;
    if (kwarg && json->type(json->get(given, kwarg->name)) != SBX_JSON_NULL)
        snprintf(path, size, "kwargs.%s%s", kwarg->name, inner);
    else
        snprintf(path, size, "kwargs.%.20s%s%.50s%s", host ? (outer ? outer : "HostConfig") : "",
                 host ? "." : "", written ? written : member, inner);
}
