/* ours.c: which containers of the engine are this backend's sandboxes, beside other backends and other daemons; see
 * docker.h. Asks the engine for nothing.
 *
 * A container that bears another daemon's id stays that daemon's for as long as it runs on this machine. Of one that
 * does not run, the state may be lost: its containers are found by whoever has their prefix, as those without an id.
 */
#include "docker.h"

#include <stdio.h>
#include <string.h>

enum { OTHER_MS = 100 }; /* that an answer holds: a listing has many containers of one daemon */

bool ours_is_of_another(struct docker *docker, const char *instance_label)
{
    const struct sbx_host *host = docker->host;
    struct other_instance *other = &docker->other;
    if (!instance_label || !docker->instance_id || strcmp(instance_label, docker->instance_id) == 0 ||
        strlen(instance_label) >= sizeof other->id || !SBX_HAS(host, instance_alive))
        return false;
    uint64_t now = host->now_ms();
    if (now >= other->until_ms || strcmp(other->id, instance_label) != 0) {
        snprintf(other->id, sizeof other->id, "%s", instance_label);
        other->runs = host->instance_alive(instance_label) != 0;
        other->until_ms = now + OTHER_MS;
    }
    return other->runs;
}

bool ours_is(struct docker *docker, const char *name, const char *backend_label, const char *instance_label)
{
    return container_is_ours(&docker->options, docker->public->name, name, backend_label) &&
           !ours_is_of_another(docker, instance_label);
}
