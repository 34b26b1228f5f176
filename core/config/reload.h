/* config/reload.h: the transaction by which a new generation takes over.
 *
 * Parse and check; then each part prepares (loads, opens, binds: all that can fail), one after the
 * other; then all of them commit, between two turns of the loop, which can't fail; then each drains
 * what it replaced, in its own time. If anything fails, the parts that have prepared roll back, in
 * reverse, and the old generation serves on, unchanged. The first start is the same transaction, with no
 * generation before it.
 *
 * It knows no part: main.c registers them in the order in which they prepare.
 */
#ifndef CONFIG_RELOAD_H
#define CONFIG_RELOAD_H

#include "base/loop.h"
#include "base/pool.h"
#include "config/config.h"

struct reload;

/* What prepare() ends with: once, in the call or later, on the loop thread. Problems were added to
 * `problems` when !ok. */
typedef void (*reload_prepared)(void *transaction, bool ok);

struct reload_part {
    const char *name; /* for the log */
    void *self;
    /* Everything that can fail, beside the old. `old` is NULL at the first start. All that is passed is
     * valid until commit() or rollback(). NULL: nothing to prepare, and no rollback(). */
    void (*prepare)(void *self, const struct config *old, struct config *next,
                    struct config_problems *problems, reload_prepared prepared, void *transaction);
    void (*commit)(void *self, struct config *next); /* NULL: nothing to do */
    void (*rollback)(void *self);                    /* only after a prepare() that was ok; may be NULL */
    /* It prepares also where a part before it has failed, so that its problems are told in the same run, and
     * is rolled back then. It must not need those parts. */
    bool tells_always;
};

/* The end of a transaction; problems (warnings too) were logged. */
typedef void (*reload_done)(void *arg, bool ok);

struct reload *reload_create(struct loop *loop, struct pool *pool, const char *file);
/* After pool_destroy(), which ends the reading of the file. A transaction under way is dropped: no part
 * and no `done` is called any more, and what parts have prepared they let go of when they are destroyed
 * themselves. NULL is allowed. */
void reload_destroy(struct reload *reload);
void reload_add(struct reload *reload, const struct reload_part *part); /* copied */

/* The first transaction, with a configuration that was read already. */
void reload_run_first(struct reload *reload, struct config *first, reload_done done, void *arg);
/* Begins a transaction; the file is read and parsed on the pool. A call while one is under way makes
 * another follow it (once, however many calls come). `done` may be NULL. */
void reload_run(struct reload *reload, reload_done done, void *arg);

/* The daemon ends: nothing takes over any more. A transaction under way rolls back at its next step, and no `done`
 * is called. */
void reload_stop(struct reload *reload);

/* The generation in force; NULL before the first. Borrowed: take config_ref() to keep it. */
struct config *reload_current(const struct reload *reload);

#endif
