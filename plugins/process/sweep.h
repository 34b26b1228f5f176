/* sweep.h: ends the processes of a sandbox that has no supervisor left to do it. Blocks. */
#ifndef PROCESS_SWEEP_H
#define PROCESS_SWEEP_H

#include <sandboxd/error.h>

/* Kills every process that has SANDBOX_ID=sandbox_id and the mark of its control directory (owner.h) in the environment
 * it was started with, until none is found. Those of another directory, or without a mark, are left alone. -1 with `err`:
 * some are still there. */
int sweep_processes(const char *sandbox_id, const char *owner, struct sbx_error *err);

#endif
