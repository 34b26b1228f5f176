/* plugin/observation.h: what a plugin reported, checked and copied. */
#ifndef PLUGIN_OBSERVATION_H
#define PLUGIN_OBSERVATION_H

#include <sandboxd/backend.h>

enum { OBSERVATION_MAX_TEXT = 4096, OBSERVATION_MAX_URLS = 16 };

/* A copy in one piece of memory, freed by free(); `*bytes` is its size. NULL when the report is nonsense,
 * with `*why` saying what is wrong with it and, when its id is one, `*id` naming the sandbox (else NULL). */
struct sbx_observation *observation_copy(const struct sbx_observation *report, size_t *bytes,
                                         const char **why, const char **id);

#endif
