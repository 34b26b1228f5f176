/* command.h: what is executed, and in which environment, put into the form that a supervisor takes.
 */
#ifndef PROCESS_COMMAND_H
#define PROCESS_COMMAND_H

#include "common/bytes.h"
#include "options.h"
#include "sandbox_limits.h"

#include <sandboxd/json.h>
#include <stdint.h>

struct command {
    const struct options *options;
    const struct sbx_json_api *json;
    const sbx_json *spec;     /* command, initial_env */
    char *const *environment; /* allow-listed variables of the daemon, "NAME=value"; ends in NULL */
    const char *sandbox_id;
    const char *session_key;
    const char *owner_mark; /* of its control directory: owner.h */
    uint16_t port;
    uint64_t incarnation;
    const struct limits_groups *groups;
};

/* Appends the launch (wire.h) to `launch`, whose bound is set here. -1 with `err`. */
int command_build(const struct command *command, struct bytes *launch, struct sbx_error *err);

/* What every sandbox gets: PATH, HOME, LANG, TZ and those of `pass_env` as the daemon has them (with `run_as` that user's
 * HOME, USER and LOGNAME), and where the agent
 * server reports to (public_url NULL: nowhere). To be freed with command_environment_free(). */
char **command_environment(const struct options *options, const char *public_url);
void command_environment_free(char **environment);

#endif
