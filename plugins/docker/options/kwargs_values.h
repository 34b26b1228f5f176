/* kwargs_values.h: values as docker-py takes them, turned into the engine's.
 */
#ifndef DOCKER_OPTIONS_KWARGS_VALUES_H
#define DOCKER_OPTIONS_KWARGS_VALUES_H

#include "options/kwargs_names.h"

#include <sandboxd/json.h>

/* Owned; NULL: it is no value of that kind, and `*must` says what would be ("must be …"). Not for KWARG_REFUSED. */
sbx_json *kwarg_value(const struct sbx_json_api *json, enum kwarg_kind kind, const sbx_json *value,
                      const char **must);

#endif
