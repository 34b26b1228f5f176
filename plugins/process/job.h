/* job.h: what can only block, done on the host's pool: one struct a job, which the job owns.
 *
 * A job's first part (…_run) sees no sandbox but by its copies; its second part is back on the loop thread,
 * takes its results to the sandbox and ends in sandbox_step().
 */
#ifndef PROCESS_JOB_H
#define PROCESS_JOB_H

#include "backend.h"

/* Looks at a sandbox's control directory: is there a record, does a supervisor live, how did it end? Ends
 * what a killed supervisor left behind. */
void inspect_begin(struct sandbox *sandbox);
/* A supervisor spoke that belongs to another control directory: lets go of it. */
void inspect_refuse(struct sandbox *sandbox, const struct wire_status *status);

/* Makes directories, groups, record and port, and spawns the supervisor: of a new sandbox in LIFE_ABSENT, else
 * of one in LIFE_DEAD. `retry`: once more on another port. */
void launch_begin(struct sandbox *sandbox, bool retry);

/* Removes everything of a sandbox that has no supervisor. */
void remove_begin(struct sandbox *sandbox);

#endif
