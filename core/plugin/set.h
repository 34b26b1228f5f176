/* plugin/set.h: the instances that a configuration asks for; a part of the reload transaction.
 *
 * A backend whose section, public_url, addresses and plugin file did not change keeps its instance. For every other
 * one, prepare loads the plugin (from a private copy, so that a file that changed on disk is really
 * loaded anew), validates the options and opens a new instance beside the old; commit makes the new ones
 * current and quiesces what they replaced, which is closed, and its module unloaded, when its last
 * operation ends. A plugin that never ends an operation stays loaded, with a line in the log.
 */
#ifndef PLUGIN_SET_H
#define PLUGIN_SET_H

#include "base/loop.h"
#include "base/pool.h"
#include "config/config.h"
#include "config/reload.h"
#include "net/client.h"
#include "plugin/backend.h"
#include "store/store.h"

struct backend_set;

struct backend_set_deps {
    struct loop *loop;
    struct pool *pool;
    struct client *client;
    struct store *store;            /* may be NULL where nothing is opened (--check) */
    const char *default_plugin_dir; /* where NAME.so is looked for when the configuration names no folder */
};

struct backend_set *backend_set_create(const struct backend_set_deps *deps,
                                       const struct backend_events *events);
/* The steps of a reload part (config/reload.h). */
void backend_set_prepare(struct backend_set *set, const struct config *old, struct config *next,
                         struct config_problems *problems, reload_prepared prepared, void *transaction);
void backend_set_commit(struct backend_set *set, struct config *next);
void backend_set_rollback(struct backend_set *set);

/* --check: loads each plugin and has it check its options, opens nothing. Does not need a running loop. */
void backend_set_check(struct backend_set *set, const struct config *config,
                       struct config_problems *problems);

/* Between prepare's end and commit these are the instances to come; otherwise the current ones. */
size_t backend_set_count(const struct backend_set *set);
struct backend *backend_set_at(const struct backend_set *set, size_t index);
struct backend *backend_set_find(const struct backend_set *set, const char *name); /* current; NULL: none */

/* Quiesces and closes all, then calls `closed`, after `timeout_ms` at the latest. A prepare() under way ends
 * first, and fails. */
void backend_set_close(struct backend_set *set, uint32_t timeout_ms, void (*closed)(void *arg), void *arg);
/* After backend_set_close(), and before the pool and the loop. Instances whose plugins did not let go are never
 * freed. NULL is allowed. */
void backend_set_destroy(struct backend_set *set);

#endif
