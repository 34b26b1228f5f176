/* world.h: an instance of the process backend in a real host, with its folders, for the tests of this folder.
 */
#ifndef TESTS_PROCESS_WORLD_H
#define TESTS_PROCESS_WORLD_H

#include "harness.h"

#include <stdbool.h>
#include <sys/types.h>

struct world {
    struct harness *harness;
    struct backend *backend;
    char root[64];   /* everything is in there */
    char work[128];  /* base_working_dir */
    char state[128]; /* the backend's own state directory */
};

/* Folders and a backend with these further options ("" or `"name": value, …`). The second makes another
 * instance of the same backend take over, the third ends it and keeps the folders. */
void world_open(struct world *world, const char *options);
void world_reload(struct world *world, const char *options);
void world_close(struct world *world);
void world_remove(struct world *world); /* the folders */
/* In a folder that is there, as after a restart. */
void world_reopen(struct world *world, const char *options);

/* Sandboxes are named by short names here; what the backend is told is unique to this world. */
const char *world_id(const struct world *world, const char *name);

/* Operations; they return when the operation has ended: true on success. `arguments` are those of a command in
 * JSON, such as "\"--print\", \"3\"", for the tests' agent on {port}. */
bool world_start(struct world *world, const char *id, const char *arguments);
bool world_start_command(struct world *world, const char *id, const char *command, bool again);
bool world_act(struct world *world, enum backend_verb verb, const char *id);
bool world_list(struct world *world);
/* The code and message of the last operation that failed. */
const char *world_error(const struct world *world);

/* What was reported last of a sandbox: its state (0: nothing), port, and the whole line. */
unsigned world_state(const struct world *world, const char *id);
int world_port(const struct world *world, const char *id);
const char *world_report(const struct world *world, const char *id);

/* The answer to a request ("GET /whoami") of the program on a port; "" when there is none. Static. */
const char *world_ask(int port, const char *request);
/* The pids of the processes that carry a sandbox's mark, at most `max`. */
size_t world_processes(const struct world *world, const char *id, pid_t *pids, size_t max);
/* The state letter of a process, as in /proc/PID/stat (proc(5)); 'X': it is gone. */
char world_letter(pid_t pid);
/* Is nothing left of it: no process, directory, record? */
bool world_clean(const struct world *world, const char *id);
pid_t world_supervisor(const struct world *world, const char *id); /* 0: none */

#endif
