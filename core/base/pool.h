/* base/pool.h: a few threads for what can only block (file trees, dlopen's file reads, resolvers).
 *
 * Threads are made when work waits and none is idle, up to a bound; an idle one sleeps without waking.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/loop.h"

struct pool;

struct pool *pool_create(struct loop *loop, unsigned max_threads);
/* Waits for the work that has begun; what has not begun runs too. No `done` is called any more. */
void pool_destroy(struct pool *pool);

/* Calls run(arg) on a thread, then done(arg) (may be NULL) on the loop thread. Loop thread only. */
void pool_submit(struct pool *pool, void (*run)(void *arg), void (*done)(void *arg), void *arg);

#endif
