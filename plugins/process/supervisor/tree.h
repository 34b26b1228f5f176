/* tree.h: all processes of the sandbox, wherever they went.
 *
 * The supervisor is a child subreaper (PR_SET_CHILD_SUBREAPER): what forks away, changes its session or
 * loses its parent stays its descendant. So the tree is the descendants of this process, as /proc
 * tells them, and it has ended when there is no child left to wait for. No memory is allocated.
 */
#ifndef SUPERVISOR_TREE_H
#define SUPERVISOR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* More than so many at once are reached in several rounds. */
enum { TREE_MAX = 65536 };

/* Lists the living descendants, sorted. The list is valid until the next call of any function here. */
size_t tree_list(const pid_t **pids);

/* Sends a signal to each descendant once. A recycled pid is never hit: identity is pinned by a pidfd
 * and checked by its parent before the signal is sent. */
void tree_signal(int signal);

/* SIGSTOP to all, in rounds, until none is found that still moves; at most `timeout_ms` of waiting,
 * and five times that by the clock. 0, or an errno. A parent stands still before its children are
 * told, so that no shell sees its command stop. */
int tree_stop(unsigned timeout_ms);
/* SIGCONT to all, the deepest first, so that no shell finds its command stopped when it goes on itself. */
void tree_continue(void);

/* SIGKILL to all, which are told to stop first so that few fork away meanwhile. The caller waits for
 * them, and calls again while there are any. */
void tree_kill(void);

#endif
