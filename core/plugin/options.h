/* plugin/options.h: has a plugin check a backend's options, and gives its complaints their place in the file. */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include "config/config.h"
#include "plugin/module.h"

#include <stdbool.h>

/* What open() and validate() are told; borrows from its arguments. */
struct sbx_backend_config options_settings(const struct config *config, const struct config_backend *backend,
                                           const struct module *module, const char *plugin_path,
                                           const char *state_dir, const char *instance_id);

/* Calls validate(). What is wrong is added to `problems` under "backends.NAME.options". False when there is
 * an error. */
bool options_check(const struct module *module, const struct sbx_backend_config *settings,
                   const struct config_backend *backend, struct config_problems *problems);

/* Calls check_spec() for each spec of this backend, and for its own where the configuration has none. What is wrong is
 * added under "specs[i]" ("backends.NAME" for its own). False when there is an error. */
bool options_check_specs(const struct module *module, const struct sbx_backend_config *settings,
                         const struct config *config, const struct config_backend *backend,
                         struct config_problems *problems);

/* Host services, while validate() or check_spec() runs. */
void options_error(struct sbx_check *check, const char *path, const char *message);
void options_warning(struct sbx_check *check, const char *path, const char *message);
void options_note(struct sbx_check *check, const char *path, const char *message);

#endif
