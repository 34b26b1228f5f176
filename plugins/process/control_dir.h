/* control_dir.h: the control directory of one sandbox, STATE_DIR/SANDBOX_ID. All of it blocks.
 *
 * It holds the record, the lock, the supervisor's socket, the log and the exit (wire.h). The lock is held by
 * the supervisor, and before that by the job that launches one: without it nobody starts a program or
 * removes the directory.
 */
#ifndef PROCESS_CONTROL_DIR_H
#define PROCESS_CONTROL_DIR_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens it; -1 with errno. */
int control_dir_open(int state_dir, const char *sandbox_id);
/* Makes it, with the lock held: the directory, and the lock's descriptor in `*lock`. -1 with errno. */
int control_dir_make(int state_dir, const char *sandbox_id, int *lock);

/* Takes the lock; its descriptor, or -1 with errno (EAGAIN: it is held). Looking does not take it. */
int control_dir_lock(int dir);
bool control_dir_locked(int dir);

/* The exit of the run `incarnation`; false: none is recorded. */
bool control_dir_read_exit(int dir, uint64_t incarnation, struct wire_status *exit);
int control_dir_write_exit(int dir, const struct wire_status *exit);

/* Removes directories that no record and no lock belong to: a crash left them while they were made or
 * removed. Does nothing while somebody is making one. */
void control_dir_clean(int state_dir);

#endif
