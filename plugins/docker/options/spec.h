/* spec.h: what can be told of a spec before a container of it is made. */
#ifndef DOCKER_SPEC_H
#define DOCKER_SPEC_H

#include <sandboxd/backend.h>

/* The ABI's check_spec(). */
int spec_check(const struct sbx_host *host, struct sbx_check *check, const struct sbx_backend_config *config,
               const char *spec_json, size_t spec_len);

#endif
