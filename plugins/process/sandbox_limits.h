/* sandbox_limits.h: control groups (cgroups(7)) for the sandboxes of a backend.
 *
 * A group of version 2 where one can be made, since it freezes and kills a whole tree at once; else one of version 1's
 * freezer; without either the supervisor does that with signals. And groups for `limits`, in the hierarchy of either version that
 * has the controller: a limit that can't be enforced is an error, never ignored.
 *
 * Groups are made below the daemon's own, as sandboxd/SANDBOX_ID.INCARNATION. All of this may block for a little.
 */
#ifndef PROCESS_SANDBOX_LIMITS_H
#define PROCESS_SANDBOX_LIMITS_H

#include "options.h"

#include <limits.h>

enum { LIMITS_GROUPS_MAX = 4, LIMITS_CONTROLLERS = 3 };

/* Where groups are made. An empty text: nowhere. */
struct limits {
    char unified[PATH_MAX];                        /* version 2: the daemon's own group */
    char freezer[PATH_MAX];                        /* version 1: the same, used where `unified` can't be */
    char controller[LIMITS_CONTROLLERS][PATH_MAX]; /* memory, cpu, pids: version 1, the daemon's own group */
    bool in_unified[LIMITS_CONTROLLERS];           /* the limit is set in version 2 */
};

/* The groups of one sandbox. */
struct limits_groups {
    char dirs[LIMITS_GROUPS_MAX][PATH_MAX];
    uint32_t count;
    uint32_t freezer; /* the version of the first, which freezes and kills, 1 or 2; 0: none of them does */
};

/* Finds where, without making anything. `mounts` and `own` are the texts of /proc/self/mountinfo and
 * /proc/self/cgroup; NULL reads them. -1 when a limit of `options` has no place, `err` says which and why. */
int limits_find(struct limits *limits, const struct options *options, const char *mounts, const char *own,
                struct sbx_error *err);
/* Makes the groups that hold those of the sandboxes. -1 as above; without limits it always succeeds, and
 * `limits->unified` is emptied when there can be no group. */
int limits_prepare(struct limits *limits, const struct options *options, struct sbx_error *err);
/* Removes them when they are empty. */
void limits_release(const struct limits *limits);

/* Names the groups of one run of a sandbox, without making them: so that they can be on record before they
 * are there. The names are of this run alone. */
void limits_name(struct limits_groups *groups, const struct limits *limits, const struct options *options,
                 const char *sandbox_id, uint64_t incarnation);
/* Makes them and sets the limits. -1 with nothing left behind. Where the only group is one for freezing and
 * can't be made, there is none afterwards. */
int limits_make(struct limits_groups *groups, const struct limits *limits, const struct options *options,
                struct sbx_error *err);

#endif
