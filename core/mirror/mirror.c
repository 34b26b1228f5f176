/* mirror/mirror.c: the mirror's life, its settings, and which agents there are. Knows nothing of what a report says. */
#include "mirror/mirror.h"

#include "mirror/callbacks.h"
#include "mirror/internal.h"
#include "mirror/poller.h"
#include "mirror/retention.h"

#include <stdlib.h>

static void wake(void *callbacks)
{
    callbacks_wake(callbacks);
}

static void expired(void *arg, const struct store_expired *what)
{
    struct mirror *mirror = arg;
    callbacks_expire(mirror->callbacks, what);
}

struct mirror *mirror_create(const struct mirror_deps *deps)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);
    if (!mirror)
        abort();
    mirror->deps = *deps;
    map_init(&mirror->sources);
    mirror->poller = poller_create(deps, mirror);
    mirror->callbacks = callbacks_create(deps);
    mirror->retention = retention_create(deps, expired, mirror);
    mirror_listen(mirror, wake, mirror->callbacks);
    return mirror;
}

void mirror_commit(struct mirror *mirror, struct config *next)
{
    struct config *before = mirror->config;
    mirror->config = config_ref(next);
    config_unref(before);
    poller_commit(mirror->poller, next);
    callbacks_commit(mirror->callbacks, next);
    retention_commit(mirror->retention, next); /* last: callbacks know their places when something expires */
}

void mirror_destroy(struct mirror *mirror)
{
    if (!mirror)
        return;
    poller_destroy(mirror->poller);
    callbacks_destroy(mirror->callbacks);
    retention_destroy(mirror->retention);
    reports_finish(mirror);
    map_finish(&mirror->sources);
    config_unref(mirror->config);
    free(mirror);
}

void mirror_listen(struct mirror *mirror, void (*stored)(void *arg), void *arg)
{
    mirror->stored = stored;
    mirror->stored_arg = arg;
}

static bool is_agent(const struct sandbox *sandbox, struct mirror_agent *agent)
{
    const char *url = sandbox_agent_url(sandbox);
    if (sandbox->status != SANDBOX_RUNNING || !url || !sandbox->session_key[0])
        return false;
    *agent = (struct mirror_agent){sandbox, url, sandbox->session_key};
    return true;
}

bool mirror_next_agent(const struct mirror *mirror, size_t *position, struct mirror_agent *agent)
{
    const struct sandbox *sandbox;
    while ((sandbox = table_next(service_table(mirror->deps.service), position)))
        if (is_agent(sandbox, agent))
            return true;
    return false;
}

bool mirror_find_agent(const struct mirror *mirror, const char *sandbox_id, struct mirror_agent *agent)
{
    const struct sandbox *sandbox = table_find(service_table(mirror->deps.service), sandbox_id);
    return sandbox && is_agent(sandbox, agent);
}

bool mirror_callback_at(const struct mirror *mirror, size_t index, struct mirror_callback *callback)
{
    return callbacks_at(mirror->callbacks, index, callback);
}

struct mirror_stats mirror_stats(const struct mirror *mirror)
{
    struct mirror_stats stats = mirror->stats;
    stats.polls = mirror->poller->polls;
    stats.poll_failures = mirror->poller->failures;
    return stats;
}
