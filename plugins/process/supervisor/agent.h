/* agent.h: the launch as the plugin handed it over, and the program that it describes.
 */
#ifndef SUPERVISOR_AGENT_H
#define SUPERVISOR_AGENT_H

#include "wire.h"

#include <sys/types.h>

/* Everything points into one private mapping of the memory file. */
struct launch {
    struct wire_launch head;
    const uint32_t *groups;
    char **arguments, **environment; /* end in NULL */
    const char *cgroups[WIRE_CGROUPS_MAX];
    void *map;
    size_t map_len;
};

/* Reads and checks the launch. -1 with errno; EINVAL: not one that this build understands. */
int launch_read(struct launch *launch, int fd);
/* Forgets the arguments and the environment, session key included. The cgroups' names stay. */
void launch_forget(struct launch *launch);

/* Starts the program as leader of a session of its own, in `directory`, with its output in `output`.
 * Returns its pid once it has been executed; -1 with what failed in `step` and `error`. */
pid_t agent_start(const struct launch *launch, int directory, int output, enum wire_step *step, int *error);

#endif
