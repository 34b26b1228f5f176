/* check.h: what can be told of options and specs before anything is started: for `--check`, and at each start and reload.
 */
#ifndef PROCESS_CHECK_H
#define PROCESS_CHECK_H

#include <sandboxd/backend.h>

/* "process-supervisor" in the folder of the plugin. Owned by the caller. */
char *check_supervisor_path(const char *plugin_path);

/* The ABI's operations of these names. */
int check_validate(const struct sbx_host *host, struct sbx_check *check,
                   const struct sbx_backend_config *config);
int check_spec(const struct sbx_host *host, struct sbx_check *check, const struct sbx_backend_config *config,
               const char *spec_json, size_t spec_len);

#endif
