/* kwargs_path.h: where in `kwargs` a member of the engine's request was written, for what is said of it.
 */
#ifndef DOCKER_OPTIONS_KWARGS_PATH_H
#define DOCKER_OPTIONS_KWARGS_PATH_H

#include <sandboxd/json.h>
#include <stdbool.h>
#include <stddef.h>

/* `given` is the option as it is written, `member` the engine's name, of HostConfig (`host`) or of the request, and `inner`
 * what follows in it, such as "[2]". The path has docker-py's name where that is the given one. */
void kwargs_path(char *path, size_t size, const struct sbx_json_api *json, const sbx_json *given,
                 const char *member, bool host, const char *inner);

#endif
