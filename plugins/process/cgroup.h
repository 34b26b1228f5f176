/* cgroup.h: what is done to a control group once it is there (cgroups(7)).
 *
 * Used by the supervisor and by the plugin; `dir` is the group's directory, made by the plugin
 * (sandbox_limits.h). Everything here may block for as long as it says.
 */
#ifndef PROCESS_CGROUP_H
#define PROCESS_CGROUP_H

#include <stdbool.h>

/* Writes `text` to a file of the group. -1 with errno. */
int cgroup_write(const char *dir, const char *file, const char *text);

/* `version` is that of the group: 2, or 1 for one of the freezer's hierarchy.
 *
 * Stops or continues all that is in it and waits until that is so, at most `timeout_ms`. -1 with errno; ETIMEDOUT: it
 * was set free again. */
int cgroup_freeze(const char *dir, unsigned version, bool freeze, unsigned timeout_ms);

/* SIGKILL to all that is in it, frozen or not: at once and without a gap. -1 with errno. */
int cgroup_kill(const char *dir, unsigned version);

/* How often the memory limit killed in it, in version 1 and 2; 0 where that is not known. */
long cgroup_memory_kills(const char *dir);

/* Removes it and the groups that were made inside it, waiting up to `timeout_ms` for its last processes
 * to be gone. 0 when there is none; -1 with errno. */
int cgroup_remove(const char *dir, unsigned timeout_ms);

#endif
