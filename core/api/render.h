/* api/render.h: sandboxes, specs and errors as JSON, with the fields of the App API. */
#ifndef API_RENDER_H
#define API_RENDER_H

#include <stddef.h>
#include <stdint.h>

struct config_spec;
struct json_object;
struct sandbox;
struct sbx_error;

/* A sandbox as JSON text. It is made when it is first asked for and kept in the sandbox, until the service
 * drops it because something changed. Not zero-terminated. */
const char *render_sandbox(const struct sandbox *sandbox, size_t *len);
struct json_object *render_spec(const struct config_spec *spec, int64_t created_at_us);
/* `exit_code` -1 and `log_tail` NULL are null. */
struct json_object *render_error(const struct sbx_error *err, int exit_code, const char *log_tail);

#endif
